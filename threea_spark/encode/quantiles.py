"""A number coded by the quantiles of its DP distribution, which is measured on a tree of public leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode import tree
from threea_spark.encode.feature import SCORE_LIMIT
from threea_spark.encode.grid import BRANCHING, GuidedSearch, LeafGrid
from threea_spark.encode.masses import leaf_masses
from threea_spark.encode.numbers import NumberCodec, NumberField, NumberKind
from threea_spark.encode.rules import CELL_STDDEVS

_MIN_MASS = 1e-12
_WORTH_A_CELL = 0.25


@dataclass(frozen=True)
class QuantileField(NumberField):
    """A numeric column or timestamp before its distribution is known: counts at the nodes of a tree, and of nulls."""

    name: str
    kind: NumberKind
    nullable: bool
    grid: LeafGrid
    is_category: ClassVar[Literal[False]] = False

    @property
    def n_nodes(self) -> int:
        """Nodes of the tree, and the count of nulls."""
        return tree.n_nodes(self.grid.n_levels) + 1

    @property
    def squared_norm(self) -> int:
        """One for each level of the tree, or one for a null."""
        return self.grid.n_levels

    def counts(self, values: NDArray[np.generic]) -> Int64Array:
        """Exact counts of one batch, shape (n_nodes,). PRIVATE."""
        numbers = values.astype(np.float64)
        missing = np.isnan(numbers)
        if not self.nullable:  # a null where none is allowed counts as the middle of the bounds: public
            numbers = np.where(missing, 0.5 * (self.grid.low[0] + self.grid.high[-1]), numbers)
            missing = np.zeros_like(missing)
        nodes = tree.tree_counts(self.grid.index(numbers[~missing]), self.grid.n_levels)
        return np.append(nodes, np.int64(missing.sum()))

    def row_readings(self, block: Float64Array) -> Float64Array:
        """The nodes of the tree's top level that hold leaves, and nulls."""
        n_top = -(-self.grid.n_leaves // BRANCHING ** (self.grid.n_levels - 1))
        return np.append(block[:n_top], block[-1])

    def fit(self, block: Float64Array, n_rows: float, stddev: float, n_cells: int) -> QuantileCodec:
        """Makes the codec from the consistent masses of the leaves."""
        nulls = min(max(float(block[-1]), 0.0), n_rows) if self.nullable else 0.0
        masses = leaf_masses(block[:-1], max(n_rows - nulls, 1.0), stddev, self.grid)
        return quantile_codec(
            self.name,
            self.kind,
            self.nullable,
            self.grid,
            masses,
            cell_rows=max(n_rows / n_cells, CELL_STDDEVS * stddev),
            null_share=nulls / max(n_rows, 1.0),
        )


@dataclass(frozen=True)
class QuantileCodec(NumberCodec):
    """A numeric column in normal scores of its DP distribution.

    Attributes:
      name, kind, nullable, null_share: As in every number.
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
        leaf = self.grid.index(values)
        mass = self.cdf[leaf + 1] - self.cdf[leaf]
        return _normal_score(self.cdf[leaf] + self.grid.fraction(values, leaf) * mass)

    def value(self, score: Float64Array) -> Float64Array:
        """Maps scores back to values; the inverse of `score` up to a leaf that holds one value."""
        return self._quantile(ndtr(score))

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Float64Array:
        """Draws a value inside each cell by the DP distribution of its leaves."""
        return self._quantile(self.cdf[self.cell_starts[cell]] + uniform * self.cell_mass[cell])

    @property
    def by_quantiles(self) -> QuantileCodec:
        """This codec."""
        return self

    def on_leaves(self, grid: LeafGrid, masses: Float64Array, *, cell_rows: float) -> QuantileCodec:
        """The same number on other leaves.

        Args:
          grid, masses, cell_rows: As `quantile_codec` takes them.
        """
        made = quantile_codec(self.name, self.kind, self.nullable, grid, masses, cell_rows=cell_rows)
        return replace(self, grid=grid, cdf=made.cdf, cell_starts=made.cell_starts)

    def recut(self, n_cells: int) -> QuantileCodec:
        """The same number in about so many cells of equal mass."""
        return replace(self, cell_starts=_cut_cells(np.diff(self.cdf), 1.0 / n_cells))

    @cached_property
    def _search(self) -> GuidedSearch:
        return GuidedSearch(self.cdf)

    def _quantile(self, u: Float64Array) -> Float64Array:
        leaf = self._search.leaf_of(u)
        mass = self.cdf[leaf + 1] - self.cdf[leaf]
        return self.grid.value(leaf, np.clip((u - self.cdf[leaf]) / mass, 0.0, 1.0))


def quantile_codec(
    name: str,
    kind: NumberKind,
    nullable: bool,
    grid: LeafGrid,
    masses: Float64Array,
    *,
    cell_rows: float,
    null_share: float = 0.0,
) -> QuantileCodec:
    """Makes a codec from the leaves' DP masses.

    Args:
      name, kind, nullable, grid: As in the column's field.
      masses: Rows in each leaf, non-negative, shape (n_leaves,). RELEASED.
      cell_rows: Least rows of a cell; a leaf that holds as many is a cell of its own.
      null_share: DP share of rows that are null.
    """
    masses = masses[: grid.n_leaves]
    even = np.full(grid.n_leaves, 1.0 / grid.n_leaves)
    weight = masses / masses.sum() if masses.sum() > 0.0 else even
    weight = (1.0 - _MIN_MASS * grid.n_leaves) * weight + _MIN_MASS * grid.n_leaves * even
    cdf = np.concatenate([[0.0], np.cumsum(weight)])
    min_mass = cell_rows / max(float(masses.sum()), cell_rows)
    return QuantileCodec(name, kind, nullable, grid, cdf / cdf[-1], _cut_cells(weight, min_mass), null_share)


def _cut_cells(weight: Float64Array, min_mass: float) -> Int64Array:
    """Groups leaves, from the left, into cells of `min_mass` or a little more; a heavy leaf is a cell alone."""
    starts, mass = [0], 0.0
    for leaf, own in enumerate(weight):
        if leaf > 0 and (mass >= min_mass or (own >= min_mass and mass > _WORTH_A_CELL * min_mass)):
            starts.append(leaf)
            mass = 0.0
        mass += float(own)
    if len(starts) > 1 and mass < _WORTH_A_CELL * min_mass:
        starts.pop()
    return np.array(starts, dtype=np.int64)


def _normal_score(u: Float64Array) -> Float64Array:
    return np.clip(ndtri(u), -SCORE_LIMIT, SCORE_LIMIT)
