"""The one noisy sum of Encode: a histogram of every column over public leaves or levels.

A row adds one for itself, N_LEVELS for each number (its leaf and the leaf's ancestors; one if it is null) and one for
each category, so its squared norm is at most 1 + N_LEVELS * numbers + categories, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.domain import CategoricalColumn, Column, FloatColumn, TimestampColumn
from threea_spark.encode import tree
from threea_spark.encode.codes import CategoryCode, ColumnCode, NumberKind, category_code, quantile_code
from threea_spark.encode.grid import BRANCHING, N_LEAVES, LeafGrid, leaf_grid
from threea_spark.encode.moments import MOMENT_GRID, MomentField
from threea_spark.privacy.query import RowBound

PARTS = {"hour": 24, "weekday": 7, "month": 12}
_CELL_STDDEVS = 3.0
_LEVEL_STDDEVS = 2.0
_LEAST_CLASS_ROWS = 1e-3
MAX_CATEGORY_CELLS = 64


@dataclass(frozen=True)
class NumberField:
    """A numeric column or timestamp before its distribution is known."""

    name: str
    kind: NumberKind
    nullable: bool
    grid: LeafGrid

    @property
    def n_nodes(self) -> int:
        """Nodes of the tree, and the count of nulls."""
        return int(tree.N_NODES) + 1

    @property
    def squared_norm(self) -> int:
        """What a row adds at most."""
        return tree.SQUARED_SENSITIVITY

    def counts(self, values: Float64Array) -> Int64Array:
        """Exact counts of one batch, shape (n_nodes,). PRIVATE."""
        missing = np.isnan(values)
        if not self.nullable:  # a null where none is allowed counts as the middle of the bounds: public
            values = np.where(missing, 0.5 * (self.grid.low[0] + self.grid.high[-1]), values)
            missing = np.zeros_like(missing)
        nodes = tree.tree_counts(self.grid.index(values[~missing]))
        return np.append(nodes, np.int64(missing.sum()))


@dataclass(frozen=True)
class CategoryField:
    """A categorical column, its values listed or selected."""

    name: str
    values: tuple[str, ...]
    nullable: bool
    catch_all: bool = False  # whether the last value stands for all that were not selected
    is_label: bool = False  # classes keep cells of their own, however few rows they have
    part: str = ""  # hour, weekday or month of the timestamp of this name, if it is one

    @property
    def n_nodes(self) -> int:
        """Levels, with the one of null."""
        return len(self.values) + int(self.nullable)

    @property
    def squared_norm(self) -> int:
        """What a row adds at most."""
        return 1

    @property
    def null_level(self) -> int:
        """The level of null: its own, or else the first value (the last, where that stands for the others)."""
        if self.nullable:
            return len(self.values)
        return len(self.values) - 1 if self.catch_all else 0

    @property
    def unknown_level(self) -> int:
        """The level of a value that is not listed: as null, unless the last value stands for the others."""
        return len(self.values) - 1 if self.catch_all else self.null_level

    def counts(self, levels: NDArray[np.generic]) -> Int64Array:
        """Exact counts of one batch, shape (n_nodes,). PRIVATE."""
        return np.bincount(levels.astype(np.int64), minlength=self.n_nodes).astype(np.int64)


Field: TypeAlias = NumberField | MomentField | CategoryField


def fields_of(name: str, column: Column, selected: dict[str, tuple[str, ...]], *, affine: bool = False) -> list[Field]:
    """Lists what is coded for a column: the column, then the parts of a timestamp.

    Args:
      name, column: Of the domain.
      selected: Values found for open categorical columns. RELEASED.
      affine: Whether numbers are coded by their moments, as in wide tables.
    """
    if isinstance(column, CategoricalColumn):
        values = selected[name] if column.is_open else tuple(column.values)
        return [CategoryField(name, values, column.nullable, catch_all=column.is_open)]
    if isinstance(column, TimestampColumn):
        grid = leaf_grid(column.lower_seconds, column.upper_seconds, whole=True)
        parts: list[Field] = [
            CategoryField(name, tuple(map(str, range(PARTS[part]))), column.nullable, part=part)
            for part in column.parts
        ]
        return [NumberField(name, "timestamp", column.nullable, grid), *parts]
    whole = not isinstance(column, FloatColumn)
    if affine:
        kind: NumberKind = "integer" if whole else "float"
        return [MomentField(name, kind, column.nullable, float(column.lower), float(column.upper))]
    grid = leaf_grid(float(column.lower), float(column.upper), whole=whole)
    return [NumberField(name, "integer" if whole else "float", column.nullable, grid)]


@dataclass(frozen=True)
class HistogramLayout:
    """Where each field's counts lie in the noisy sum: the number of rows first, then field after field."""

    fields: tuple[Field, ...]

    @cached_property
    def unit(self) -> int:
        """Grid units of one row's count: 1, or more where moments share the sum."""
        return MOMENT_GRID if any(isinstance(field, MomentField) for field in self.fields) else 1

    @cached_property
    def offsets(self) -> Int64Array:
        """First coordinate of each field, and the end, shape (n_fields + 1,)."""
        return np.cumsum([1, *[field.n_nodes for field in self.fields]]).astype(np.int64)

    @property
    def size(self) -> int:
        """Coordinates of the noisy sum."""
        return int(self.offsets[-1])

    @property
    def bound(self) -> RowBound:
        """What one row adds: one to the number of rows, and its counts in every field.

        Each count is 1, so that a field's share of the squared norm is how many of them a row moves.
        """
        moved = 1 + sum(field.squared_norm for field in self.fields)
        return RowBound(self.unit**2 * moved, moved)

    def counts(self, columns: list[NDArray[np.generic]]) -> Int64Array:
        """Exact counts of one batch; `columns` as `raw.columns_of` gives them. Shape (size,). PRIVATE."""
        n_rows = len(columns[0]) if columns else 0
        parts = [np.array([self.unit * n_rows], dtype=np.int64)]
        for field, values in zip(self.fields, columns, strict=True):
            if isinstance(field, MomentField):
                parts.append(field.sums(values.astype(np.float64)))
            elif isinstance(field, NumberField):
                parts.append(self.unit * field.counts(values.astype(np.float64)))
            else:
                parts.append(self.unit * field.counts(values))
        return np.concatenate(parts)

    def codes(
        self, noisy: Float64Array, stddev: float, *, n_cells: Sequence[int]
    ) -> tuple[tuple[ColumnCode, ...], float]:
        """Turns the noisy histogram into one code a field, and the DP number of rows.

        Args:
          noisy: Shape (size,). RELEASED.
          stddev: Of the noise on each count.
          n_cells: About how many cells each field is cut into if it is a number, where noise allows.
        """
        noisy, stddev = noisy / self.unit, stddev / self.unit
        blocks = np.split(noisy, self.offsets[:-1])[1:]
        n_rows = self._pooled_rows(float(noisy[0]), blocks, stddev)
        codes = tuple(
            _code(field, block, n_rows, stddev, cells)
            for field, block, cells in zip(self.fields, blocks, n_cells, strict=True)
        )
        return codes, n_rows

    def _pooled_rows(self, own: float, blocks: list[Float64Array], stddev: float) -> float:
        """Pools all the readings of the number of rows by inverse variance: each column sums to it as well."""
        readings, variances = [own], [1.0]
        for field, block in zip(self.fields, blocks, strict=True):
            if isinstance(field, MomentField):
                continue
            summed = block if isinstance(field, CategoryField) else np.append(block[:BRANCHING], block[-1])
            readings.append(float(summed.sum()))
            variances.append(float(len(summed)))
        weights = 1.0 / np.array(variances)
        return max(1.0, float(np.dot(weights, readings) / weights.sum()))


