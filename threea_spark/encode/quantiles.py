"""A number coded by the quantiles of its DP distribution, which is measured on a tree of public leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode import tree
from threea_spark.encode.cell_cuts import cut_cells
from threea_spark.encode.feature import SCORE_LIMIT
from threea_spark.encode.grid import BRANCHING, GuidedSearch, LeafGrid
from threea_spark.encode.masses import leaf_masses
from threea_spark.encode.numbers import NumberCodec, NumberField
from threea_spark.encode.refining import Spikes, Written, leaf_weights, refined
from threea_spark.encode.rules import CELL_STDDEVS
from threea_spark.encode.steps import NumberKind, Step
from threea_spark.encode.written import StepMixture, WrittenLeaves, raked

_MIN_MASS = 1e-12


@dataclass(frozen=True)
class QuantileField(NumberField):
    """A numeric column or timestamp before its distribution is known: counts at the nodes of a tree, and of nulls.

    Attributes:
      name, kind, nullable: As the domain declares the column.
      grid: Public leaves.
      step: The step that the domain declares, if any.
      atoms: Values that the domain declares to be frequent.
      is_label: Cells of the label are classes, of which there are few: spikes get none of their own.
    """

    name: str
    kind: NumberKind
    nullable: bool
    grid: LeafGrid
    step: Step | None = None
    atoms: tuple[float, ...] = ()
    is_label: bool = False
    is_category: ClassVar[Literal[False]] = False
    has_leaves: ClassVar[Literal[True]] = True

    @property
    def counts_every_value(self) -> bool:
        """Whether each value has a leaf of its own."""
        return self.grid.whole and bool(self.grid.is_atom.all())

    @property
    def plain_values(self) -> tuple[float, ...]:
        """Values that say nothing of a step: the bounds, zero (of a number) and declared atoms."""
        zero = () if self.kind == "timestamp" else (0.0,)
        return (float(self.grid.low[0]), float(self.grid.high[-1]), *zero, *self.atoms)

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

    def present_rows(self, block: Float64Array, n_rows: float) -> float:
        """DP number of rows that are not null, at least 1."""
        return max(n_rows - self._nulls(block, n_rows), 1.0)

    def leaf_rows(self, block: Float64Array, n_rows: float) -> Float64Array:
        """Best readings of the leaves from all nodes, unbiased, shape (n_leaves,)."""
        exists = np.arange(BRANCHING**self.grid.n_levels) < self.grid.n_leaves
        counts = tree.consistent_tree(block[:-1], self.present_rows(block, n_rows), exists).counts
        return counts[-1][: self.grid.n_leaves]

    def fit(
        self, block: Float64Array, n_rows: float, stddev: float, n_cells: int, written: Written | None = None
    ) -> QuantileCodec:
        """Makes the codec from the consistent masses of the leaves, and of the spikes in them."""
        written = Written(None, Spikes.none(self.grid)) if written is None else written
        weights, holds = leaf_weights(self.grid, self.atoms, written)
        masses = leaf_masses(block[:-1], self.present_rows(block, n_rows), stddev, self.grid, weights)
        grid, masses, is_spike = refined(self.grid, masses, written.spikes, holds)
        steps = written.mixture
        if steps is not None:
            steps, masses = raked(WrittenLeaves(grid, steps), masses, ~is_spike & ~np.isin(grid.low, self.plain_values))
        return quantile_codec(
            self.name,
            self.kind,
            self.nullable,
            grid,
            masses,
            cell_rows=max(n_rows / n_cells, CELL_STDDEVS * stddev),
            null_share=self._nulls(block, n_rows) / max(n_rows, 1.0),
            spikes=None if self.is_label else is_spike,
            steps=steps,
        )

    def _nulls(self, block: Float64Array, n_rows: float) -> float:
        return min(max(float(block[-1]), 0.0), n_rows) if self.nullable else 0.0


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
        leaf = self.grid.index(values)
        mass = self.cdf[leaf + 1] - self.cdf[leaf]
        return _normal_score(self.cdf[leaf] + self.grid.fraction(values, leaf) * mass)

    def value(self, score: Float64Array) -> Float64Array:
        """Maps scores back to values; the inverse of `score` up to a leaf that holds one value."""
        return self.grid.value(*self._place(ndtr(score)))

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Float64Array:
        """Draws a value inside each cell by the DP distribution of its leaves, in the steps that values follow."""
        leaf, fraction = self._place(self.cdf[self.cell_starts[cell]] + uniform * self.cell_mass[cell])
        return self.grid.value(leaf, fraction) if self._written is None else self._written.value(leaf, fraction)

    def recut(self, n_cells: int) -> QuantileCodec:
        """The same number in about so many cells of equal mass."""
        return replace(self, cell_starts=cut_cells(np.diff(self.cdf), 1.0 / n_cells))

    @cached_property
    def _search(self) -> GuidedSearch:
        return GuidedSearch(self.cdf)

    @cached_property
    def _written(self) -> WrittenLeaves | None:
        return None if self.steps is None else WrittenLeaves(self.grid, self.steps)

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
    return np.clip(ndtri(u), -SCORE_LIMIT, SCORE_LIMIT)
