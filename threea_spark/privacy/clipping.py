"""Clips each row's contribution to the norm that was accounted for, in integer arithmetic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MAX_COORDINATE = 2**20  # a squared norm then fits int64 up to 2^22 coordinates


def clip_rows(rows: NDArray[np.int64], norm: int) -> NDArray[np.int64]:
    """Shrinks each integer row to an L2 norm of at most `norm`, rounding toward zero, checked in integers.

    Args:
      rows: Shape (n, d), d <= 2^22; coordinates beyond 2^20 are clipped first, so that no square overflows. PRIVATE.
      norm: The bound, in grid units.

    Returns:
      Shape (n, d); rows within the bound are unchanged.
    """
    if rows.size and (rows.max() > _MAX_COORDINATE or rows.min() < -_MAX_COORDINATE):
        rows = np.clip(rows, -_MAX_COORDINATE, _MAX_COORDINATE)
    squared = np.einsum("nd,nd->n", rows, rows)
    too_long = squared > norm * norm
    if not too_long.any():
        return rows
    clipped = rows.copy()
    factor = norm / np.sqrt(squared[too_long].astype(np.float64))
    shrunk = np.trunc(rows[too_long] * factor[:, None]).astype(np.int64)
    still = np.einsum("nd,nd->n", shrunk, shrunk) > norm * norm  # float rounding may leave one unit too much
    shrunk[still] = np.trunc(shrunk[still] * (1.0 - 2.0**-20)).astype(np.int64)
    shrunk[np.einsum("nd,nd->n", shrunk, shrunk) > norm * norm] = 0
    clipped[too_long] = shrunk
    return clipped
