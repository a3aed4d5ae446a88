"""Prices that keep every cluster at or above its minimum size.

The price is the dual of the size constraint: a cluster below the minimum is paid for each row it takes, until it
holds enough. A cluster that stays below is merged: it is dropped, and its rows fall to their next nearest.
Source: the assignment dual of Bradley, Bennett, Demiriz 2000, Constrained k-means clustering, MSR-TR-2000-65.

`optimal_prices` finds them on rows that the driver holds; the others move step by step on sizes alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from threea_spark.approximate.dual import ResidualGraph
from threea_spark.approximate.mixture import Mixture
from threea_spark.arrays import BoolArray, Float32Array, Float64Array, Int64Array

_STEP = 0.5
_MAX = 2.0
_TEMPERATURES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00003)
_NEWTON_STEPS = 8
_CLOSE_ENOUGH = 0.0005
_MAX_RAISES = 50
_ROUNDING = 1e-9


def optimal_prices(
    cost: Float64Array, least: Float64Array, *, start: Float64Array | None = None, tolerance: float = 1e-6
) -> Float64Array:
    """Finds the prices whose argmin(cost - prices) is the cheapest assignment that holds the minima.

    Newton steps on the smoothed dual come close, shortest paths (dual.py) make it exact, and prices inside the set of
    optimal ones leave no row undecided. Rows that tie in bulk have no such prices: they move together, and the
    components that lack are raised until each holds its minimum.

    Args:
      cost: Discrepancy without prices, infinite where the component may not take the row, shape (n, k).
      least: Rows each component must hold, shape (k,). A fraction is rounded up, where rows are too few down.
      start: Prices to start from, such as those of a similar mixture, shape (k,).
      tolerance: By how much of the typical cost a row that ties in bulk is made to prefer its component.

    Returns:
      Prices, not negative, shape (k,). Where the minima cannot all be held, as many rows as possible count towards
      them, floor(least) first, and the components that are left short are for the caller to merge.
    """
    takes = np.isfinite(cost)
    rows = np.ascontiguousarray(cost[takes.any(axis=1)].T)
    need = np.clip(np.ceil(least - _ROUNDING), 0, takes.sum(axis=0)).astype(np.int64)
    if not need.any():
        return np.zeros(len(least))
    rows -= rows.min(axis=0)  # a row's own constant decides nothing, and costs digits
    bound = _lowest_prices(rows, need)
    scale = _typical(rows - bound[:, None])
    smooth = _smoothed_prices(rows, np.minimum(least, need), bound, scale, start)
    graph = ResidualGraph(rows, smooth)
    graph.fill(np.minimum(np.floor(least + _ROUNDING).astype(np.int64), need))
    graph.fill(need)
    interior = graph.interior_prices(scale)
    return _break_ties(rows, graph, need, tolerance * scale) if interior is None else interior


def _lowest_prices(rows: Float64Array, need: Int64Array) -> Float64Array:
    """No lower price holds the minimum, whatever the others pay: they only pull rows away. Shape (k,)."""
    prices = [np.partition(own, lack - 1)[lack - 1] if lack else 0.0 for own, lack in zip(rows, need, strict=True)]
    return np.asarray(prices, dtype=np.float64)


def _typical(rows: Float64Array) -> float:
    """The median of what a row pays more at a component than at its best one."""
    dearer = rows - rows.min(axis=0)
    positive = dearer[np.isfinite(dearer) & (dearer > 0.0)]
    return float(np.median(positive)) if len(positive) else 1.0


def _smoothed_prices(
    rows: Float64Array, least: Float64Array, bound: Float64Array, scale: float, start: Float64Array | None
) -> Float64Array:
    """Maximises the dual, its minimum over components softened, as the temperature falls.

    g(p) = sum_i min_k(c_ik - p_k) + sum_k p_k least_k becomes -T sum_i log sum_k exp((p_k - c_ik) / T) + p @ least.
    Source: the entropic dual, Peyre, Cuturi 2019, Computational Optimal Transport, chapter 5; damped projected Newton.

    Returns:
      Not negative, shape (k,); near the optimum, not exact.
    """
    own = (rows - bound[:, None]).astype(np.float32)  # half the time; what is lost is found again by dual.py
    finite = np.isfinite(own)
    own -= own.min(axis=0)
    farthest = float(own.max(where=finite, initial=1e-300)) + scale
    prices = bound if start is None else np.maximum(start, bound)
    for temperature in _TEMPERATURES if start is None else _TEMPERATURES[-3:]:
        prices = _newton(own, least, bound, prices, temperature * scale, farthest)
    return prices


def _newton(
    own: Float32Array, least: Float64Array, bound: Float64Array, prices: Float64Array, temperature: float, most: float
) -> Float64Array:
    """A few damped Newton steps at one temperature, none longer than `most`; own is cost - bound."""
    value, shares = _softened(own, prices - bound, least, temperature)
    damping = 1e-3
    for _ in range(_NEWTON_STEPS):
        sizes = shares.sum(axis=1, dtype=np.float64)
        lack = least - sizes
        free = np.flatnonzero((prices > 0.0) | (lack > 0.0))
        if np.abs(lack[free]).sum() <= _CLOSE_ENOUGH * own.shape[1]:
            break
        curvature = (np.diag(sizes) - (shares @ shares.T).astype(np.float64))[np.ix_(free, free)] / temperature
        diagonal = np.maximum(np.diag(curvature), 1e-3 * own.shape[1] / len(own) / temperature)
        while damping < 1e6:
            step = np.linalg.solve(curvature + np.diag(damping * diagonal), lack[free])
            raised = prices.copy()
            raised[free] = np.maximum(raised[free] + np.clip(step, -most, most), 0.0)
            better, moved = _softened(own, raised - bound, least, temperature)
            if better > value:
                prices, value, shares, damping = raised, better, moved, max(0.1 * damping, 1e-6)
                break
            damping *= 10.0
        else:
            break
    return prices


def _softened(
    own: Float32Array, prices: Float64Array, least: Float64Array, temperature: float
) -> tuple[float, Float32Array]:
    """Value of the softened dual, and the share of each row at each component, shape (k, n)."""
    shares = own - prices.astype(np.float32)[:, None]
    best = shares.min(axis=0)
    shares -= best
    shares *= np.float32(-1.0 / temperature)
    np.exp(shares, out=shares)
    total = shares.sum(axis=0)
    shares /= total
    value = best.sum(dtype=np.float64) - temperature * np.log(total.astype(np.float64)).sum() + prices @ least
    return float(value), shares


def _break_ties(rows: Float64Array, graph: ResidualGraph, need: Int64Array, margin: float) -> Float64Array:
    """Raises whoever lacks most to a price that holds its minimum by a margin, until nobody lacks.

    Half-way to the price that would take the next rows: as low as would do starts long price wars over one group.
    Source: the bids of the auction algorithm, Bertsekas 1988, for objects of many units; a rise only takes rows from
    others. Where components keep outbidding each other, the prices that left the fewest rows lacking are returned.
    """
    need = np.minimum(need, graph.sizes)
    prices = graph.prices[:-1].copy()
    values = rows - prices[:, None]
    best = values.argmin(axis=0)
    first, second = np.partition(np.vstack([values, np.full_like(values[:1], np.inf)]), 1, axis=0)[:2]
    fewest, found = np.inf, prices
    for _ in range(_MAX_RAISES * len(need)):
        lack = need - np.bincount(best[second - first >= margin], minlength=len(need))
        short = float(np.maximum(lack, 0).sum())
        if short < fewest:
            fewest, found = short, prices.copy()
        if short == 0.0:
            break
        j = int(lack.argmax())
        gap = rows[j] - np.where(best == j, second, first)
        enough = max(float(np.partition(gap, need[j] - 1)[need[j] - 1]), prices[j]) + 2.0 * margin
        following = float(gap.min(where=gap > enough + 2.0 * margin, initial=np.inf))
        prices[j] = 0.5 * (enough + following - 2.0 * margin) if following < np.inf else enough
        value = rows[j] - prices[j]
        held, won = best == j, (best != j) & (value < first)
        second = np.where(won, first, np.where(held, second, np.minimum(second, value)))
        first, best = np.where(held | won, value, first), np.where(won, j, best)
    return found


def raise_prices(mixture: Mixture, sizes: Float64Array, min_cluster_size: int, scale: float) -> Mixture:
    """Raises the price of each cluster below the minimum by how much it lacks; never lowers one below zero.

    Args:
      mixture: Whose sizes were measured.
      sizes: Rows of each cluster: noisy, or exact in conditional mode.
      min_cluster_size: Rows every cluster must hold.
      scale: A typical squared distance between a row and its centre; the unit of prices.
    """
    lack = np.clip((min_cluster_size - sizes) / max(min_cluster_size, 1), -_MAX, 1.0)
    step = np.where(lack > 0.0, lack, 0.25 * lack)  # a cluster with rows to spare gives its price back slowly
    prices = np.maximum(mixture.prices + _STEP * scale * step, 0.0)
    return replace(mixture, prices=prices)


def merge_smallest(mixture: Mixture, sizes: Float64Array, min_cluster_size: int) -> Mixture:
    """Drops the smallest cluster below the minimum of each class, but never the last one of a class.

    Rows of a dropped cluster fall to their next nearest at the next assignment.
    """
    kept = np.ones(mixture.n_components, dtype=bool)
    for klass in np.unique(mixture.class_of):
        own = np.flatnonzero(mixture.class_of == klass)
        below = own[sizes[own] < min_cluster_size]
        if len(below) and len(own) > 1:
            kept[below[np.argmin(sizes[below])]] = False
    return mixture.keep(kept)


def large_enough(mixture: Mixture, sizes: Float64Array, min_cluster_size: int) -> BoolArray:
    """Tells which clusters hold the minimum, and the largest of each class in any case; the others are to be merged."""
    kept = np.asarray(sizes >= min_cluster_size)
    for klass in np.unique(mixture.class_of):
        own = np.flatnonzero(mixture.class_of == klass)
        if not kept[own].any():
            kept[own[np.argmax(sizes[own])]] = True
    return kept


def unmet(mixture: Mixture, sizes: Float64Array, min_cluster_size: int) -> int:
    """How many clusters are below the minimum although they have a neighbour to merge with."""
    lacking = 0
    for klass in np.unique(mixture.class_of):
        own = np.flatnonzero(mixture.class_of == klass)
        if len(own) > 1:
            lacking += int(np.sum(sizes[own] < min_cluster_size))
    return lacking
