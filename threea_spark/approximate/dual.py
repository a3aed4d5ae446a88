"""Cheapest assignment with minimum sizes, solved exactly on a graph of the components.

A row assigned to j can move to k at the cost c_ik - c_ij; what the cheapest such row costs is the length of the edge
j -> k. One more node, the overflow, takes the rows beyond the minima for nothing. Each shortest path from where rows
are spare to where they lack moves one row along each of its edges, and leaves an assignment that is optimal for the
sizes it has. The distances, added up, are the prices.
Source: successive shortest paths, Ahuja, Magnanti, Orlin 1993, Network Flows, section 9.7; on components instead of
rows as in Tokuyama, Nakano 1995, Efficient algorithms for the Hitchcock transportation problem, SIAM J. Comput. 24.
"""

from __future__ import annotations

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array

_MARGINS = 10.0 ** np.arange(-2.0, -11.0, -1.0)


class ResidualGraph:
    """An assignment that is optimal for the sizes it has, and where rows may move to.

    Attributes:
      component: Component of each row, shape (n,).
      prices: Shape (k + 1,), the overflow's last and zero: component = argmin(cost - prices), up to ties.
      sizes: Rows of each component, shape (k,).
    """

    def __init__(self, cost: Float64Array, prices: Float64Array) -> None:
        """Starts where every row is at the argmin of cost - prices, and no component needs any.

        Args:
          cost: Shape (k, n), infinite where the component may not take the row.
          prices: Not negative, shape (k,).
        """
        k = len(cost)
        self._cost, self._need = cost, np.zeros(k, dtype=np.int64)
        self.prices = np.append(prices, 0.0)
        self.component = np.asarray((cost - prices[:, None]).argmin(axis=0), dtype=np.int64)
        self.sizes = np.bincount(self.component, minlength=k)
        self._length = np.full((k + 1, k + 1), np.inf)
        self._row = np.full((k + 1, k + 1), -1, dtype=np.int64)  # which row makes the length
        for j in range(k):
            self._measure(j, np.arange(k))
        self._length[:k, k] = 0.0
        # What a price is paid for must not overflow (complementary slackness): it is spare, and has to move.
        self._overflow = np.where(prices > 0.0, 0, self.sizes)
        self._spare = np.append(self.sizes - self._overflow, self._overflow.sum() - cost.shape[1])

    def fill(self, need: Int64Array) -> None:
        """Moves rows until every component holds what it needs, or no row is left that could come.

        Args:
          need: Rows each component must hold, not fewer than at the last call, shape (k,). What the last call reached
            is kept.
        """
        more = need - self._need
        kept = np.minimum(more, self._overflow)
        self._overflow -= kept
        self._spare += np.append(kept - more, (more - kept).sum())
        self._need = need
        while True:
            self._length[-1, :-1] = np.where(self._overflow > 0, 0.0, np.inf)
            reduced = np.maximum(self._length + self.prices[:, None] - self.prices, 0.0)
            found = shortest_paths(reduced, np.where(self._spare > 0, 0.0, np.inf))
            if found is None:
                raise ArithmeticError("reduced lengths are never negative")
            distance, before = found
            lacking = (self._spare < 0) & np.isfinite(distance)
            if not lacking.any():
                return
            self.prices += np.where(np.isfinite(distance), distance, distance[np.isfinite(distance)].max())
            self.prices -= self.prices[-1]
            self._move(lacking, distance, before)

    def interior_prices(self, scale: float) -> Float64Array | None:
        """Prices of the same assignment that no row is undecided at, or None where ties allow none.

        p_k - p_j <= length_jk - margin is a system of difference constraints, which shortest distances meet. The
        largest margin of a geometric ladder is taken. Where ties allow none for all, rows of a component with more
        than it needs may be undecided: those that leave it leave enough.

        Args:
          scale: What margins are measured by.
        """
        tight = np.append(self.sizes <= self._need, False)
        for decided in (np.arange(len(tight)) < len(tight) - 1, tight):
            for margin in _MARGINS * scale:
                length = self._length.copy()
                length[decided, :-1] -= margin
                if (found := shortest_paths(length, np.zeros(len(length)))) is not None:
                    return np.asarray(np.maximum(found[0][:-1] - found[0][-1], 0.0), dtype=np.float64)
        return None

    def _measure(self, j: int, others: Int64Array) -> None:
        """Finds the cheapest row to move from j to each of the others."""
        own = np.flatnonzero(self.component == j)
        self._length[j, others] = np.inf
        if len(own):
            dearer = self._cost[np.ix_(others, own)] - self._cost[j, own]
            cheapest = dearer.argmin(axis=1)
            self._length[j, others] = dearer[np.arange(len(others)), cheapest]
            self._row[j, others] = own[cheapest]
        self._length[j, j] = np.inf

    def _move(self, lacking: BoolArray, distance: Float64Array, before: Int64Array) -> None:
        """Moves one row along each edge of shortest paths that share no edge and no row, nearest first."""
        moved: dict[int, tuple[int, int]] = {}
        sinks = np.flatnonzero(lacking)
        for sink in sinks[np.argsort(distance[sinks], kind="stable")]:
            path = [int(sink)]
            while before[path[-1]] >= 0:
                path.append(int(before[path[-1]]))
            edges = list(zip(path[1:], path[:-1], strict=True))
            rows = [int(self._row[edge]) for edge in edges if edge[0] < len(self.sizes) > edge[1]]
            opened = [k for j, k in edges if j == len(self.sizes)]
            if self._spare[path[-1]] <= 0 or len({*rows, *moved}) < len(rows) + len(moved):
                continue
            if any(self._overflow[k] <= 0 for k in opened):
                continue
            self._spare[path[-1]] -= 1
            self._spare[sink] += 1
            for j, k in edges:
                self._along(j, k, moved)
        self._remeasure(moved)

    def _along(self, j: int, k: int, moved: dict[int, tuple[int, int]]) -> None:
        if k == len(self.sizes):
            self._overflow[j] += 1
        elif j == len(self.sizes):
            self._overflow[k] -= 1
        else:
            moved[int(self._row[j, k])] = (j, k)

    def _remeasure(self, moved: dict[int, tuple[int, int]]) -> None:
        """Puts the rows where they moved; only lengths that one of them made, or shortens, change."""
        for row, (j, k) in moved.items():
            self.component[row] = k
            self.sizes[j] -= 1
            self.sizes[k] += 1
        for row, (j, _) in moved.items():
            stale = np.flatnonzero(self._row[j, :-1] == row)
            if len(stale):
                self._measure(j, stale)
        for row, (_, k) in moved.items():
            dearer = self._cost[:, row] - self._cost[k, row]
            shorter = np.flatnonzero(dearer < self._length[k, :-1])
            self._length[k, shorter], self._row[k, shorter] = dearer[shorter], row
            self._length[k, k] = np.inf


def shortest_paths(length: Float64Array, distance: Float64Array) -> tuple[Float64Array, Int64Array] | None:
    """Finds shortest paths by Bellman and Ford, one vectorised round for each edge of the longest path.

    Args:
      length: Length of the edge from row to column, infinite where there is none, shape (m, m).
      distance: To start from: zero at sources, infinite elsewhere, shape (m,).

    Returns:
      Distance of each node and the node before it (-1: none), each of shape (m,); None where a cycle is negative.
    """
    nodes = np.arange(len(distance))
    before = np.full(len(distance), -1, dtype=np.int64)
    changed = np.flatnonzero(np.isfinite(distance))
    for _ in range(len(distance) + 1):
        if not len(changed):
            return distance, before
        reached = distance[changed, None] + length[changed]
        via = reached.argmin(axis=0)
        best = reached[via, nodes]
        nearer = best < distance
        distance = np.where(nearer, best, distance)
        before[nearer] = changed[via[nearer]]
        changed = np.flatnonzero(nearer)
    return None
