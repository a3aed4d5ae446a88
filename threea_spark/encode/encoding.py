"""The encoding of a table: where each column lies in the packed vector, and which cells it counts in.

A row becomes int16 coordinates on a public grid: scores of numbers, an indicator of null for nullable numbers, scaled
one-hot levels of categories. Everything later stages see of a row is this vector and its class.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import Float32Array, Float64Array, Int16Array, Int64Array
from threea_spark.encode.codes import (
    CATEGORY_COORDINATE,
    SCORE_GRID,
    SCORE_LIMIT,
    CategoryCode,
    ColumnCode,
    NumberCode,
    QuantileCode,
)
from threea_spark.privacy.clipping import clip_rows

_LARGEST_SCORE = int(SCORE_LIMIT * SCORE_GRID)


@dataclass(frozen=True)
class Encoding:
    """Codes of all feature columns, in order, and of the label.

    Attributes:
      codes: Of the features, in the domain's order; parts of timestamps follow their timestamp.
      label: Code of the label; None for the task "none". A number is learned by its cells.
      clip_norm: L2 bound on a packed vector, in units of score.
    """

    codes: tuple[ColumnCode, ...]
    label: ColumnCode | None
    clip_norm: float

    @property
    def is_gaussian(self) -> bool:
        """Whether numbers are coded by an affine map, so that moments rather than cells describe them."""
        return not any(isinstance(code, QuantileCode) for code in self.codes) and bool(self.numbers)

    @cached_property
    def numbers(self) -> tuple[NumberCode, ...]:
        """Codes of the numeric features."""
        return tuple(code for code in self.codes if not isinstance(code, CategoryCode))

    @property
    def n_classes(self) -> int:
        """How many classes the label has: categories, cells of a number, or one where there is no label."""
        return 1 if self.label is None else n_cells_of(self.label)

    @cached_property
    def width(self) -> int:
        """Coordinates of a packed vector."""
        return sum(_n_coordinates(code) for code in self.codes)

    @cached_property
    def offsets(self) -> Int64Array:
        """First coordinate of each feature, shape (n_features,)."""
        sizes = [_n_coordinates(code) for code in self.codes]
        return np.cumsum([0, *sizes[:-1]]).astype(np.int64) if sizes else np.zeros(0, np.int64)

    @cached_property
    def cell_offsets(self) -> Int64Array:
        """First cell of each feature among all cells, shape (n_features + 1,)."""
        return np.cumsum([0, *[n_cells_of(code) for code in self.codes]]).astype(np.int64)

    @property
    def n_cells(self) -> int:
        """Cells of all features together."""
        return int(self.cell_offsets[-1])

    @property
    def norm_bound(self) -> int:
        """L2 bound on a packed vector, in grid units."""
        return int(self.clip_norm * SCORE_GRID)

    def pack(self, columns: list[NDArray[np.generic]], n_rows: int | None = None) -> Int16Array:
        """Codes a batch of rows.

        Args:
          columns: One array for each feature: float64 with NaN for null, or int levels. PRIVATE.
          n_rows: Of the batch, where a table may have no feature to tell it from.

        Returns:
          Shape (n, width), norm at most norm_bound, checked in integers. PRIVATE.
        """
        if n_rows is None:
            n_rows = len(columns[0]) if columns else 0
        packed = np.zeros((self.width, n_rows), dtype=np.int16).T  # columns are contiguous, as in the staged blocks
        for code, start, values in zip(self.codes, self.offsets, columns, strict=True):
            if isinstance(code, CategoryCode):
                levels = np.asarray(values, dtype=np.int64)
                packed[np.arange(n_rows), start + code.cell_of[levels]] = CATEGORY_COORDINATE
            else:
                _pack_number(code, np.asarray(values, dtype=np.float64), packed, int(start))
        if self.norm_bound >= self._largest_norm:
            return packed
        return clip_rows(packed.astype(np.int64), self.norm_bound).astype(np.int16)

    @cached_property
    def _largest_norm(self) -> float:
        """No row is longer: a null number has its mark in place of its score."""
        numbers = len(self.numbers) * SCORE_LIMIT**2
        return SCORE_GRID * float(np.sqrt(numbers + 0.5 * (len(self.codes) - len(self.numbers))))

    def cells(self, packed: Int16Array) -> Int64Array:
        """Finds the cell of every feature of each packed row, counted through all features.

        Args:
          packed: Shape (n, width). PRIVATE.

        Returns:
          Shape (n, n_features): exactly one cell a feature, so a row's cell counts have squared norm n_features.
        """
        found = np.empty((len(self.codes), len(packed)), dtype=np.int64)
        for column, (code, start) in enumerate(zip(self.codes, self.offsets, strict=True)):
            own = found[column]
            own[:] = self.cell_offsets[column]
            if isinstance(code, CategoryCode):
                for level in range(1, code.n_cells):  # at most one coordinate is not zero
                    own += (packed[:, start + level] > 0) * np.int64(level)
            else:
                own += self._cell_tables[column][packed[:, start].astype(np.int64) + _LARGEST_SCORE]
                if code.nullable:
                    own[packed[:, start + 1] > 0] = self.cell_offsets[column] + code.n_cells
        return found.T

    @cached_property
    def _cell_tables(self) -> dict[int, NDArray[np.uint16]]:
        """Cell of each score on the grid, for each number: int16 has few values, so a table replaces a search."""
        grid = np.arange(-_LARGEST_SCORE, _LARGEST_SCORE + 1) / SCORE_GRID
        numbers = [(column, code) for column, code in enumerate(self.codes) if not isinstance(code, CategoryCode)]
        return {column: code.cell(grid).astype(np.uint16) for column, code in numbers}

    def scores(self, packed: Int16Array) -> Float32Array:
        """The packed rows in units of score, shape (n, width). PRIVATE if the rows are."""
        return packed.astype(np.float32) / np.float32(SCORE_GRID)

    def class_of(self, values: NDArray[np.generic]) -> Int64Array:
        """Finds the class of each label value: a level, or the cell of a number (null has a cell of its own)."""
        if self.label is None:
            return np.zeros(len(values), dtype=np.int64)
        if isinstance(self.label, CategoryCode):
            return self.label.cell_of[np.asarray(values, dtype=np.int64)]
        numbers = np.asarray(values, dtype=np.float64)
        missing = np.isnan(numbers)
        cell = self.label.cell(np.rint(self.label.score(_filled(self.label, numbers)) * SCORE_GRID) / SCORE_GRID)
        return np.where(missing & self.label.nullable, self.label.n_cells, cell)


def n_cells_of(code: ColumnCode) -> int:
    """Cells of a column, with the one of null where it is nullable."""
    return code.n_cells if isinstance(code, CategoryCode) else code.n_cells + int(code.nullable)


def _n_coordinates(code: ColumnCode) -> int:
    return code.n_cells if isinstance(code, CategoryCode) else 1 + int(code.nullable)


def _filled(code: NumberCode, values: Float64Array) -> Float64Array:
    """Null counts as the middle of the bounds wherever a number is needed: public, whatever the rows hold."""
    return np.where(np.isnan(values), 0.5 * (code.lower + code.upper), values)


def _pack_number(code: NumberCode, values: Float64Array, packed: Int16Array, start: int) -> None:
    missing = np.isnan(values)
    score = np.rint(code.score(_filled(code, values)) * SCORE_GRID).astype(np.int16)
    if code.nullable:
        packed[:, start] = np.where(missing, 0, score)
        packed[:, start + 1] = np.where(missing, CATEGORY_COORDINATE, 0)
    else:
        packed[:, start] = score
