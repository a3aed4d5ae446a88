"""A finer look at leaves that hold too many rows: where the data are narrow and the bounds wide.

The first histogram says, under noise, which leaves hold so many rows that one leaf is more than a cell should be. Each
of them is cut into leaves of its own and counted once more; a row lies in one leaf of a column at most, so it adds one
for each level of the new trees. Source of the idea: Zhang, Xiao, Xie 2016, PrivTree, arXiv 1601.03229.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode import tree
from threea_spark.encode.codec import Feature
from threea_spark.encode.grid import BRANCHING, N_LEAVES, N_LEVELS, LeafGrid
from threea_spark.encode.masses import bulk_masses
from threea_spark.encode.packing import Reader
from threea_spark.encode.quantile_codec import QuantileCodec
from threea_spark.encode.rules import CELL_STDDEVS
from threea_spark.encode.tree import consistent_tree
from threea_spark.encode.written import WrittenLeaves
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

COARSE_SHARE = 1.0 / 16.0
"""Share of all rows from which a leaf that holds more than one value is too coarse; so there are at most 16 of them."""
_CLEAR_STDDEVS = 2.0 * CELL_STDDEVS
"""Standard deviations of the noise that such a leaf holds at least: enough for two cells."""


@dataclass(frozen=True)
class FinerColumn:
    """One column's coarse leaves, each cut into leaves of its own.

    Attributes:
      place: Of the column's feature among all features.
      codec: Of the first look. RELEASED.
      coarse: Its leaves that are looked into, increasing, shape (k,). RELEASED.
      children: What each of them is cut into.
      n_levels: Levels of the tree over each leaf's children.
    """

    place: int
    codec: QuantileCodec
    coarse: Int64Array
    children: tuple[LeafGrid, ...]
    n_levels: int

    @property
    def size(self) -> int:
        """Coordinates of its counts."""
        return len(self.coarse) * tree.n_nodes(self.n_levels)

    def counts(self, values: NDArray[np.generic]) -> Int64Array:
        """Exact counts of one batch at the nodes of the trees, tree after tree, shape (size,). PRIVATE."""
        numbers = values.astype(np.float64)
        missing = np.isnan(numbers)
        if self.codec.nullable:
            numbers = numbers[~missing]
        else:  # a null where none is allowed counts as the middle of the bounds: public
            numbers = np.where(missing, 0.5 * (self.codec.lower + self.codec.upper), numbers)
        leaf = self.codec.grid.index(numbers)
        own = (grid.index(numbers[leaf == at]) for at, grid in zip(self.coarse, self.children, strict=True))
        return np.concatenate([tree.tree_counts(places, self.n_levels) for places in own])

    def refined(self, noisy: Float64Array, stddev: float, *, n_rows: float, cell_rows: float) -> QuantileCodec:
        """The column's codec, with the rows of each coarse leaf shared out among its children.

        Args:
          noisy: Counts at the trees' nodes, shape (size,). RELEASED.
          stddev: Standard deviation of the noise on each of them.
          n_rows: DP number of rows that are not null.
          cell_rows: Least rows of a cell.
        """
        old, masses = self.codec.grid, n_rows * np.diff(self.codec.cdf)
        split = (np.split(own, self.coarse) for own in (old.low, old.high, masses, self.codec.is_alone))
        lows, highs, rows, lone = split
        low, high, found, alone = [lows[0]], [highs[0]], [rows[0]], [lone[0]]
        for own, grid, block in zip(range(1, len(lows)), self.children, np.split(noisy, len(self.coarse)), strict=True):
            shared = self._shared(block, float(rows[own][0]), stddev, grid)
            low += [grid.low, lows[own][1:]]
            high += [grid.high, highs[own][1:]]
            found += [shared, rows[own][1:]]
            alone += [np.zeros(grid.n_leaves, dtype=np.bool_), lone[own][1:]]
        grid = LeafGrid(np.concatenate(low), np.concatenate(high), old.whole)
        kept = np.concatenate(alone).astype(np.bool_)
        return self.codec.on_leaves(grid, np.concatenate(found), cell_rows=cell_rows, alone=kept)

    def _shared(self, block: Float64Array, rows: float, stddev: float, grid: LeafGrid) -> Float64Array:
        """Rows of each child of one leaf, non-negative, shape (grid.n_leaves,), by what stands out of the noise."""
        own = np.zeros(BRANCHING**self.n_levels)
        own[: grid.n_leaves] = self._weights(grid)
        return bulk_masses(consistent_tree(block, rows, own > 0.0), rows, stddev, own)[: grid.n_leaves]

    def _weights(self, grid: LeafGrid) -> Float64Array:
        """How children share rows: those without any value of the column's steps hold none."""
        even = np.ones(grid.n_leaves)
        if self.codec.steps is None:
            return even
        weights = WrittenLeaves(grid, self.codec.steps).weights
        return weights if weights.any() else even


