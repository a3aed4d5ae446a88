"""Rounded Gaussian noise from a secret key: the single source of all release noise.

A retried, speculative or recomputed task passes the same context and gets the same noise, so a second attempt reveals
nothing new. There is no seed: a key is 32 bytes from the operating system, generated once per release.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.errors import PrivacyError

KEY_BYTES = 32
_BYTES_PER_DRAW = 16
_CHUNK_DRAWS = 1 << 15  # so that a chunk stays in the cache of one core
_MAX_STDDEV = 2.0**52
_STEPS_PER_STDDEV = 2**12
RELATIVE_ERROR = 128.0 * 2.0**-53
"""Relative error of a released value's probability, per step of the grid in a stddev. Float64 moves the two edges of
its cell by up to 60 units of 2^-53 stddev in all (measured against 60 digits, out to 10.4 stddevs; about 30 at 3), of
which 112 are allowed; the other 16 are for counting its probability in steps of 2^-128."""
_MIN_STEPS = 4.0  # for narrower noise, a cell's error is that of a stddev of this many steps: its inner edge is far out
_UNREACHABLE = 2.0**-78
"""Ideal probability of all cells whose own is so small that steps of 2^-128 do not resolve it to 16 units of 2^-53
stddev: those where phi(z) < 2^-79, beyond 10.3 stddevs; 2 phi(z) / z is 2^-81.3."""

Context = tuple[str | int, ...]


class NoiseSource(Protocol):
    """Exact integers and a public context in, noisy integers out. Release code uses no other source of noise."""

    def noised(self, exact: Int64Array, stddev: float, context: Context) -> Int64Array:
        """Adds N(0, stddev^2) and rounds to multiples of `grid_of`; the same context always gets the same draws."""
        ...


def new_key() -> bytes:
    """Draws a fresh secret key from the operating system."""
    return secrets.token_bytes(KEY_BYTES)


def context_bytes(context: Context) -> bytes:
    """Encodes a context; different contexts never have the same bytes, since each part is prefixed by its length."""
    parts = [f"{type(part).__name__}:{part}".encode() for part in context]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class KeyedNoise:
    """Release noise: SHAKE-256(key | context), read as 128-bit uniforms, through the normal quantile.

    Why 128 bits: a value can be released only if some word maps to it. With 64 bits, most integers beyond seven
    standard deviations have none, so that a release may be possible under one table and impossible under its neighbour.

    Precision: float64 moves the edges between cells of the grid, and words count probability in steps of 2^-128.
    Together, a cell's probability is off by a factor within 1 +- eta, eta = RELATIVE_ERROR * stddev / grid, except for
    cells so far out that all of them together have `unreachable_mass`. `numeric_epsilon` bounds what that adds to the
    privacy loss. A coarse grid keeps eta small for wide noise: a stddev is then 4,096 to 8,192 steps.

    Source: inverse transform sampling; the distribution is that of Dong, Roth, Su 2019, arXiv 1905.02383.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise PrivacyError(f"a noise key has {KEY_BYTES} bytes, got {len(key)}; make one with new_key()")
        self._key = key

    def __repr__(self) -> str:
        return "KeyedNoise(<secret>)"

    def noised(self, exact: Int64Array, stddev: float, context: Context) -> Int64Array:
        """Adds N(0, stddev^2) to integers and rounds to multiples of `grid_of(stddev)`; noise is never exposed alone.

        The result is a function of key, context, stddev and sums, the same in any process.

        Args:
          exact: Any shape. PRIVATE.
          stddev: In the units of `exact`, in (0, 2^52].
          context: Names the sum. Public.
        """
        grid, flat = grid_of(stddev), exact.ravel()
        shift = grid.bit_length() - 1
        words = _uniform_words(self._key, context, flat.size)
        noisy = np.empty(flat.size, dtype=np.int64)
        for start in range(0, flat.size, _CHUNK_DRAWS):
            own = slice(start, start + _CHUNK_DRAWS)
            drawn = stddev * _symmetric_normal(words[own])
            drawn += flat[own] & (grid - 1)  # the remainder of the sum modulo the grid; the rest is added in integers
            steps = np.rint(drawn / grid).astype(np.int64)
            noisy[own] = ((flat[own] >> shift) + steps) << shift
        return noisy.reshape(exact.shape)


