"""How one column is coded: numbers by DP quantiles or by an affine map, categories by their level.

Every code maps values to scores (the coordinate that clusters and kernels see) and to cells (what histograms count),
and cells back to values. All numbers held here are public or RELEASED.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import ndtr, ndtri

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.grid import LeafGrid
from threea_spark.encode.guided_search import GuidedSearch
from threea_spark.encode.point import PointCode

NumberKind: TypeAlias = Literal["integer", "float", "timestamp"]

SCORE_GRID = 4096
"""Grid units of one unit of score: int16 holds scores up to 8, in steps of 1/4096."""
SCORE_LIMIT = 3.0
CATEGORY_COORDINATE = int(SCORE_GRID / np.sqrt(2.0))
"""One-hot coordinates are scaled by 1/sqrt(2), so two different levels lie 1 apart."""
FEW_LEVELS = 12
_LEAST_MASS = 1e-9
_WORTH_A_CELL = 0.25


@dataclass(frozen=True)
class QuantileCode:
    """A numeric column in normal scores of its DP distribution.

    Attributes:
      name, kind, nullable: Of the column.
      grid: Public leaves.
      cdf: DP distribution at the leaves' ends, shape (n_leaves + 1,), from 0 to 1, strictly increasing.
      cell_starts: First leaf of each cell, shape (n_cells,), increasing from 0.
      null_share: DP share of rows that are null.
    """

    name: str
    kind: NumberKind
    nullable: bool
    grid: LeafGrid
    cdf: Float64Array
    cell_starts: Int64Array
    null_share: float = 0.0

    @property
    def n_cells(self) -> int:
        """Cells of values, without the one of nulls."""
        return len(self.cell_starts)

    @property
    def lower(self) -> float:
        """Public lower bound."""
        return float(self.grid.low[0])

    @property
    def upper(self) -> float:
        """Public upper bound."""
        return float(self.grid.high[-1])

    def score(self, values: Float64Array) -> Float64Array:
        """Maps values to normal scores in [-SCORE_LIMIT, SCORE_LIMIT]; no NaN may enter."""
        leaf = self.grid.index(values)
        mass = self.cdf[leaf + 1] - self.cdf[leaf]
        return _normal_score(self.cdf[leaf] + self.grid.fraction(values, leaf) * mass)

    @cached_property
    def cell_edges(self) -> Float64Array:
        """Scores at which a new cell begins, shape (n_cells - 1,)."""
        return _normal_score(self.cdf[self.cell_starts[1:]])

    def cell(self, score: Float64Array) -> Int64Array:
        """Finds the cell of each score."""
        return np.searchsorted(self.cell_edges, score, side="right").astype(np.int64)

    @cached_property
    def cell_score(self) -> Float64Array:
        """Score in the middle of each cell's mass, shape (n_cells,)."""
        return _normal_score(self.cdf[self.cell_starts] + 0.5 * self.cell_mass)

    @cached_property
    def cell_mass(self) -> Float64Array:
        """DP mass of each cell, shape (n_cells,)."""
        return np.diff(np.append(self.cdf[self.cell_starts], 1.0))

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Float64Array:
        """Draws a value inside each cell by the DP distribution of its leaves.

        Args:
          cell: Shape (n,), in [0, n_cells).
          uniform: Shape (n,), in [0, 1).
        """
        return self._quantile(self.cdf[self.cell_starts[cell]] + uniform * self.cell_mass[cell])

    def value(self, score: Float64Array) -> Float64Array:
        """Maps scores back to values; the inverse of `score` up to a leaf that holds one value."""
        return self._quantile(ndtr(score))

    @cached_property
    def _search(self) -> GuidedSearch:
        return GuidedSearch(self.cdf)

    def _quantile(self, u: Float64Array) -> Float64Array:
        leaf = self._search.leaf_of(u)
        mass = self.cdf[leaf + 1] - self.cdf[leaf]
        return self.grid.value(leaf, np.clip((u - self.cdf[leaf]) / mass, 0.0, 1.0))


@dataclass(frozen=True)
class AffineCode:
    """A numeric column shifted and scaled by DP moments.

    Attributes:
      name, kind, nullable: Of the column.
      lower, upper: Public bounds.
      mean, scale: RELEASED; scale > 0.
      cell_edges: Scores at which a new cell begins, shape (n_cells - 1,).
      null_share: DP share of rows that are null.
    """

    name: str
    kind: NumberKind
    nullable: bool
    lower: float
    upper: float
    mean: float
    scale: float
    cell_edges: Float64Array
    null_share: float = 0.0

    @property
    def n_cells(self) -> int:
        """Cells of values, without the one of nulls."""
        return len(self.cell_edges) + 1

    def score(self, values: Float64Array) -> Float64Array:
        """Maps values to scores in [-SCORE_LIMIT, SCORE_LIMIT]; no NaN may enter."""
        clipped = np.clip(values, self.lower, self.upper)
        return np.clip((clipped - self.mean) / self.scale, -SCORE_LIMIT, SCORE_LIMIT)

    def cell(self, score: Float64Array) -> Int64Array:
        """Finds the cell of each score."""
        return np.searchsorted(self.cell_edges, score, side="right").astype(np.int64)

    @cached_property
    def _ends(self) -> Float64Array:
        lowest = max(-SCORE_LIMIT, (self.lower - self.mean) / self.scale)
        highest = min(SCORE_LIMIT, (self.upper - self.mean) / self.scale)
        return np.concatenate([[lowest], np.clip(self.cell_edges, lowest, highest), [highest]])

    @cached_property
    def cell_score(self) -> Float64Array:
        """Score in the middle of each cell, shape (n_cells,)."""
        return 0.5 * (self._ends[:-1] + self._ends[1:])

    @cached_property
    def cell_mass(self) -> Float64Array:
        """Mass of each cell under a standard normal, shape (n_cells,)."""
        mass = np.maximum(np.diff(ndtr(self._ends)), _LEAST_MASS)
        return np.asarray(mass / mass.sum(), dtype=np.float64)

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Float64Array:
        """Draws a value inside each cell by a normal law cut to it."""
        below, above = ndtr(self._ends[cell]), ndtr(self._ends[cell + 1])
        return self.value(np.asarray(ndtri(below + uniform * (above - below)), dtype=np.float64))

    def value(self, score: Float64Array) -> Float64Array:
        """Maps scores back to values within the bounds; whole numbers are rounded."""
        values = np.clip(self.mean + self.scale * score, self.lower, self.upper)
        return np.asarray(values if self.kind == "float" else np.rint(values), dtype=np.float64)


