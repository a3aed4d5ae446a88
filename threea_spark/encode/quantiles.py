"""A number coded by the quantiles of its DP distribution, which is measured on a tree of public leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode import tree
from threea_spark.encode.grid import BRANCHING, LeafGrid
from threea_spark.encode.masses import leaf_masses
from threea_spark.encode.numbers import NumberField
from threea_spark.encode.quantile_codec import QuantileCodec, quantile_codec
from threea_spark.encode.refining import Spikes, Written, leaf_weights, refined
from threea_spark.encode.rules import CELL_STDDEVS
from threea_spark.encode.steps import NumberKind, Step
from threea_spark.encode.written import WrittenLeaves, raked


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
        numbers = np.asarray(values, dtype=np.float64)
        missing = np.isnan(numbers)
        n_missing = int(np.count_nonzero(missing))
        if n_missing and self.nullable:
            numbers = numbers[~missing]
        elif n_missing:  # a null where none is allowed counts as the middle of the bounds: public
            numbers, n_missing = np.where(missing, 0.5 * (self.grid.low[0] + self.grid.high[-1]), numbers), 0
        nodes = tree.tree_counts(self.grid.index(numbers), self.grid.n_levels)
        return np.append(nodes, np.int64(n_missing))

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
