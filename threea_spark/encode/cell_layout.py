"""Where the cells of each feature lie among the cells of all features: slicing, splitting, adding up, normalising."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from threea_spark.arrays import Float64Array, Int64Array


@dataclass(frozen=True)
class CellLayout:
    """The cells of all features, feature after feature, on the last axis of an array.

    Attributes:
      sizes: Cells of each feature, with the one of null.
    """

    sizes: tuple[int, ...]

    @cached_property
    def offsets(self) -> Int64Array:
        """First cell of each feature, and the end, shape (n_features + 1,)."""
        return np.cumsum([0, *self.sizes]).astype(np.int64)

    @property
    def n_features(self) -> int:
        """How many features there are."""
        return len(self.sizes)

    @property
    def n_cells(self) -> int:
        """Cells of all features together."""
        return int(self.offsets[-1])

    @cached_property
    def feature_of_cell(self) -> Int64Array:
        """Feature of each cell, shape (n_cells,)."""
        return np.repeat(np.arange(self.n_features), np.diff(self.offsets)).astype(np.int64)

    def of(self, feature: int) -> slice:
        """The cells of one feature."""
        return slice(int(self.offsets[feature]), int(self.offsets[feature + 1]))

    def split(self, cells: Float64Array) -> list[Float64Array]:
        """Splits numbers of all cells, shape (..., n_cells), into one array a feature."""
        return [cells[..., self.of(feature)] for feature in range(self.n_features)]

    def totals(self, cells: Float64Array) -> Float64Array:
        """Sums the cells of each feature, shape (..., n_cells) to (..., n_features)."""
        if not self.sizes:
            return np.zeros((*cells.shape[:-1], 0))
        return np.asarray(np.add.reduceat(cells, self.offsets[:-1], axis=-1), dtype=np.float64)

    def normalise(self, cells: Float64Array) -> Float64Array:
        """Divides by each feature's total: masses, shape (..., n_cells), become probabilities."""
        return np.asarray(cells / np.repeat(self.totals(cells), np.diff(self.offsets), axis=-1), dtype=np.float64)
