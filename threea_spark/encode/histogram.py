"""The one noisy sum of Encode: a histogram of every column over public leaves or levels.

A row adds one for itself, one for each level of a number's tree (its leaf and the leaf's ancestors; one if it is null)
and one for each category, so its squared norm is at most 1 + 3 * numbers + categories, whatever it holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.columns import Column
from threea_spark.encode.categories import CategoryField
from threea_spark.encode.codec import Feature
from threea_spark.encode.grid import leaf_grid
from threea_spark.encode.moments import MomentField
from threea_spark.encode.quantiles import QuantileField
from threea_spark.encode.refining import Written
from threea_spark.encode.steps import NumberKind, Step
from threea_spark.encode.times import TimeField, time_field
from threea_spark.encode.written import StepMixture
from threea_spark.privacy.query import RowBound

Field: TypeAlias = QuantileField | MomentField | CategoryField
ColumnField: TypeAlias = Field | TimeField


def column_field(
    name: str,
    column: Column,
    selected: dict[str, tuple[str, ...]],
    *,
    affine: bool = False,
    is_label: bool = False,
) -> ColumnField:
    """Makes the field of a column: the one place that asks what kind of column the domain declares.

    Args:
      name, column: The column, as the domain declares it.
      selected: Values found for open categorical columns. RELEASED.
      affine: Whether numbers are coded by their moments, as in wide tables.
      is_label: Whether the column is a label, whose categories keep cells of their own, and whose spikes do not.
    """
    if column.is_categorical:
        values = selected[name] if column.is_open else tuple(column.values)
        return CategoryField(name, values, column.nullable, catch_all=column.is_open, is_label=is_label)
    step = None if column.declared_step is None else Step(*column.declared_step)
    atoms = column.atom_numbers
    if column.is_timestamp:
        grid = leaf_grid(column.lower_number, column.upper_number, whole=True, atoms=atoms)
        instant = QuantileField(name, "timestamp", column.nullable, grid, step, atoms)
        return time_field(instant, column.parts, column.time_zone)
    kind: NumberKind = "integer" if column.is_whole else "float"
    if affine:
        own = None if step is None else StepMixture.only(step)
        return MomentField(name, kind, column.nullable, column.lower_number, column.upper_number, own)
    grid = leaf_grid(column.lower_number, column.upper_number, whole=column.is_whole, atoms=atoms)
    return QuantileField(name, kind, column.nullable, grid, step, atoms, is_label)


@dataclass(frozen=True)
class Histograms:
    """Noisy histograms, in rows. RELEASED.

    Attributes:
      blocks: One for each field, shape (n_nodes,).
      n_rows: DP number of rows.
      stddev: Standard deviation of the noise on each count.
      n_rows_stddev: Standard deviation of the noise on `n_rows`.
    """

    blocks: tuple[Float64Array, ...]
    n_rows: float
    stddev: float
    n_rows_stddev: float


@dataclass(frozen=True)
class HistogramLayout:
    """Where each field's counts lie in the noisy sum: the number of rows first, then field after field."""

    fields: tuple[Field, ...]

    @cached_property
    def unit(self) -> int:
        """Grid units of one row's count: 1, or more where moments share the sum."""
        return max([1, *[field.unit for field in self.fields]])

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
        """Exact counts of one batch; one array for each field, as it reads them. Shape (size,). PRIVATE."""
        counts = np.empty(self.size, dtype=np.int64)
        counts[0] = self.unit * (len(columns[0]) if columns else 0)
        for field, (start, end), values in zip(self.fields, pairwise(self.offsets.tolist()), columns, strict=True):
            np.multiply(field.counts(values), self.unit // field.unit, out=counts[start:end])
        return counts

    def rows(self, noisy: Float64Array, stddev: float) -> Histograms:
        """Reads the noisy sum in rows.

        Args:
          noisy: Shape (size,). RELEASED.
          stddev: Standard deviation of the noise on each count.
        """
        noisy, stddev = noisy / self.unit, stddev / self.unit
        blocks = np.split(noisy, self.offsets[:-1])[1:]
        n_rows, variance = self._pooled_rows(float(noisy[0]), blocks)
        return Histograms(tuple(blocks), n_rows, stddev, stddev * math.sqrt(variance))

    def fit(
        self, found: Histograms, *, n_cells: Sequence[int], written: Sequence[Written | None] | None = None
    ) -> tuple[Feature, ...]:
        """Turns histograms into one codec a field.

        Args:
          found: Of the fields. RELEASED.
          n_cells: About how many cells each field is cut into if it is a number, where noise allows.
          written: How the values of each number on a tree are written; None where nothing is known.
        """
        details = [None] * len(self.fields) if written is None else written
        parts = zip(self.fields, found.blocks, n_cells, details, strict=True)
        return tuple(
            field.fit(block, found.n_rows, found.stddev, cells, own)
            if field.has_leaves
            else field.fit(block, found.n_rows, found.stddev, cells)
            for field, block, cells, own in parts
        )

    def _pooled_rows(self, own: float, blocks: list[Float64Array]) -> tuple[float, float]:
        """Pools all the readings of the number of rows by inverse variance: each column sums to it as well.

        Returns:
          The number of rows, and its variance in squared noises of one count.
        """
        readings, variances = [own], [1.0]
        for field, block in zip(self.fields, blocks, strict=True):
            if len(summed := field.row_readings(block)):
                readings.append(float(summed.sum()))
                variances.append(float(len(summed)))
        weights = 1.0 / np.array(variances)
        return max(1.0, float(np.dot(weights, readings) / weights.sum())), float(1.0 / weights.sum())
