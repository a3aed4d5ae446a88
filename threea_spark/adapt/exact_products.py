"""Products of small integers with weights and with residuals in float32, exact in whatever order they are added.

float32 holds every integer up to 2^24. Where all partial sums of a product stay below that, no addition rounds, so the
result hangs neither on blocks nor on threads. What is larger is cut into parts that fit, and their products are joined
in float64. Source: Ozaki, Ogita, Oishi, Rump 2012, Error-free transformations of matrix multiplication.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from threea_spark.adapt.feature_rows import LARGEST_DENSE
from threea_spark.arrays import Float32Array, Float64Array

_EXACT = 2.0**24
_BASE = 128.0
DIGIT_ROWS = 2048
"""Rows whose features times one digit add up exactly: 2048 * LARGEST_DENSE * 64 is below 2^24."""


@dataclass(frozen=True)
class SplitWeights:
    """Weights in two parts, each of so small integers that their products with a row's dense features are exact.

    Attributes:
      parts: The first parts of all outputs, then the second ones, shape (n_dense, 2 * n_outputs).
      units: Unit of each output's first part: a power of two, shape (n_outputs,).
      base: How many units of the second part make one of the first.
    """

    parts: Float32Array
    units: Float64Array
    base: float

    @classmethod
    def of(cls, weights: Float64Array) -> SplitWeights:
        """Rounds weights, shape (n_dense, n_outputs), to about 2^-24 of an output's largest sum of products."""
        n_dense = len(weights)
        room = _EXACT / LARGEST_DENSE
        units = _power_of_two_from(np.abs(weights).sum(axis=0) / (room - n_dense))
        half = 2.0 ** math.floor(math.log2(room / max(n_dense, 1)))
        first = np.rint(weights / units)
        second = np.rint((weights / units - first) * (2.0 * half))
        return cls(np.hstack([first, second]).astype(np.float32), units, 2.0 * half)

    def times(self, dense: Float32Array) -> Float64Array:
        """The exact product with dense features, integers up to LARGEST_DENSE, shape (n, n_dense): (n, n_outputs)."""
        products, n_outputs = (dense @ self.parts).astype(np.float64), len(self.units)
        whole = products[:, :n_outputs] + products[:, n_outputs:] / self.base
        return np.asarray(whole * self.units, dtype=np.float64)


def digits(units: Float64Array) -> list[Float32Array]:
    """Cuts integers into digits of base 128, each from -64 to 64, the lowest first; of zeros there is one."""
    found = []
    while True:
        higher = np.rint(units / _BASE)
        found.append((units - _BASE * higher).astype(np.float32))
        if not higher.any():
            return found
        units = higher


def joined_digits(products: Float32Array, n_digits: int) -> Float64Array:
    """Puts the products with each digit together, shape (m, n_digits * n_outputs) to (m, n_outputs)."""
    parts = products.astype(np.float64).reshape(len(products), n_digits, -1)
    return np.asarray(np.einsum("mdo,d->mo", parts, _BASE ** np.arange(n_digits)), dtype=np.float64)


def _power_of_two_from(least: Float64Array) -> Float64Array:
    """The next power of two above each number; one for zero."""
    _, exponents = np.frexp(least)
    return np.asarray(np.where(least > 0.0, np.ldexp(1.0, exponents), 1.0), dtype=np.float64)
