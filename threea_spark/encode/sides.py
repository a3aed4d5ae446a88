"""One side of a number's distribution, seen outward: where its tail begins, and which rows its leaves hold.

Nodes are those of the tree's second level: a tail is longer than one of them, or too short to matter. Everything here
is post-processing of RELEASED counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.grid import BRANCHING, LeafGrid
from threea_spark.encode.tails import Reading, TailReadings, fit_tail
from threea_spark.encode.tree import ConsistentTree, share_out

_TAIL_DEVIATIONS = 6.0
"""A tail holds so many standard deviations of the noise on it: enough to tell its shape."""
_TAIL_SHARE = 0.02
_LARGEST_TAIL = 0.5
_STANDS_OUT = 4.0  # standard deviations by which a node exceeds the fit, or the leaf of a bound exceeds zero
_DENSE = 6.0  # standard deviations
_MIN_NODES = 3
_NARROWEST = 1e-9  # of the range


@dataclass(frozen=True)
class Side:
    """One side of a tree of at least two levels. RELEASED.

    Attributes:
      grid: Public leaves.
      tree: Consistent counts of its nodes.
      stddev: Standard deviation of the noise on each count.
      n_rows: What the counts of a level sum to.
      is_upper: Whether outward means larger values.
    """

    grid: LeafGrid
    tree: ConsistentTree
    stddev: float
    n_rows: float
    is_upper: bool

    @cached_property
    def _leaves_a_node(self) -> int:
        return int(BRANCHING ** (self.grid.n_levels - 2))

    @cached_property
    def _nodes(self) -> Int64Array:
        """Nodes that hold leaves, outward."""
        nodes = np.arange(-(-self.grid.n_leaves // self._leaves_a_node))
        return nodes if self.is_upper else nodes[::-1]

    @cached_property
    def _edges(self) -> Float64Array:
        """Where nodes begin and the last one ends, on an axis that points outward, shape (n_nodes + 1,)."""
        starts = np.minimum(np.arange(len(self._nodes) + 1) * self._leaves_a_node, self.grid.n_leaves)
        edges = self.grid.edges[starts]
        return edges if self.is_upper else -edges[::-1]

    @cached_property
    def _bound_leaf(self) -> int:
        return self.grid.n_leaves - 1 if self.is_upper else 0

    @cached_property
    def _rows_at_bound(self) -> float:
        """Rows that hold the bound itself, if it has a leaf of its own that stands out: a cap, or a code."""
        rows = float(self.tree.counts[-1][self._bound_leaf])
        return rows if self.grid.is_atom[self._bound_leaf] and rows >= _STANDS_OUT * self.stddev else 0.0

    @cached_property
    def _rows(self) -> Float64Array:
        """Best reading of each node, outward, without the bound's rows."""
        rows = self.tree.counts[1][self._nodes]
        rows[-1] -= self._rows_at_bound
        return rows

    @cached_property
    def _beyond(self) -> Float64Array:
        """Reading of the rows from each node outward, shape (n_nodes,)."""
        return np.cumsum(self._rows[::-1])[::-1]

    @cached_property
    def _error(self) -> Float64Array:
        """Standard deviation of `_beyond`, nearly: a sum is read from whole parents and what lies in one more.

        Of n nodes whose sum is known, k together have k (n - k) / n times the variance of one.
        """
        parents = self._nodes // BRANCHING
        own = np.abs(parents - parents[0])
        _, first, sizes = np.unique(own, return_index=True, return_counts=True)
        size = sizes[own]
        inside = size - (np.arange(len(own)) - first[own])
        whole = len(sizes) - 1 - own + (inside == size)
        inside = np.where(inside == size, 0, inside)
        variance = whole * (len(sizes) - whole) / len(sizes) + inside * (size - inside) / size + (inside / size) ** 2
        return np.asarray(self.stddev * np.sqrt(np.maximum(variance, 1.0)), dtype=np.float64)

    @cached_property
    def _first(self) -> int:
        """The node, counted outward, at which the tail begins; the number of nodes where there is no tail."""
        needed = np.maximum(_TAIL_DEVIATIONS * self._error, _TAIL_SHARE * self.n_rows)
        enough = np.flatnonzero(self._beyond >= needed)
        if not len(enough):
            return len(self._nodes)
        first = int(enough[-1])
        small = np.flatnonzero(self._beyond[first:] + self._rows_at_bound <= _LARGEST_TAIL * self.n_rows)
        return first + int(small[0]) if len(small) else len(self._nodes)

    def tail(self) -> tuple[BoolArray, Float64Array]:
        """Which leaves lie in the tail, and the rows in each leaf, shapes (n_leaves,) of the whole tree.

        There is no tail where nodes are too few to tell it.
        """
        first, nodes = self._first, self._nodes[self._first :]
        leaves = np.arange(len(self.tree.counts[-1]))
        inside = np.isin(leaves // self._leaves_a_node, nodes) & (leaves < self.grid.n_leaves)
        if first == 0 or len(nodes) < _MIN_NODES:
            return np.zeros_like(inside), np.zeros(len(leaves))
        rows = self._fitted(nodes)
        rows[self._bound_leaf] += self._rows_at_bound
        return inside, rows

    def _fitted(self, nodes: Int64Array) -> Float64Array:
        """Rows of the tail's leaves by the fit, shape (n_leaves,); what stands out from it keeps its count."""
        readings = self._readings()
        rows = self._rows_by(readings)
        of_nodes = rows.reshape(-1, self._leaves_a_node).sum(axis=1)
        apart = readings.rows - of_nodes[nodes] >= _STANDS_OUT * self.stddev
        if apart.any():
            rows = self._rows_by(readings.without(apart))
            of_nodes = rows.reshape(-1, self._leaves_a_node).sum(axis=1)
            of_nodes[nodes[apart]] = readings.rows[apart]
        counts = self.tree.counts[-1].copy()
        counts[self._bound_leaf] -= self._rows_at_bound
        shape = (-1, self._leaves_a_node)
        return share_out(of_nodes, counts.reshape(shape), rows.reshape(shape), _STANDS_OUT * self.stddev)

    def _rows_by(self, readings: TailReadings) -> Float64Array:
        """Rows of the tail's leaves by a fit to readings, 0 elsewhere, shape (n_leaves,) of the whole tree."""
        edges = self.grid.edges if self.is_upper else -self.grid.edges[::-1]
        fitted = fit_tail(readings).rows_between(np.maximum(edges - self._edges[self._first], 0.0))
        rows = np.zeros(len(self.tree.counts[-1]))
        rows[: self.grid.n_leaves] = fitted if self.is_upper else fitted[::-1]
        return rows

    def _readings(self) -> TailReadings:
        """All independent readings of the tail: of its nodes, and of parents that lie in it with all they hold."""
        first, nodes, square = self._first, self._nodes[self._first :], self.stddev**2
        rows = self.tree.below[1][nodes]
        rows[-1] -= self._rows_at_bound
        variances = np.maximum(self.tree.variances[1][nodes], 0.5) * square
        return TailReadings(
            self._edges[first:] - self._edges[first], rows, variances, list(self._sums(nodes, square)), self._density()
        )

    def _sums(self, nodes: Int64Array, square: float) -> Iterator[Reading]:
        """Own counts of the parents, and what the whole tail holds."""
        every, own = self._nodes // BRANCHING, nodes // BRANCHING
        for parent in np.unique(own):
            held = np.flatnonzero(own == parent)
            if len(held) == np.sum(every == parent):
                at_bound = self._rows_at_bound if held[-1] == len(nodes) - 1 else 0.0
                rows = float(self.tree.own[0][parent]) - at_bound
                yield Reading(int(held[0]), int(held[-1]) + 1, rows, square)
        first, error = self._first, float(self._error[self._first])
        yield Reading(0, len(nodes), max(float(self._beyond[first]), error), error**2)

    def _density(self) -> float:
        """Rows per unit of value just before the tail begins, over as many nodes as it takes to stand out."""
        inward = np.cumsum(self._rows[: self._first][::-1])
        enough = np.flatnonzero(inward >= _DENSE * self.stddev)
        back = int(enough[0]) + 1 if len(enough) else self._first
        width = float(self._edges[self._first] - self._edges[self._first - back])
        narrowest = _NARROWEST * float(self._edges[-1] - self._edges[0])  # a bound's own leaf has no width
        return max(float(inward[back - 1]), self.stddev) / max(width, narrowest)