@dataclass(frozen=True)
class CategoryCode:
    """A categorical column: levels are its values (and null), cells are groups of levels.

    Levels too rare to be told from noise share a cell; inside a cell levels are drawn by their DP mass.

    Attributes:
      name: Of the column, or of the timestamp it is a part of.
      values: Public, or found by DP partition selection.
      nullable: Whether null is a level, the last one.
      cell_of: Cell of each level, shape (n_levels,), from 0 without gaps.
      level_mass: DP mass of each level, non-negative, shape (n_levels,).
      part: hour, weekday or month, where it is a part of a timestamp; else empty.
    """

    name: str
    values: tuple[str, ...]
    nullable: bool
    cell_of: Int64Array
    level_mass: Float64Array
    part: str = ""

    @property
    def n_levels(self) -> int:
        """Levels, with the one of null."""
        return len(self.values) + int(self.nullable)

    @property
    def n_cells(self) -> int:
        """Cells, with the one of null."""
        return int(self.cell_of.max()) + 1

    @cached_property
    def cell_mass(self) -> Float64Array:
        """DP mass of each cell, shape (n_cells,)."""
        return np.bincount(self.cell_of, self.level_mass, self.n_cells).astype(np.float64)

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Int64Array:
        """Draws a level inside each cell by the levels' DP mass."""
        order = np.argsort(self.cell_of, kind="stable")
        weight = np.maximum(self.level_mass[order], _LEAST_MASS)
        edges = np.concatenate([[0.0], np.cumsum(weight)])
        first = np.searchsorted(self.cell_of[order], np.arange(self.n_cells + 1))
        below, above = edges[first[cell]], edges[first[cell + 1]]
        place = np.searchsorted(edges, below + uniform * (above - below), side="right") - 1
        return np.asarray(order[np.clip(place, first[cell], first[cell + 1] - 1)], dtype=np.int64)


NumberCode: TypeAlias = QuantileCode | AffineCode | PointCode
ColumnCode: TypeAlias = NumberCode | CategoryCode


def quantile_code(
    name: str,
    kind: NumberKind,
    nullable: bool,
    grid: LeafGrid,
    masses: Float64Array,
    *,
    cell_rows: float,
    null_share: float = 0.0,
) -> QuantileCode:
    """Makes a code from the leaves' DP masses.

    Args:
      name, kind, nullable, grid: Of the column.
      masses: Rows in each leaf, non-negative, shape (n_leaves,). RELEASED.
      cell_rows: Least rows of a cell; a leaf that holds as many is a cell of its own.
      null_share: DP share of rows that are null.
    """
    masses = masses[: grid.n_leaves]
    even = np.full(grid.n_leaves, 1.0 / grid.n_leaves)
    weight = masses / masses.sum() if masses.sum() > 0.0 else even
    weight = (1.0 - _LEAST_MASS * grid.n_leaves) * weight + _LEAST_MASS * grid.n_leaves * even
    cdf = np.concatenate([[0.0], np.cumsum(weight)])
    least = cell_rows / max(float(masses.sum()), cell_rows)
    return QuantileCode(name, kind, nullable, grid, cdf / cdf[-1], _cut_cells(weight, least), null_share)


def _cut_cells(weight: Float64Array, least: float) -> Int64Array:
    """Groups leaves, from the left, into cells of mass `least` or a little more; a heavy leaf is a cell alone."""
    starts, mass = [0], 0.0
    for leaf, own in enumerate(weight):
        if leaf > 0 and (mass >= least or (own >= least and mass > _WORTH_A_CELL * least)):
            starts.append(leaf)
            mass = 0.0
        mass += float(own)
    if len(starts) > 1 and mass < _WORTH_A_CELL * least:
        starts.pop()
    return np.array(starts, dtype=np.int64)


def category_code(
    name: str, values: tuple[str, ...], nullable: bool, masses: Float64Array, *, least_rows: float, max_cells: int
) -> CategoryCode:
    """Makes a code from the levels' DP masses.

    Args:
      name, values, nullable: Of the column.
      masses: Rows of each level, with null last where nullable, shape (n_levels,). RELEASED.
      least_rows: Levels with fewer rows share a cell, where there are more than FEW_LEVELS of them.
      max_cells: Most cells of values; the rarest levels share one.
    """
    n_values = len(values)
    own = np.argsort(-masses[:n_values], kind="stable")[:max_cells]
    if n_values > FEW_LEVELS:
        own = own[masses[own] >= least_rows]
    cell_of = np.full(n_values, len(own), dtype=np.int64)
    cell_of[np.sort(own)] = np.arange(len(own))
    if nullable:
        cell_of = np.append(cell_of, cell_of.max() + 1)
    return CategoryCode(name, values, nullable, cell_of, np.maximum(masses, 0.0))


def _normal_score(u: Float64Array) -> Float64Array:
    return np.clip(ndtri(u), -SCORE_LIMIT, SCORE_LIMIT)
