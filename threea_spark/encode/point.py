"""A number of which only the mean is released: all its rows take one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from threea_spark.arrays import Float64Array, Int64Array


@dataclass(frozen=True)
class PointCode:
    """A numeric column in one cell.

    Attributes:
      name, kind, nullable: Of the column.
      lower, upper: Public bounds.
      point: The value of every row that is not null. RELEASED.
      null_share: DP share of rows that are null.
    """

    name: str
    kind: Literal["integer", "float", "timestamp"]
    nullable: bool
    lower: float
    upper: float
    point: float
    null_share: float = 0.0

    @property
    def n_cells(self) -> int:
        """Cells of values, without the one of nulls."""
        return 1

    @property
    def cell_edges(self) -> Float64Array:
        """No score begins another cell, shape (0,)."""
        return np.zeros(0)

    @property
    def cell_score(self) -> Float64Array:
        """Score of the only cell, shape (1,)."""
        return np.zeros(1)

    @property
    def cell_mass(self) -> Float64Array:
        """Mass of the only cell, shape (1,)."""
        return np.ones(1)

    def score(self, values: Float64Array) -> Float64Array:
        """Maps every value to 0."""
        return np.zeros(values.shape)

    def cell(self, score: Float64Array) -> Int64Array:
        """Finds the only cell."""
        return np.zeros(score.shape, dtype=np.int64)

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Float64Array:
        """Gives the point, whatever the cell and the uniform numbers, shape (n,)."""
        return np.full(cell.shape, self.point)

    def value(self, score: Float64Array) -> Float64Array:
        """Maps every score to the point."""
        return np.full(score.shape, self.point)
