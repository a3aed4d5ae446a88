"""Measures the association of two columns of any kind.

Numbers and times are replaced by their ranks first, so that the result is robust to heavy tails and infinities.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.report.bins import Values


def association(left: Values, right: Values) -> float:
    """Returns the strength of association of two columns, over the rows where both are known.

    Two numbers: Spearman's rank correlation, in [-1, 1]. A number and a category: the correlation ratio of the ranks,
    with Kelley's correction (1935) for few rows. Two categories: Cramer's V with Bergsma's correction (2013). The
    latter two are in [0, 1]. 0 if either column is constant or fewer than three rows have both values.
    """
    return _coded_association(_coded(left), _coded(right))


def associations(columns: Sequence[Values]) -> Float64Array:
    """Returns `association` for all pairs, shape (k, k), symmetric, with ones on the diagonal."""
    coded = [_coded(values) for values in columns]
    found = np.eye(len(coded))
    for i in range(len(coded)):
        for j in range(i):
            found[i, j] = found[j, i] = _coded_association(coded[i], coded[j])
    return found


def with_one(column: Values, others: Sequence[Values]) -> Float64Array:
    """Returns the association of one column with each of the others, shape (k,)."""
    coded = _coded(column)
    return np.array([_coded_association(coded, _coded(other)) for other in others])


def _coded(values: Values) -> tuple[Float64Array | Int64Array, BoolArray]:
    """Returns ranks as float64 or levels as int64, and which rows are known; the dtype tells the kind."""
    known = values.known
    if values.kind == "category":
        levels = np.zeros(len(known), dtype=np.int64)
        index: dict[str, int] = {}
        levels[known] = [index.setdefault(cell, len(index)) for cell in values.cells[known].tolist()]
        return levels, known
    ranks = np.zeros(len(known))
    ranks[known] = rankdata(values.cells[known].astype(np.float64))
    return ranks, known


def _coded_association(
    left: tuple[Float64Array | Int64Array, BoolArray], right: tuple[Float64Array | Int64Array, BoolArray]
) -> float:
    both = left[1] & right[1]
    x, y = left[0][both], right[0][both]
    if len(x) < 3 or np.all(x == x[0]) or np.all(y == y[0]):
        return 0.0
    if x.dtype == y.dtype == np.float64:
        return float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))
    if x.dtype == np.float64:
        return _correlation_ratio(y.astype(np.int64), x.astype(np.float64))
    if y.dtype == np.float64:
        return _correlation_ratio(x.astype(np.int64), y.astype(np.float64))
    return _cramers_v(x.astype(np.int64), y.astype(np.int64))


def _correlation_ratio(level: Int64Array, value: Float64Array) -> float:
    """Source: Kelley 1935, An unbiased correlation ratio measure: epsilon^2 = 1 - (1 - eta^2) (n - 1) / (n - k)."""
    counts = np.bincount(level)
    present = counts > 0
    sums = np.bincount(level, weights=value - value.mean())[present]
    n, k = len(value), int(present.sum())
    if n <= k:
        return 0.0
    explained = float(np.sum(sums**2 / counts[present]) / np.sum((value - value.mean()) ** 2))
    return float(np.sqrt(np.clip(1.0 - (1.0 - explained) * (n - 1) / (n - k), 0.0, 1.0)))


def _cramers_v(left: Int64Array, right: Int64Array) -> float:
    """Source: Bergsma 2013, A bias-correction for Cramer's V and Tschuprow's T, Equation for V tilde."""
    _, left = np.unique(left, return_inverse=True)
    _, right = np.unique(right, return_inverse=True)
    rows, columns, n = int(left.max()) + 1, int(right.max()) + 1, len(left)
    if rows * columns > 1_000_000:
        return 0.0
    observed = np.bincount(left * columns + right, minlength=rows * columns).reshape(rows, columns).astype(np.float64)
    expected = observed.sum(axis=1, keepdims=True) * observed.sum(axis=0, keepdims=True) / n
    phi2 = max(0.0, float(np.sum((observed - expected) ** 2 / expected)) / n - (rows - 1) * (columns - 1) / (n - 1))
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1.0
    return float(np.sqrt(min(1.0, phi2 / smaller))) if smaller > 0.0 else 0.0
