"""The levels of a category in each of its cells: what a drawn level is looked up in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import Float64Array, Int64Array

_MIN_MASS = 1e-9


@dataclass(frozen=True)
class LevelTable:
    """The levels of each cell.

    Attributes:
      order: Levels, cell after cell, shape (n_levels,).
      first: First place of each cell among them, and the end, shape (n_cells + 1,).
      edges: Mass of the levels before each place, and of all, shape (n_levels + 1,).
      single: The level of a cell that has one, else -1, shape (n_cells,).
    """

    order: Int64Array
    first: Int64Array
    edges: Float64Array
    single: Int64Array

    @classmethod
    def of(cls, cell_of: Int64Array, level_mass: Float64Array) -> LevelTable:
        """Makes the table; the levels of a cell without mass are equally likely.

        Args:
          cell_of: Cell of each level, shape (n_levels,), from 0 without gaps.
          level_mass: DP mass of each level, non-negative, shape (n_levels,).
        """
        order, n_cells = np.argsort(cell_of, kind="stable").astype(np.int64), int(cell_of.max()) + 1
        is_empty = np.bincount(cell_of, level_mass, n_cells)[cell_of[order]] <= 0.0
        weight = np.where(is_empty, _MIN_MASS, level_mass[order])
        first = np.searchsorted(cell_of[order], np.arange(n_cells + 1)).astype(np.int64)
        single = np.where(np.diff(first) == 1, order[first[:-1]], -1)
        return cls(order, first, np.concatenate([[0.0], np.cumsum(weight)]), single)

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Int64Array:
        """Draws a level inside each cell by the levels' mass.

        Args:
          cell: Shape (n,), in [0, n_cells).
          uniform: Shape (n,), in [0, 1).
        """
        level = self.single.take(cell)
        shared = np.flatnonzero(level < 0)
        if len(shared):
            first, last = self.first[cell[shared]], self.first[cell[shared] + 1] - 1
            below, above = self.edges[first], self.edges[last + 1]
            place = np.searchsorted(self.edges, below + uniform[shared] * (above - below), side="right") - 1
            level[shared] = self.order[np.clip(place, first, last)]
        return level
