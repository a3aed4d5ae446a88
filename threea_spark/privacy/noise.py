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

    Precision. The uniform has 2^64 equal steps; a draw differs from an ideal one only when an edge between two
    integers falls inside its step, and the ideal law's mass beyond the last step is 2^-64 on each draw. With n
    draws of standard deviation s both together have probability at most n * (20 s + 4) * 2^-64, which
    `unreachable_mass` returns and the accounting adds to delta. The error of float64 in the quantile moves the
    edges by less than 4e-15 standard deviations, a relative change of an integer's probability below 1e-14 * s.

    Source: inverse transform on a grid, as METHOD section 3; Dong, Roth, Su 2019, arXiv 1905.02383 for the law it feeds.
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


def keyed_words(key: bytes, context: Context, size: int) -> NDArray[np.uint64]:
    """Draws `size` secret 64-bit words for a public context (unit buckets, groups), never usable as noise's context."""
    return _uniform_words(key, ("words", *context), size)


def unreachable_mass(n_draws: int, stddev: float) -> float:
    """Bounds the probability that any of `n_draws` differs from the ideal rounded Gaussian."""
    return n_draws * (20.0 * max(stddev, 1.0) + 4.0) * 2.0**-64


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
