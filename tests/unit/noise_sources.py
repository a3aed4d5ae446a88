"""Sources of noise for tests: seeded, so that a failure can be repeated. Release code never sees them."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from threea_spark.privacy.noise import Context, context_bytes, grid_of


class SeededNoise:
    """Gaussian noise from a seed, rounded as the release's own: equal for equal context."""

    def __init__(self, seed: int, *, factor: float = 1.0) -> None:
        self._seed = seed
        self._factor = factor  # another factor than 1 is the wrong noise of a statistical test's twin

    def noised(self, exact: NDArray[np.int64], stddev: float, context: Context) -> NDArray[np.int64]:
        digest = hashlib.sha256(context_bytes(context)).digest()
        rng = np.random.default_rng([self._seed, int.from_bytes(digest[:8], "big")])
        grid = grid_of(stddev)
        return grid * np.rint((exact + rng.normal(0.0, self._factor * stddev, exact.shape)) / grid).astype(np.int64)


class NoNoise:
    """Sums as they are, where a test wants the noise-free answer."""

    def noised(self, exact: NDArray[np.int64], stddev: float, context: Context) -> NDArray[np.int64]:
        return exact.copy()


def drawn(noise, stddev: float, size: int, context: Context) -> NDArray[np.int64]:
    """The noise alone."""
    return noise.noised(np.zeros(size, dtype=np.int64), stddev, context)
