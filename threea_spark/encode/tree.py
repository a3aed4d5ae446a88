"""Noisy counts on a tree of leaves, made consistent.

A row adds one to its leaf and to each of the leaf's ancestors, N_LEVELS in all, so a column's squared sensitivity is
N_LEVELS whatever the number of leaves. Source: Hay, Rastogi, Miklau, Suciu 2010, arXiv 0904.0942, section 4.
"""

from __future__ import annotations

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.grid import BRANCHING, N_LEAVES, N_LEVELS

N_NODES = sum(BRANCHING**level for level in range(1, N_LEVELS + 1))
SQUARED_SENSITIVITY = N_LEVELS
SIGNIFICANT = 2.0  # standard deviations
_NEGLIGIBLE = 1e-12


def tree_counts(leaf: Int64Array) -> Int64Array:
    """Counts rows at every node, level by level from the top.

    Args:
      leaf: Leaf of each row, shape (n,), in [0, N_LEAVES). PRIVATE.

    Returns:
      Shape (N_NODES,), exact counts. PRIVATE.
    """
    counts = np.bincount(leaf, minlength=N_LEAVES).astype(np.int64)
    levels = [counts]
    for _ in range(N_LEVELS - 1):
        levels.append(levels[-1].reshape(-1, BRANCHING).sum(axis=1))
    return np.concatenate(levels[::-1])


def leaf_masses(noisy: Float64Array, total: float, stddev: float, takes_rest: BoolArray) -> Float64Array:
    """Turns noisy node counts into non-negative leaf masses that sum to `total`.

    Args:
      noisy: Noisy counts, shape (N_NODES,), equal noise at every node. RELEASED.
      total: What the leaves sum to, positive: the noisy number of rows. RELEASED.
      stddev: Standard deviation of the noise; masses within it are spread evenly or dropped.
      takes_rest: Which leaves may share what does not stand out, shape (N_LEAVES,): not a bound's own leaf.

    Returns:
      Shape (N_LEAVES,). RELEASED.
    """
    levels = _split_levels(noisy)
    estimates: list[Float64Array] = [levels[-1]]
    variances: list[float] = [1.0]
    for own in levels[-2::-1]:  # upward: weigh a node's own count against the sum of its children
        from_children = estimates[-1].reshape(-1, BRANCHING).sum(axis=1)
        variance = BRANCHING * variances[-1]
        share = variance / (variance + 1.0)
        estimates.append(share * own + (1.0 - share) * from_children)
        variances.append(share)
    parents = np.array([total])
    weights = [takes_rest.astype(np.float64)]
    for _ in estimates[1:]:
        weights.append((weights[-1].reshape(-1, BRANCHING).sum(axis=1) > 0.0).astype(np.float64))
    for estimate, weight in zip(estimates[::-1], weights[::-1], strict=True):  # downward: share each mass out
        children, others = estimate.reshape(-1, BRANCHING), weight.reshape(-1, BRANCHING)
        parents = _share_out(parents, children, others, SIGNIFICANT * stddev).ravel()
    return parents


def _split_levels(nodes: Float64Array) -> list[Float64Array]:
    sizes = [BRANCHING**level for level in range(1, N_LEVELS + 1)]
    return list(np.split(nodes, np.cumsum(sizes)[:-1]))


def _share_out(parents: Float64Array, children: Float64Array, weights: Float64Array, threshold: float) -> Float64Array:
    """Shares each parent's mass out: children that stand out keep theirs, the others split the rest by weight.

    A rest that does not stand out either is dropped, so noise alone puts no rows into an empty tail.
    """
    mass = np.maximum(parents, 0.0)[:, None]
    stands_out = children >= threshold
    kept = np.where(stands_out, children, 0.0)
    rest = np.maximum(mass - kept.sum(axis=1, keepdims=True), 0.0)
    others = np.where(stands_out, 0.0, weights)
    others = np.where(others.sum(axis=1, keepdims=True) > 0.0, others, np.where(stands_out, 0.0, _NEGLIGIBLE))
    n_others = others.sum(axis=1, keepdims=True)
    rest = np.where((rest >= threshold) | ~stands_out.any(axis=1, keepdims=True), rest, 0.0)
    shared = kept + others * (rest / np.where(n_others > 0.0, n_others, 1.0))
    whole = shared.sum(axis=1, keepdims=True)
    return np.where(whole > 0.0, shared * (mass / np.where(whole > 0.0, whole, 1.0)), 0.0)