def grid_of(stddev: float) -> int:
    """Returns the public grid that noisy sums are rounded to: a power of two, at most 1/4096 of the noise, at least 1.

    Raises:
      PrivacyError: if the scale of the noise is not in (0, 2^52].
    """
    if not 0.0 < stddev <= _MAX_STDDEV:
        raise PrivacyError(f"noise stddev must be in (0, 2^52], got {stddev}")
    return int(2 ** max(0, math.floor(math.log2(stddev / _STEPS_PER_STDDEV))))


def unreachable_mass(n_draws: int) -> float:
    """Returns the probability that an ideal draw would fall where words do not resolve the distribution."""
    return n_draws * _UNREACHABLE


def squared_relative_error(n_draws: int, stddev: float) -> float:
    """Sums eta^2 over the draws of one mechanism; the sums of several mechanisms add up."""
    return n_draws * (RELATIVE_ERROR * max(stddev / grid_of(stddev), _MIN_STEPS)) ** 2


def numeric_epsilon(squared_error: float, mu: float, probability: float) -> float:
    """Returns how much float64 may add to the privacy loss, except with this probability.

    Let a released value c have the probability P(c) (1 + e_c) instead of P(c), |e_c| <= eta, and Q(c) (1 + f_c) under
    a neighbour that moves the coordinate by s. A draw's loss then changes by log(1 + e_c) - log(1 + f_c): not at all
    if s = 0, so only draws that one unit can move count. Its mean is of first order, because f_c averages to 0 under Q
    and not under P: at most 2 eta TV(P, Q) <= 0.8 eta s / stddev, and over all draws (Cauchy and Schwarz)
    sqrt(sum eta^2) mu. The second order adds at most 3 eta^2 per draw, and the rest is a martingale with differences of
    at most 2 eta.

    Args:
      squared_error: Sum of eta^2 over the draws that one unit can move.
      mu: Total mu of all mechanisms, before amplification: sampling changes a sum's loss by no more than its own.
      probability: In (0, 1); the bound may fail with this probability.

    Source: Azuma and Hoeffding for the martingale; the rest is the argument above.
    """
    spread = 2.0 * math.sqrt(2.0 * squared_error * math.log(1.0 / probability))
    return spread + math.sqrt(squared_error) * mu + 4.0 * squared_error


def _uniform_words(key: bytes, context: Context, size: int) -> NDArray[np.uint64]:
    """Reads 128 bits for each draw, shape (size, 2): high word, low word."""
    stream = hashlib.shake_256(key + context_bytes(context)).digest(size * _BYTES_PER_DRAW)
    return np.frombuffer(stream, dtype="<u8").reshape(size, 2)


def _symmetric_normal(words: NDArray[np.uint64]) -> Float64Array:
    """Maps 128-bit uniforms, shape (n, 2), to standard normals; the top bit is the sign, for exact symmetry.

    The other 127 bits are a uniform on (0, 1/2), (high + (low + 1/2) 2^-64) 2^-64, in the middle of its step: never
    0, and float64 represents it to 53 bits if it is 2^-75 or more, and to half the step's width below that.
    """
    high = words[:, 0]
    step = (high & np.uint64(2**63 - 1)).astype(np.float64)
    step += (words[:, 1].astype(np.float64) + 0.5) * 2.0**-64
    step *= 2.0**-64
    normal = ndtri(np.minimum(step, 0.5))  # float64 rounds the topmost steps up to 1/2
    return np.asarray(np.where(high >> np.uint64(63), -normal, normal), dtype=np.float64)


def stddev_of(sensitivity: float, mu: float) -> float:
    """Returns the noise stddev that makes a sum of this L2 sensitivity mu-GDP: sensitivity / mu."""
    if not (0.0 < mu < math.inf and 0.0 < sensitivity < math.inf):
        raise PrivacyError(f"mu and sensitivity must be positive and finite, got {mu} and {sensitivity}")
    return sensitivity / mu