def _code(field: Field, block: Float64Array, n_rows: float, stddev: float, n_cells: int) -> ColumnCode:
    if isinstance(field, CategoryField):
        least, most = (0.0, len(field.values)) if field.is_label else (_LEVEL_STDDEVS * stddev, MAX_CATEGORY_CELLS)
        if field.is_label:
            block = np.maximum(block, _LEAST_CLASS_ROWS)
        code = category_code(field.name, field.values, field.nullable, block, least_rows=least, max_cells=most)
        return replace(code, part=field.part)
    if isinstance(field, MomentField):
        return field.code(block, n_rows, stddev, n_cells)
    nulls = min(max(float(block[-1]), 0.0), n_rows) if field.nullable else 0.0
    grid = field.grid
    takes_rest = np.zeros(N_LEAVES, dtype=np.bool_)
    takes_rest[: grid.n_leaves] = True if grid.whole else ~grid.is_atom
    masses = tree.leaf_masses(block[:-1], max(n_rows - nulls, 1.0), stddev, takes_rest)
    cell_rows = max(n_rows / n_cells, _CELL_STDDEVS * stddev)
    share = nulls / max(n_rows, 1.0)
    return quantile_code(field.name, field.kind, field.nullable, grid, masses, cell_rows=cell_rows, null_share=share)


__all__ = ["CategoryCode", "CategoryField", "Field", "HistogramLayout", "NumberField", "fields_of"]
