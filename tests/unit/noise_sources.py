"""Sources of noise for tests: seeded, so that a failure can be repeated. Release code never sees them."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from threea_spark.privacy.noise import Context, context_bytes


class SeededNoise:
    """Rounded Gaussian noise from a seed: equal for equal context, as the release's own source."""

    def __init__(self, seed: int, *, factor: float = 1.0) -> None:
        self._seed = seed
        self._factor = factor  # another factor than 1 is the wrong noise of a statistical test's twin

    def rounded_gaussian(self, stddev: float, size: int, context: Context) -> NDArray[np.int64]:
        digest = hashlib.sha256(context_bytes(context)).digest()
        rng = np.random.default_rng([self._seed, int.from_bytes(digest[:8], "big")])
        return np.rint(rng.normal(0.0, self._factor * stddev, size)).astype(np.int64)


class NoNoise:
    """Zeros, where a test wants the noise-free answer."""

    def rounded_gaussian(self, stddev: float, size: int, context: Context) -> NDArray[np.int64]:
        return np.zeros(size, dtype=np.int64)
