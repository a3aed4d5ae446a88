"""Sufficient statistics of the components: exact integer sums over the rows assigned to each."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from threea_spark.arrays import Int16Array, Int64Array
from threea_spark.encode.feature import SCORE_GRID

Covariance: TypeAlias = Literal["isotropic", "diagonal", "full"]

_COARSER = 64
"""Products are summed on a grid this much coarser than scores: noise covers many units, and float64 keeps it exact."""
PRODUCT_GRID = SCORE_GRID // _COARSER
_LARGEST_INT32 = 2**31 - 1


def first_statistics(packed: Int16Array, component: Int64Array, k: int, norm_bound: int) -> Int64Array:
    """Sums, per component, `norm_bound` for each row and the row itself.

    Args:
      packed: Grid units, norm at most norm_bound, shape (n, d). PRIVATE.
      component: Shape (n,). PRIVATE.
      k: Number of components.
      norm_bound: Weight of the count, so that count and mean share the noise evenly.

    Returns:
      Shape (k * (1 + d),), exact; a row's squared norm is at most 2 * norm_bound^2. PRIVATE.
    """
    sums = np.empty((k, 1 + packed.shape[1]), dtype=np.int64)
    sums[:, 0] = norm_bound * np.bincount(component, minlength=k)
    rows = np.ascontiguousarray(packed)  # before the cast: half the bytes to move
    sums[:, 1:] = sums_of(rows.astype(_summable(len(rows), 2**15)), component, k)
    return sums.ravel()


def second_statistics(packed: Int16Array, component: Int64Array, k: int, covariance: Covariance) -> Int64Array:
    """Sums, per component, products of coordinates: squares (diagonal) or all pairs (full); none (isotropic).

    Returns:
      Shape (k * n_second(d, covariance),), in squared units of the coarser grid, exact; a row's norm is at most
      `product_bound` of its own norm. PRIVATE.
    """
    if covariance == "isotropic":
        return np.zeros(0, dtype=np.int64)
    packed = np.ascontiguousarray(packed)
    units = (packed + ((packed >> 15) & (_COARSER - 1))) >> (_COARSER.bit_length() - 1)  # divided, toward zero
    if covariance == "diagonal":
        largest = max(int(units.max(initial=0)), -int(units.min(initial=0)))
        squares: NDArray[np.integer] = units.astype(_summable(len(units), largest**2))
        np.multiply(squares, squares, out=squares)
        return np.asarray(sums_of(squares, component, k), dtype=np.int64).ravel()
    width, order = packed.shape[1], np.argsort(component, kind="stable")
    ends = np.cumsum(np.bincount(component, minlength=k))
    values, start = units[order].astype(np.float64), 0
    products = np.zeros((k, width, width), dtype=np.int64)
    for index, end in enumerate(ends.tolist()):
        own, start = values[start:end], end
        if len(own):
            products[index] = np.rint(own.T @ own)  # exact: integers far below 2^53
    return products.ravel()


def n_second(width: int, covariance: Covariance) -> int:
    """Second statistics of one component."""
    return {"isotropic": 0, "diagonal": width, "full": width * width}[covariance]


def product_bound(norm_bound: int) -> int:
    """Bound on the L2 norm of one row's `second_statistics`: its squared norm on the coarser grid, rounded up.

    Args:
      norm_bound: Bound on the packed row's norm; dropping digits toward zero never makes a row longer.
    """
    return -(-norm_bound * norm_bound // _COARSER**2)


def _summable(n_rows: int, largest: int) -> type[np.int32] | type[np.int64]:
    """The narrower type, half the time, where it holds the sum of so many values."""
    return np.int32 if n_rows * largest <= _LARGEST_INT32 else np.int64


def sums_of(rows: NDArray[np.integer], group: Int64Array, n_groups: int) -> NDArray[np.integer]:
    """Adds up the rows of each group, shape (n_groups, d), in the rows' own type.

    The matrix of which row is in which group is sparse, with one entry a row: its product with the rows needs neither
    a sort nor a pass for each group.
    """
    n_rows = len(rows)
    ones = np.ones(n_rows, dtype=rows.dtype)
    member = csc_matrix((ones, group.astype(np.int32), np.arange(n_rows + 1, dtype=np.int32)), shape=(n_groups, n_rows))
    return np.asarray(member @ np.ascontiguousarray(rows))
