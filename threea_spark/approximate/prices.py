"""Prices that keep every cluster at or above its minimum size.

The price is the dual of the size constraint: a cluster below the minimum is paid for each row it takes, until it
holds enough. A cluster that stays below is merged: it is dropped, and its rows fall to their next nearest.
Source: the assignment dual of Bradley, Bennett, Demiriz 2000, Constrained k-means clustering, MSR-TR-2000-65.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from threea_spark.approximate.mixture import Mixture

Float64Array = NDArray[np.float64]

_STEP = 0.5
_MOST = 2.0


def raise_prices(mixture: Mixture, sizes: Float64Array, min_cluster_size: int, scale: float) -> Mixture:
    """Raises the price of each cluster below the minimum by how much it lacks; never lowers one below zero.

    Args:
      mixture: Whose sizes were measured.
      sizes: Rows of each cluster: noisy, or exact in conditional mode.
      min_cluster_size: Rows every cluster must hold.
      scale: A typical squared distance between a row and its centre; the unit of prices.
    """
    lack = np.clip((min_cluster_size - sizes) / max(min_cluster_size, 1), -_MOST, 1.0)
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


def large_enough(mixture: Mixture, sizes: Float64Array, min_cluster_size: int) -> NDArray[np.bool_]:
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
