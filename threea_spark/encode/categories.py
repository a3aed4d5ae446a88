"""A category: one one-hot coordinate for each cell, and cells are groups of its levels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Float64Array, Int16Array, Int64Array
from threea_spark.encode.cells import Levels, levels_of
from threea_spark.encode.feature import CATEGORY_COORDINATE, FeatureCodec, FeatureField
from threea_spark.encode.level_table import LevelTable

FEW_LEVELS = 12
MAX_CATEGORY_CELLS = 64
LEVEL_STDDEVS = 2.0
OTHER_STDDEVS = 3.0
"""Standard deviations of the noise that the rows of other values hold at least; else every value counts as found."""
_MIN_CLASS_ROWS = 1e-3


@dataclass(frozen=True)
class CategoryField(FeatureField):
    """A categorical column, its values listed or selected, or a part of a timestamp: one count for each level.

    Attributes:
      name, nullable: The column's name, and whether it may be null.
      values: Public, or found by DP partition selection.
      catch_all: Whether the last value is counted for all that were not selected.
      is_label: Classes keep cells of their own, however few rows they have.
    """

    name: str
    values: tuple[str, ...]
    nullable: bool
    catch_all: bool = False
    is_label: bool = False
    is_category: ClassVar[Literal[True]] = True
    has_leaves: ClassVar[Literal[False]] = False

    @property
    def n_nodes(self) -> int:
        """Levels, with the one of null."""
        return len(self.values) + int(self.nullable)

    @property
    def squared_norm(self) -> int:
        """A row has one level."""
        return 1

    @property
    def max_coordinates(self) -> int:
        """Levels that are too rare share one."""
        return min(len(self.values), MAX_CATEGORY_CELLS + 1) + int(self.nullable)

    @property
    def null_level(self) -> int:
        """The level of null: its own, or else the first value (the last, where that counts for the others)."""
        if self.nullable:
            return len(self.values)
        return len(self.values) - 1 if self.catch_all else 0

    @property
    def unknown_level(self) -> int:
        """The level of a value that is not listed: as null, unless the last value counts for the others."""
        return len(self.values) - 1 if self.catch_all else self.null_level

    def values_of(self, cells: pa.Array) -> Int64Array:
        """Reads levels. PRIVATE."""
        return levels_of(cells, self.values, unknown=self.unknown_level, null=self.null_level)

    def counts(self, values: NDArray[np.generic]) -> Int64Array:
        """Exact counts of the levels of one batch, shape (n_nodes,). PRIVATE."""
        return np.bincount(values.astype(np.int64), minlength=self.n_nodes).astype(np.int64)

    def row_readings(self, block: Float64Array) -> Float64Array:
        """All levels."""
        return block

    def fit(self, block: Float64Array, n_rows: float, stddev: float, n_cells: int) -> CategoryCodec:
        """Makes the codec: levels that do not stand out from noise share a cell, classes never do."""
        if self.is_label:
            masses, min_rows, max_cells = np.maximum(block, _MIN_CLASS_ROWS), 0.0, len(self.values)
        else:
            masses, min_rows, max_cells = block, LEVEL_STDDEVS * stddev, MAX_CATEGORY_CELLS
        values, last = self.values, len(self.values) - 1
        if not self.catch_all or last == 0 or block[last] >= OTHER_STDDEVS * stddev:
            return category_codec(self.name, values, self.nullable, masses, min_rows=min_rows, max_cells=max_cells)
        found = category_codec(
            self.name, values[:last], self.nullable, np.delete(masses, last), min_rows=min_rows, max_cells=max_cells
        )
        return found.with_unseen(values[last])


@dataclass(frozen=True)
class CategoryCodec(FeatureCodec):
    """A categorical column: levels are its values (and null), cells are groups of levels.

    Levels too rare to be told from noise share a cell; inside a cell levels are drawn by their DP mass.

    Attributes:
      name: Name of the column, or of the part of a timestamp.
      values: Public, or found by DP partition selection.
      nullable: Whether null is a level, the last one.
      cell_of: Cell of each level, shape (n_levels,), from 0 without gaps.
      level_mass: DP mass of each level, non-negative, shape (n_levels,).
    """

    name: str
    values: tuple[str, ...]
    nullable: bool
    cell_of: Int64Array
    level_mass: Float64Array
    is_category: ClassVar[Literal[True]] = True

    @property
    def n_cells(self) -> int:
        """Cells, with the one of null."""
        return int(self.cell_of.max()) + 1

    @property
    def n_value_cells(self) -> int:
        """All cells: null is a level like the others."""
        return self.n_cells

    @property
    def n_coordinates(self) -> int:
        """One for each cell."""
        return self.n_cells

    @property
    def max_squared_norm(self) -> float:
        """One coordinate of 1/sqrt(2)."""
        return 0.5

    @cached_property
    def cell_mass(self) -> Float64Array:
        """DP mass of each cell, shape (n_cells,)."""
        return np.bincount(self.cell_of, self.level_mass, self.n_cells).astype(np.float64)

    def pack(self, values: NDArray[np.generic], out: Int16Array) -> None:
        """Sets the coordinate of each row's cell."""
        out[np.arange(len(values)), self.cells_of_values(values)] = CATEGORY_COORDINATE

    def cells(self, packed: Int16Array) -> Int64Array:
        """Finds the one coordinate that is not zero; a row that was clipped to zero counts in the first cell."""
        cell = np.zeros(len(packed), dtype=np.min_scalar_type(self.n_cells))
        for own in range(1, self.n_cells):
            cell += (packed[:, own] > 0) * cell.dtype.type(own)
        return cell.astype(np.int64)

    def nearest_cells(self, rows: Float64Array) -> Int64Array:
        """Finds the largest coordinate."""
        return np.asarray(rows.argmax(axis=1), dtype=np.int64)

    def cells_of_values(self, values: NDArray[np.generic]) -> Int64Array:
        """Finds the cell of each level."""
        return np.asarray(self.cell_of[np.asarray(values, dtype=np.int64)])

    def decode_cells(self, cell: Int64Array, rng: np.random.Generator) -> Levels:
        """Draws a level inside each cell; -1 is null."""
        level = self.draw(cell, rng.random(len(cell)))
        if self.nullable:
            level[level == len(self.values)] = -1
        return Levels(level, self.values)

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Int64Array:
        """Draws a level inside each cell by the levels' DP mass.

        Args:
          cell: Shape (n,), in [0, n_cells).
          uniform: Shape (n,), in [0, 1).
        """
        return self._levels.draw(cell, uniform)

    @cached_property
    def _levels(self) -> LevelTable:
        return LevelTable.of(self.cell_of, self.level_mass)

    def with_unseen(self, value: str) -> CategoryCodec:
        """The same column with one more value, the last: its rows count as the most frequent value, none is drawn."""
        place = len(self.values)
        cell = self.cell_of[int(self.level_mass[:place].argmax())]
        return replace(
            self,
            values=(*self.values, value),
            cell_of=np.insert(self.cell_of, place, cell),
            level_mass=np.insert(self.level_mass, place, 0.0),
        )

    def values_in(self, cells: Int64Array) -> list[str]:
        """The values of the levels in the given cells; null is named so."""
        names = (*self.values, "null")
        return [names[level] for level in np.flatnonzero(np.isin(self.cell_of, cells))]

    def cells_holding(self, value: str) -> BoolArray:
        """The cell of the category's level."""
        holds = np.array([own == value for own in self.values], dtype=np.bool_)
        cells = np.zeros(self.n_cells, dtype=np.bool_)
        cells[self.cell_of[: len(self.values)][holds]] = True
        return cells

    def cells_within(self, low: float, high: float) -> BoolArray:
        """None."""
        return np.zeros(self.n_cells, dtype=np.bool_)


def category_codec(
    name: str, values: tuple[str, ...], nullable: bool, masses: Float64Array, *, min_rows: float, max_cells: int
) -> CategoryCodec:
    """Makes a codec from the levels' DP masses.

    Args:
      name, values, nullable: The column's name and categories, and whether it may be null.
      masses: Rows of each level, with null last where nullable, shape (n_levels,). RELEASED.
      min_rows: Levels with fewer rows share a cell, where there are more than FEW_LEVELS of them.
      max_cells: Most cells of values; the rarest levels share one.
    """
    n_values = len(values)
    own = np.argsort(-masses[:n_values], kind="stable")[:max_cells]
    if n_values > FEW_LEVELS:
        own = own[masses[own] >= min_rows]
    cell_of = np.full(n_values, len(own), dtype=np.int64)
    cell_of[np.sort(own)] = np.arange(len(own))
    if nullable:
        cell_of = np.append(cell_of, cell_of.max() + 1)
    return CategoryCodec(name, values, nullable, cell_of, np.maximum(masses, 0.0))
