"""Sufficient statistics of the components: exact integer sums over the rows assigned to each."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from threea_spark.encode.codes import SCORE_GRID

IntArray = NDArray[np.int64]
Covariance: TypeAlias = Literal["isotropic", "diagonal", "full"]

_COARSER = 64
"""Products are summed on a grid this much coarser than scores: noise covers many units, and float64 keeps it exact."""
PRODUCT_GRID = SCORE_GRID // _COARSER
_INT32_ROWS = 2**16  # sums of as many int16 fit int32


def first_statistics(packed: NDArray[np.int16], component: IntArray, k: int, norm_bound: int) -> IntArray:
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
    sums[:, 1:] = sums_of(packed.astype(np.int32 if len(packed) <= _INT32_ROWS else np.int64), component, k)
    return sums.ravel()


def second_statistics(packed: NDArray[np.int16], component: IntArray, k: int, covariance: Covariance) -> IntArray:
    """Sums, per component, products of coordinates: squares (diagonal) or all pairs (full); none (isotropic).

    Returns:
      Shape (k * n_second(d, covariance),), in squared units of the coarser grid, exact; a row's norm is at most
      `product_bound` of its own norm. PRIVATE.
    """
    if covariance == "isotropic":
        return np.zeros(0, dtype=np.int64)
    values = np.trunc(packed.astype(np.float64) / _COARSER)
    if covariance == "diagonal":
        return np.asarray(np.rint(sums_of(values * values, component, k)), dtype=np.int64).ravel()
    width = packed.shape[1]
    order = np.argsort(component, kind="stable")
    ends = np.cumsum(np.bincount(component, minlength=k))
    values, start = values[order], 0
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
      norm_bound: Of the packed row; dropping digits toward zero makes no row longer.
    """
    return -(-norm_bound * norm_bound // _COARSER**2)


def sums_of(rows: NDArray[np.generic], group: IntArray, n_groups: int) -> NDArray[np.generic]:
    """Adds up the rows of each group, shape (n_groups, d), in the rows' own type.

    The matrix of which row is in which group is sparse, with one entry a row: its product with the rows needs neither
    a sort nor a pass for each group.
    """
    n_rows = len(rows)
    ones = np.ones(n_rows, dtype=rows.dtype)
    member = csc_matrix((ones, group.astype(np.int32), np.arange(n_rows + 1, dtype=np.int32)), shape=(n_groups, n_rows))
    return np.asarray(member @ np.ascontiguousarray(rows))
