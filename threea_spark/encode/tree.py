"""Noisy counts on a tree of leaves, made consistent.

A row adds one to its leaf and to each of the leaf's ancestors, one for each level, so a column's squared sensitivity is
the number of levels whatever the number of leaves. Source: Hay, Rastogi, Miklau, Suciu 2010, arXiv 0904.0942,
section 4; 16 children a node: Qardaji, Yang, Li 2013, Understanding hierarchical methods for differentially private
histograms, PVLDB 6(14).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.grid import BRANCHING


def n_nodes(n_levels: int) -> int:
    """Nodes of a tree, without its root."""
    return sum(_sizes(n_levels))


def _sizes(n_levels: int) -> list[int]:
    return [BRANCHING**level for level in range(1, n_levels + 1)]


def tree_counts(leaf: Int64Array, n_levels: int) -> Int64Array:
    """Counts rows at every node, level by level from the top.

    Args:
      leaf: Leaf of each row, shape (n,), in [0, BRANCHING**n_levels). PRIVATE.
      n_levels: Levels of the tree.

    Returns:
      Shape (n_nodes,), exact counts. PRIVATE.
    """
    counts = np.bincount(leaf, minlength=BRANCHING**n_levels).astype(np.int64)
    levels = [counts]
    for _ in range(n_levels - 1):
        levels.append(levels[-1].reshape(-1, BRANCHING).sum(axis=1))
    return np.concatenate(levels[::-1])


@dataclass(frozen=True)
class ConsistentTree:
    """Counts of all nodes; those of the children sum to their parent's, and the top level's to the rows. RELEASED.

    Attributes:
      own: Noisy counts as they were read, level by level from the top.
      below: Best reading of each node from itself and what lies below it, independent within a level.
      variances: Of `below`, in squared noises of one count; 0 where no leaf exists.
      counts: Best readings from all nodes; unbiased, so some are negative.
    """

    own: list[Float64Array]
    below: list[Float64Array]
    variances: list[Float64Array]
    counts: list[Float64Array]


def consistent_tree(noisy: Float64Array, total: float, exists: BoolArray) -> ConsistentTree:
    """Weighs each node's count against the sum of its children, upward, and against its parent, downward.

    Args:
      noisy: Noisy counts, shape (n_nodes,), equal noise at every node. RELEASED.
      total: Number of rows, as if it were exact. RELEASED.
      exists: Which leaves exist, shape (n_leaves,); the others are known to be empty. Public.
    """
    n_levels = next(levels for levels in range(1, 64) if BRANCHING**levels == len(exists))
    own = list(np.split(noisy, np.cumsum(_sizes(n_levels))[:-1]))
    variances = [exists.astype(np.float64)]
    below = [np.where(exists, own[-1], 0.0)]
    for count in own[-2::-1]:
        children = below[-1].reshape(-1, BRANCHING).sum(axis=1)
        variance = variances[-1].reshape(-1, BRANCHING).sum(axis=1)
        share = variance / (variance + 1.0)  # an only child is its parent: both read the same rows
        below.append(share * count + (1.0 - share) * children)
        variances.append(share)
    below, variances = below[::-1], variances[::-1]
    counts: list[Float64Array] = []
    parents = np.array([total])
    for reading, variance in zip(below, variances, strict=True):
        part = variance.reshape(-1, BRANCHING)
        whole = part.sum(axis=1, keepdims=True)
        missing = parents[:, None] - reading.reshape(-1, BRANCHING).sum(axis=1, keepdims=True)
        parents = (reading.reshape(-1, BRANCHING) + part / np.where(whole > 0.0, whole, 1.0) * missing).ravel()
        counts.append(parents)
    return ConsistentTree(own, below, variances, counts)


def share_out(parents: Float64Array, children: Float64Array, weights: Float64Array, threshold: float) -> Float64Array:
    """Shares each parent's mass out: children that stand out keep theirs, the others split the rest by weight.

    Args:
      parents: Shape (n,).
      children: Noisy counts, shape (n, k).
      weights: Of the children among the rest, shape (n, k).
      threshold: The count from which a child stands out.

    Returns:
      Shape (n * k,), non-negative; the children of a parent sum to it, or to 0 where none has a weight.
    """
    mass = np.maximum(parents, 0.0)[:, None]
    stands_out = children >= threshold
    kept = np.where(stands_out, children, 0.0)
    rest = np.maximum(mass - kept.sum(axis=1, keepdims=True), 0.0)
    others = np.where(stands_out, 0.0, weights)
    n_others = others.sum(axis=1, keepdims=True)
    shared = kept + others * (rest / np.where(n_others > 0.0, n_others, 1.0))
    whole = shared.sum(axis=1, keepdims=True)
    return np.where(whole > 0.0, shared * (mass / np.where(whole > 0.0, whole, 1.0)), 0.0).ravel()
