"""Masses of a number's leaves from the noisy counts of its tree.

The bulk is shared out from the top of the tree: nodes that stand out from the noise keep their counts, the others share
the rest evenly. The tails follow fitted distributions instead, because a count that is noise alone would, spread up to
a far bound, outweigh the whole column. Everything here is post-processing of RELEASED counts.
"""

from __future__ import annotations

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array
from threea_spark.encode.grid import BRANCHING, LeafGrid
from threea_spark.encode.reach import with_reach
from threea_spark.encode.sides import Side
from threea_spark.encode.tree import ConsistentTree, consistent_tree, share_out

SIGNIFICANT = 2.0
"""Standard deviations from which a node of the bulk keeps its own count."""
_ROWS_WITH_TAILS = 12.0
"""Standard deviations of the noise that a column's rows must exceed; below, two tails would be noise, and may be so
narrow that all values look alike."""
NEGLIGIBLE = 1e-12
"""Weight of a leaf that keeps what stands out and shares nothing else."""


def leaf_masses(
    noisy: Float64Array, n_rows: float, stddev: float, grid: LeafGrid, weights: Float64Array | None = None
) -> Float64Array:
    """Turns noisy node counts into non-negative leaf masses that sum to the number of rows.

    Args:
      noisy: Noisy counts, shape (n_nodes,), equal noise at every node. RELEASED.
      n_rows: Noisy number of rows, positive. RELEASED.
      stddev: Standard deviation of the noise.
      grid: Public leaves.
      weights: Of leaves that share rows, 0 where no row can be, shape (grid.n_leaves,). RELEASED. If None, all leaves
        weigh the same, but a bound's own leaf and an atom's take no share of what does not stand out.

    Returns:
      Shape (grid.n_leaves,). RELEASED.
    """
    own = np.zeros(BRANCHING**grid.n_levels)
    own[: grid.n_leaves] = np.where(grid.is_atom & (not grid.whole), NEGLIGIBLE, 1.0) if weights is None else weights
    exists = own > 0.0
    tree = consistent_tree(noisy, n_rows, exists)
    tails, in_tail = _tails(tree, n_rows, stddev, grid)
    bulk = bulk_masses(tree, max(n_rows - float(tails.sum()), 0.0), stddev, np.where(in_tail, 0.0, own))
    masses = np.where(in_tail, tails, bulk)[: grid.n_leaves]
    reaching = with_reach(masses * (n_rows / float(masses.sum())), stddev, grid)
    return _to_nearest(reaching, grid, exists[: grid.n_leaves])


def _tails(tree: ConsistentTree, n_rows: float, stddev: float, grid: LeafGrid) -> tuple[Float64Array, BoolArray]:
    """Masses of the leaves of both tails, no more than all rows, and which leaves these are; shapes (n_leaves,)."""
    masses, in_tail = np.zeros(len(tree.counts[-1])), np.zeros(len(tree.counts[-1]), dtype=np.bool_)
    if grid.n_levels > 1 and 0.0 < stddev < n_rows / _ROWS_WITH_TAILS:  # exact counts, in conditional mode, need no fit
        for is_upper in (False, True):
            inside, rows = Side(grid, tree, stddev, n_rows, is_upper).tail()
            masses, in_tail = np.maximum(masses, rows), in_tail | inside
    if in_tail[: grid.n_leaves].all() and not masses.any():  # two tails of noise, and nothing between them
        masses, in_tail = np.zeros_like(masses), np.zeros_like(in_tail)
    return masses * min(1.0, n_rows / max(float(masses.sum()), NEGLIGIBLE)), in_tail


def bulk_masses(tree: ConsistentTree, n_rows: float, stddev: float, own_weights: Float64Array) -> Float64Array:
    """Shares the rows of the bulk out, level by level; shape (n_leaves,).

    Args:
      tree: Consistent counts.
      n_rows: Rows of the bulk.
      stddev: Standard deviation of the noise on each count.
      own_weights: Of its leaves among those that share what does not stand out; 0 outside the bulk.
    """
    holds = own_weights > 0.0
    counts, weights = [np.where(holds, tree.counts[-1], 0.0)], [own_weights]
    for own in tree.counts[-2::-1]:
        outside = np.where(holds, 0.0, tree.counts[-1]).reshape(len(own), -1).sum(axis=1)
        counts.append(own - outside)
        weights.append(weights[-1].reshape(-1, BRANCHING).sum(axis=1))
    masses = np.array([n_rows])
    for own, weight in zip(counts[::-1], weights[::-1], strict=True):
        masses = share_out(masses, own.reshape(-1, BRANCHING), weight.reshape(-1, BRANCHING), SIGNIFICANT * stddev)
    return masses


def _to_nearest(masses: Float64Array, grid: LeafGrid, exists: BoolArray) -> Float64Array:
    """Moves what lies where no row can be to the nearest leaf where one can; shape (n_leaves,)."""
    if exists.all():
        return masses
    middle, places, empty = 0.5 * grid.low + 0.5 * grid.high, np.flatnonzero(exists), np.flatnonzero(~exists)
    above = np.clip(np.searchsorted(places, empty), 1, max(len(places) - 1, 1))
    lower, upper = places[above - 1], places[np.minimum(above, len(places) - 1)]
    is_upper = middle[upper] - middle[empty] < middle[empty] - middle[lower]
    moved = np.where(exists, masses, 0.0)
    np.add.at(moved, np.where(is_upper, upper, lower), masses[empty])
    return moved
