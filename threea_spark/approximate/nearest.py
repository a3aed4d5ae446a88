"""The least of many quadratic forms at each row: found in float32, and exactly the one float64 would find.

A float32 product of a row and a weight is off by at most gamma_d |x| |w|, in whatever order it is added. Where the two
least forms of a row lie further apart than twice that, float64 would choose the same one; the few other rows are
computed again in float64, which is exact here. So speed changes no assignment, and none depends on a row's batch.
Source of the bound: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import Float32Array, Float64Array, Int64Array

_UNIT_ROUNDOFF = 2.0**-24
_SLACK = 2.0  # for the bound's own rounding and its higher-order terms
_TILE_VALUES = 1 << 18  # forms of as many rows at a time stay in a core's own cache
_MIN_ROWS, _MAX_ROWS = 256, 1 << 14


@dataclass(frozen=True)
class QuadraticForms:
    """k functions constant + linear . x + x' quadratic x.

    Attributes:
      constant: Shape (k,).
      linear: Shape (d, k).
      quadratic: None, a diagonal each (k, d), or a matrix each (k, d, d).
    """

    constant: Float64Array
    linear: Float64Array
    quadratic: Float64Array | None

    def some(self, which: Int64Array) -> QuadraticForms:
        """The forms at these places."""
        quadratic = None if self.quadratic is None else self.quadratic[which]
        return QuadraticForms(self.constant[which], self.linear[:, which], quadratic)

    def values(self, x: Float32Array) -> Float64Array:
        """Evaluates every form at every row (n, d) in float64, shape (n, k)."""
        return np.asarray(_evaluated(x.astype(np.float64), self.linear, self.quadratic) + self.constant)

    def least(self, x: Float32Array) -> Int64Array:
        """Finds the least form of each row, the first of equals, as `values(x).argmin(axis=1)` would; shape (n,)."""
        tile = min(max(_TILE_VALUES // max(len(self.constant), 1), _MIN_ROWS), _MAX_ROWS)
        found = np.empty(len(x), dtype=np.int64)
        for start in range(0, len(x), tile):
            found[start : start + tile] = self._least(x[start : start + tile])
        return found

    def _least(self, x: Float32Array) -> Int64Array:
        with np.errstate(over="ignore", invalid="ignore"):  # centres that ran away: such rows are unsure
            constant, linear, quadratic = self._single
            values = _evaluated(x, linear, quadratic)
            values += constant
            rows = np.arange(len(x))
            first = values.argmin(axis=1)
            least = values[rows, first]
            values[rows, first] = np.inf
            margin = values[rows, values.argmin(axis=1)] - least
            unsure = np.flatnonzero(~(margin > self._error(x)))
        if len(unsure):
            first[unsure] = self.values(x[unsure]).argmin(axis=1)
        return np.asarray(first, dtype=np.int64)

    @cached_property
    def _single(self) -> tuple[Float32Array, Float32Array, Float32Array | None]:
        quadratic = None if self.quadratic is None else self.quadratic.astype(np.float32)
        return self.constant.astype(np.float32), np.asfortranarray(self.linear, dtype=np.float32), quadratic

    @cached_property
    def _norms(self) -> tuple[float, float, float]:
        """Largest constant, linear norm and quadratic norm (Frobenius) among the forms."""
        linear = float(np.sqrt((self.linear**2).sum(axis=0)).max(initial=0.0))
        quadratic = 0.0
        if self.quadratic is not None:
            flat = self.quadratic.reshape(len(self.quadratic), -1)
            quadratic = float(np.sqrt((flat**2).sum(axis=1)).max(initial=0.0))
        return float(np.abs(self.constant).max(initial=0.0)), linear, quadratic

    def _error(self, x: Float32Array) -> float:
        """Twice the bound on the error of a form of any of the rows."""
        constant, linear, quadratic = self._norms
        squared = float(np.square(x).sum(axis=1).max(initial=0.0)) * (1.0 + 1e-3)
        size = linear * np.sqrt(squared) + 2.0 * quadratic * squared + constant
        return float(2.0 * _SLACK * _UNIT_ROUNDOFF * (2 * x.shape[1] + 8) * size)


def _evaluated(
    x: NDArray[np.floating], linear: NDArray[np.floating], quadratic: NDArray[np.floating] | None
) -> NDArray[np.floating]:
    values = x @ linear
    if quadratic is not None and quadratic.ndim == 2:
        values += (x * x) @ quadratic.T
    elif quadratic is not None:
        for index, own in enumerate(quadratic):
            values[:, index] += ((x @ own) * x).sum(axis=1)
    return values
