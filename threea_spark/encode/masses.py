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
_NEGLIGIBLE = 1e-12


def leaf_masses(noisy: Float64Array, n_rows: float, stddev: float, grid: LeafGrid) -> Float64Array:
    """Turns noisy node counts into non-negative leaf masses that sum to the number of rows.

    Args:
      noisy: Noisy counts, shape (n_nodes,), equal noise at every node. RELEASED.
      n_rows: Noisy number of rows, positive. RELEASED.
      stddev: Standard deviation of the noise.
      grid: Public leaves.

    Returns:
      Shape (grid.n_leaves,). RELEASED.
    """
    exists = np.arange(BRANCHING**grid.n_levels) < grid.n_leaves
    tree = consistent_tree(noisy, n_rows, exists)
    tails, in_tail = _tails(tree, n_rows, stddev, grid)
    takes_rest = exists & ~in_tail
    takes_rest[: grid.n_leaves] &= True if grid.whole else ~grid.is_atom
    bulk = bulk_masses(tree, max(n_rows - float(tails.sum()), 0.0), stddev, exists & ~in_tail, takes_rest)
    masses = np.where(in_tail, tails, bulk)[: grid.n_leaves]
    return with_reach(masses * (n_rows / float(masses.sum())), stddev, grid)


def _tails(tree: ConsistentTree, n_rows: float, stddev: float, grid: LeafGrid) -> tuple[Float64Array, BoolArray]:
    """Masses of the leaves of both tails, no more than all rows, and which leaves these are; shapes (n_leaves,)."""
    masses, in_tail = np.zeros(len(tree.counts[-1])), np.zeros(len(tree.counts[-1]), dtype=np.bool_)
    if grid.n_levels > 1 and 0.0 < stddev < n_rows / _ROWS_WITH_TAILS:  # exact counts, in conditional mode, need no fit
        for is_upper in (False, True):
            inside, rows = Side(grid, tree, stddev, n_rows, is_upper).tail()
            masses, in_tail = np.maximum(masses, rows), in_tail | inside
    if in_tail[: grid.n_leaves].all() and not masses.any():  # two tails of noise, and nothing between them
        masses, in_tail = np.zeros_like(masses), np.zeros_like(in_tail)
    return masses * min(1.0, n_rows / max(float(masses.sum()), _NEGLIGIBLE)), in_tail


def bulk_masses(
    tree: ConsistentTree, n_rows: float, stddev: float, holds: BoolArray, takes_rest: BoolArray
) -> Float64Array:
    """Shares the rows of the bulk out, level by level; shape (n_leaves,).

    Args:
      tree: Consistent counts.
      n_rows: Rows of the bulk.
      stddev: Standard deviation of the noise on each count.
      holds: Leaves of the bulk.
      takes_rest: Those of them that may share what does not stand out: not a bound's own leaf.
    """
    counts, weights = [np.where(holds, tree.counts[-1], 0.0)], [np.where(takes_rest, 1.0, _NEGLIGIBLE * holds)]
    for own in tree.counts[-2::-1]:
        outside = np.where(holds, 0.0, tree.counts[-1]).reshape(len(own), -1).sum(axis=1)
        counts.append(own - outside)
        weights.append(weights[-1].reshape(-1, BRANCHING).sum(axis=1))
    masses = np.array([n_rows])
    for own, weight in zip(counts[::-1], weights[::-1], strict=True):
        masses = share_out(masses, own.reshape(-1, BRANCHING), weight.reshape(-1, BRANCHING), SIGNIFICANT * stddev)
    return masses
