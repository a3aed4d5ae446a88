"""Rounded Gaussian noise from a secret key: the narrow door through which all release noise comes.

A retried, speculated or recomputed task asks with the same context and gets the same noise, so a second attempt
reveals nothing new. There is no seed: a key is 32 bytes from the operating system, made once for each release.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from threea_spark.errors import PrivacyError

Int64Array = NDArray[np.int64]

KEY_BYTES = 32
_BYTES_PER_DRAW = 8
# Half the width of one step of the 64-bit uniform: the draw sits in the middle of its step, never at 0 or 1.
_HALF_STEP = 2.0**-65
_MAX_STDDEV = 2.0**52  # above it a rounded float64 no longer holds every integer
RELATIVE_ERROR = 16.0 * 2.0**-53
"""Relative error of an integer's probability, per unit of stddev: the quantile is good to a few units in the last place
and its argument to half a unit, 2.5 of which make one integer at the centre."""
CUT_STDDEVS = -float(ndtri(_HALF_STEP))
"""No draw lies further out than this many standard deviations (about 9.16)."""

Context = tuple[str | int, ...]


class NoiseSource(Protocol):
    """Integers out, a public context in. Release code knows no other source of noise."""

    def rounded_gaussian(self, stddev: float, size: int, context: Context) -> Int64Array:
        """Draws `size` integers round(N(0, stddev^2)), always the same ones for the same context."""
        ...


def new_key() -> bytes:
    """Draws a fresh secret key from the operating system."""
    return secrets.token_bytes(KEY_BYTES)


def context_bytes(context: Context) -> bytes:
    """Encodes a context so that two different contexts never share their bytes (each part carries its length)."""
    parts = [f"{type(part).__name__}:{part}".encode() for part in context]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class KeyedNoise:
    """Release noise: SHAKE-256(key | context), read as 64-bit uniforms, through the normal quantile, rounded.

    Precision. Float64 moves the edges between integers by at most a few units in the last place, which changes an
    integer's probability by a factor within 1 +- eta, eta = RELATIVE_ERROR * stddev. Over all n draws of a release the
    privacy loss is off by a sum of terms each bounded by 2 eta with mean of order eta^2, so by Azuma-Hoeffding it
    exceeds the ideal one by more than `numeric_epsilon` only with a probability that is part of delta. Grids are kept
    coarse enough that this stays below CLAIM_SLACK.

    Source: inverse transform sampling; the law it feeds is that of Dong, Roth, Su 2019, arXiv 1905.02383.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise PrivacyError(f"a noise key has {KEY_BYTES} bytes, got {len(key)}; make one with new_key()")
        self._key = key

    def __repr__(self) -> str:
        return "KeyedNoise(<secret>)"

    def rounded_gaussian(self, stddev: float, size: int, context: Context) -> Int64Array:
        """Draws `size` integers round(N(0, stddev^2)); equal key and context give equal draws, in any process."""
        if not 0.0 < stddev <= _MAX_STDDEV:
            raise PrivacyError(f"noise stddev must be in (0, 2^52], got {stddev}")
        words = _uniform_words(self._key, context, size)
        return np.rint(stddev * _symmetric_normal(words)).astype(np.int64)


def unreachable_mass(n_draws: int) -> float:
    """Probability that the ideal law would have sent any of the draws beyond the last step, on either side."""
    return n_draws * 2.0 * _HALF_STEP


def squared_relative_error(n_draws: int, stddev: float) -> float:
    """Sums eta^2 over the draws of one mechanism; adds up over mechanisms."""
    return n_draws * (RELATIVE_ERROR * max(stddev, 1.0)) ** 2


def numeric_epsilon(squared_error: float, probability: float) -> float:
    """Gives how much float64 may add to the privacy loss, but for an event of this probability.

    Source: Azuma-Hoeffding for a martingale with differences of at most 2 eta, and drift of at most eta^2 a draw.
    """
    return 2.0 * math.sqrt(2.0 * squared_error * math.log(1.0 / probability)) + squared_error


def _uniform_words(key: bytes, context: Context, size: int) -> NDArray[np.uint64]:
    stream = hashlib.shake_256(key + context_bytes(context)).digest(size * _BYTES_PER_DRAW)
    return np.frombuffer(stream, dtype="<u8")


def _symmetric_normal(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Maps uniform 64-bit words to standard normals; the top bit is the sign, so the law is exactly symmetric."""
    sign = np.where(words >> np.uint64(63), 1.0, -1.0)
    step = (words & np.uint64(2**63 - 1)).astype(np.float64)
    lower_half = np.minimum((step + 0.5) * 2.0**-64, 0.5)  # float64 rounds the topmost steps up to 1/2
    return -sign * ndtri(lower_half)


def stddev_of(sensitivity: float, mu: float) -> float:
    """Gives the noise that makes a sum of this L2 sensitivity mu-GDP: stddev = sensitivity / mu."""
    if not (0.0 < mu < math.inf and 0.0 < sensitivity < math.inf):
        raise PrivacyError(f"mu and sensitivity must be positive and finite, got {mu} and {sensitivity}")
    return sensitivity / mu