@dataclass(frozen=True)
class FinerLook:
    """All columns that are looked at again, in one sum."""

    columns: tuple[FinerColumn, ...]

    @property
    def size(self) -> int:
        """Coordinates of the sum."""
        return sum(column.size for column in self.columns)

    @property
    def bound(self) -> RowBound:
        """One for each level of the trees of each column."""
        return RowBound.count(sum(column.n_levels for column in self.columns))

    def query(self, reader: Reader) -> SumQuery[pa.RecordBatch]:
        """The counts of all columns, as one sum."""
        columns = self.columns

        def contribution(batch: pa.RecordBatch) -> Int64Array:
            values = reader.read(batch)
            return np.concatenate([column.counts(values[column.place]) for column in columns])

        return SumQuery(stage=Stage.ENCODE, name="finer", bound=self.bound, size=self.size, contribution=contribution)

    def refined(
        self,
        codecs: Sequence[Feature],
        noisy: Float64Array,
        stddev: float,
        *,
        n_rows: float,
        cell_rows: Sequence[float],
    ) -> tuple[Feature, ...]:
        """Replaces the codecs of the columns that were looked at again.

        Args:
          codecs: Of all features, as the first look made them.
          noisy: Shape (size,). RELEASED.
          stddev: Standard deviation of the noise on each count.
          n_rows: DP number of rows.
          cell_rows: Least rows of a cell of each feature.
        """
        made, ends = list(codecs), np.cumsum([column.size for column in self.columns])[:-1]
        for column, own in zip(self.columns, np.split(noisy, ends), strict=True):
            present = n_rows * (1.0 - column.codec.null_share)
            least = max(cell_rows[column.place], CELL_STDDEVS * stddev)
            made[column.place] = column.refined(own, stddev, n_rows=present, cell_rows=least)
        return tuple(made)


def finer_look(codecs: Sequence[Feature], n_rows: float, stddev: float) -> FinerLook | None:
    """Finds the columns that need a finer look, from the first look's released codecs; None if none does.

    Args:
      codecs: Of all features. RELEASED.
      n_rows: DP number of rows.
      stddev: Standard deviation of the noise on a count of the first look, in rows.
    """
    columns = []
    for place, codec in enumerate(codecs):
        if (own := codec.by_quantiles) is None:
            continue
        present = n_rows * (1.0 - own.null_share)
        rows = present * np.diff(own.cdf)
        coarse = ~own.grid.is_atom & (rows >= max(COARSE_SHARE * present, _CLEAR_STDDEVS * stddev))
        if coarse.any():
            columns.append(_finer_column(place, own, np.flatnonzero(coarse)))
    return FinerLook(tuple(columns)) if columns else None


def largest_bound(n_numbers: int) -> RowBound:
    """The bound of a look at all of so many numeric features."""
    return RowBound.count(N_LEVELS * n_numbers)


def _finer_column(place: int, codec: QuantileCodec, coarse: Int64Array) -> FinerColumn:
    """Cuts leaves into so many that all new ones together are no more than a grid has."""
    allowed = max(levels for levels in range(1, N_LEVELS + 1) if len(coarse) * BRANCHING**levels <= N_LEAVES)
    children = tuple(_cut(codec.grid, int(leaf), BRANCHING**allowed) for leaf in coarse)
    return FinerColumn(place, codec, coarse, children, max(grid.n_levels for grid in children))


def _cut(grid: LeafGrid, leaf: int, n_parts: int) -> LeafGrid:
    """Cuts one leaf into parts of equal width; whole numbers into single ones, where they are few."""
    low, high = float(grid.low[leaf]), float(grid.high[leaf])
    if not grid.whole:
        edges = np.unique(np.linspace(low, high, n_parts + 1))
        return LeafGrid(edges[:-1], edges[1:], whole=False)
    starts = np.unique(np.ceil(np.linspace(low, high + 1.0, n_parts + 1)))[:-1]
    return LeafGrid(starts, np.append(starts[1:] - 1.0, high), whole=True)
