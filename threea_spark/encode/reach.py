"""Lets a released number reach its public bounds, where rows out there are too few to be seen through the noise.

Beyond the outermost leaf that holds a row, a thin exponential tail is laid up to the bound; what would lie past the
bound is cut to it, as values of the source are. It is so thin that the noise could hide it and that it hardly changes
the column's variance: with a bound far from all values nothing is laid. Post-processing.
"""

from __future__ import annotations

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.encode.grid import LeafGrid

HIDDEN_STDDEVS = 0.5
"""Rows of the tail at most, in standard deviations of the noise."""
_VARIANCE_SHARE = 0.01
_TINY = 1e-300
_PAST_BOUND = 8.0
"""Rows that the tail has past the bound: so many released rows are expected to hold the bound itself."""


def with_reach(masses: Float64Array, stddev: float, grid: LeafGrid) -> Float64Array:
    """Adds thin tails up to both bounds, and keeps the sum.

    Args:
      masses: Rows in each leaf, non-negative, shape (n_leaves,). RELEASED.
      stddev: Standard deviation of the noise on a count, in rows.
      grid: Public leaves.
    """
    held, total = np.flatnonzero(masses >= 1.0), float(masses.sum())
    if not len(held) or stddev <= 0.0:
        return masses
    scale = max(abs(float(grid.low[0])), abs(float(grid.high[-1])), _TINY)  # so that no square is too large
    middle, edges = 0.5 * grid.low / scale + 0.5 * grid.high / scale, grid.edges / scale
    mean = float(np.dot(masses, middle)) / total
    variance = float(np.dot(masses, (middle - mean) ** 2)) / total
    added = np.zeros_like(masses)
    above, below = np.arange(held[-1] + 1, grid.n_leaves), np.arange(held[0] - 1, -1, -1)
    for beyond, outer in ((above, edges[1:]), (below, edges[:-1])):
        if len(beyond):
            bound = float(middle[-1] if beyond is above else middle[0])
            most = _VARIANCE_SHARE * total * variance / max((bound - mean) ** 2, _TINY)
            start = edges[beyond[0]] if beyond is above else edges[beyond[0] + 1]
            added[beyond] = _tail(np.abs(outer[beyond] - start), min(HIDDEN_STDDEVS * stddev, most))
    return np.asarray((masses + added) * (total / (total + float(added.sum()))), dtype=np.float64)


def _tail(reach: Float64Array, rows: float) -> Float64Array:
    """Rows of an exponential tail in leaves from the inside out; none where they are too few to reach the bound.

    Args:
      reach: How far from the tail's start each leaf ends, increasing.
      rows: Of the whole tail.
    """
    if rows <= 2.0 * _PAST_BOUND:
        return np.zeros(len(reach))
    left = np.power(_PAST_BOUND / rows, np.concatenate([[0.0], reach / max(float(reach[-1]), _TINY)]))
    own = rows * (left[:-1] - left[1:])
    own[-1] += _PAST_BOUND
    return np.asarray(own, dtype=np.float64)
