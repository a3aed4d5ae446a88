"""A number in normal scores of its DP distribution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.cell_cuts import cut_cells
from threea_spark.encode.feature import SCORE_LIMIT
from threea_spark.encode.grid import GuidedSearch, LeafGrid
from threea_spark.encode.numbers import NumberCodec
from threea_spark.encode.steps import NumberKind
from threea_spark.encode.value_table import ValueTable
from threea_spark.encode.written import StepMixture, WrittenLeaves

_MIN_MASS = 1e-12


@dataclass(frozen=True)
class QuantileCodec(NumberCodec):
    """A numeric column in normal scores of its DP distribution.

    Attributes:
      name, kind, nullable, null_share, steps: As in every number.
      grid: Public leaves.
      cdf: DP distribution at the leaves' ends, shape (n_leaves + 1,), from 0 to 1, strictly increasing.
      cell_starts: First leaf of each cell, shape (n_value_cells,), increasing from 0.
    """

    name: str
    kind: NumberKind
    nullable: bool
    grid: LeafGrid
    cdf: Float64Array
    cell_starts: Int64Array
    null_share: float = 0.0
    steps: StepMixture | None = None

    @cached_property
    def lower(self) -> float:
        """Public lower bound."""
        return float(self.grid.low[0])

    @cached_property
    def upper(self) -> float:
        """Public upper bound."""
        return float(self.grid.high[-1])

    @cached_property
    def cell_edges(self) -> Float64Array:
        """Scores at which a new cell begins, shape (n_value_cells - 1,)."""
        return _normal_score(self.cdf[self.cell_starts[1:]])

    @cached_property
    def cell_mass(self) -> Float64Array:
        """DP mass of each cell, shape (n_value_cells,)."""
        return np.diff(np.append(self.cdf[self.cell_starts], 1.0))

    def score(self, values: Float64Array) -> Float64Array:
        """Maps values to normal scores in [-SCORE_LIMIT, SCORE_LIMIT]; no NaN may enter."""
        leaf, (start, width, mass) = self.grid.index(values), self._lines
        if not mass.any():
            return self._start_scores[leaf]
        u = np.clip(values, self.lower, self.upper)
        u -= self.grid.low[leaf]
        u /= width[leaf]
        np.clip(u, 0.0, 1.0, out=u)
        u *= mass[leaf]
        u += start[leaf]
        return _normal_score(u)

    @cached_property
    def _lines(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Within a leaf the distribution is a line: where it starts, over what width, and how far it rises.

        In a leaf of one value it is level, at the middle of its mass; all of shape (n_leaves,).
        """
        is_atom, mass = self.grid.is_atom, self.cdf[1:] - self.cdf[:-1]
        start = np.where(is_atom, self.cdf[:-1] + 0.5 * mass, self.cdf[:-1])
        return start, np.where(is_atom, 1.0, self.grid.high - self.grid.low), np.where(is_atom, 0.0, mass)

    @cached_property
    def _start_scores(self) -> Float64Array:
        """Scores where the lines start, shape (n_leaves,)."""
        return _normal_score(self._lines[0])

    def value(self, score: Float64Array) -> Float64Array:
        """Maps scores back to values; the inverse of `score` up to a leaf that holds one value."""
        return self.grid.value(*self._place(ndtr(score)))

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Float64Array:
        """Draws a value inside each cell by the DP distribution of its leaves, in the steps that values follow."""
        place = uniform * self.cell_mass.take(cell)
        place += self._cell_begins.take(cell)
        return self._values.value(place)

    def cells_of_leaves(self) -> tuple[LeafGrid, Int64Array]:
        """The leaves, and the cell in which the middle of each is counted."""
        low, high = self.grid.low, self.grid.high
        middle = np.floor(0.5 * low + 0.5 * high) if self.grid.whole else 0.5 * low + 0.5 * high
        return self.grid, self.cells_of_values(middle)

    @property
    def by_quantiles(self) -> QuantileCodec:
        """This codec."""
        return self

    @property
    def is_alone(self) -> BoolArray:
        """Which leaves are cells of their own, shape (n_leaves,)."""
        ends = np.append(self.cell_starts[1:], self.grid.n_leaves)
        alone = np.zeros(self.grid.n_leaves, dtype=np.bool_)
        alone[self.cell_starts[ends - self.cell_starts == 1]] = True
        return alone

    def on_leaves(self, grid: LeafGrid, masses: Float64Array, *, cell_rows: float, alone: BoolArray) -> QuantileCodec:
        """The same number on other leaves.

        Args:
          grid, masses, cell_rows: As `quantile_codec` takes them.
          alone: Leaves that stay cells of their own, shape (n_leaves,).
        """
        made = quantile_codec(self.name, self.kind, self.nullable, grid, masses, cell_rows=cell_rows, spikes=alone)
        return replace(self, grid=grid, cdf=made.cdf, cell_starts=made.cell_starts)

    def recut(self, n_cells: int) -> QuantileCodec:
        """The same number in about so many cells of equal mass."""
        return replace(self, cell_starts=cut_cells(np.diff(self.cdf), 1.0 / n_cells))

    @cached_property
    def _search(self) -> GuidedSearch:
        return GuidedSearch(self.cdf)

    @cached_property
    def _cell_begins(self) -> Float64Array:
        return self.cdf[self.cell_starts]

    @cached_property
    def _values(self) -> ValueTable:
        leaves = None if self.steps is None else WrittenLeaves(self.grid, self.steps)
        return ValueTable.of(self.grid, self.cdf, leaves)

    def _place(self, u: Float64Array) -> tuple[Int64Array, Float64Array]:
        """Leaf of each place of the distribution, and how far into the leaf's mass it lies."""
        leaf = self._search.leaf_of(u)
        mass = self.cdf[leaf + 1] - self.cdf[leaf]
        return leaf, np.clip((u - self.cdf[leaf]) / mass, 0.0, 1.0)


def quantile_codec(
    name: str,
    kind: NumberKind,
    nullable: bool,
    grid: LeafGrid,
    masses: Float64Array,
    *,
    cell_rows: float,
    null_share: float = 0.0,
    spikes: BoolArray | None = None,
    steps: StepMixture | None = None,
) -> QuantileCodec:
    """Makes a codec from the leaves' DP masses.

    Args:
      name, kind, nullable, grid: As in the column's field.
      masses: Rows in each leaf, non-negative, shape (n_leaves,). RELEASED.
      cell_rows: Least rows of a cell; a leaf that holds as many is a cell of its own.
      null_share: DP share of rows that are null.
      spikes: Leaves that are cells of their own with fewer rows, too, shape (n_leaves,).
      steps: As in the codec.
    """
    masses = masses[: grid.n_leaves]
    even = np.full(grid.n_leaves, 1.0 / grid.n_leaves)
    weight = masses / masses.sum() if masses.sum() > 0.0 else even
    weight = (1.0 - _MIN_MASS * grid.n_leaves) * weight + _MIN_MASS * grid.n_leaves * even
    cdf = np.concatenate([[0.0], np.cumsum(weight)])
    min_mass = cell_rows / max(float(masses.sum()), cell_rows)
    starts = cut_cells(weight, min_mass, spikes)
    return QuantileCodec(name, kind, nullable, grid, cdf / cdf[-1], starts, null_share, steps)


def _normal_score(u: Float64Array) -> Float64Array:
    score = ndtri(u)
    return np.asarray(np.clip(score, -SCORE_LIMIT, SCORE_LIMIT, out=score), dtype=np.float64)
