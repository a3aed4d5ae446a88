"""ROC curves, and bootstrap intervals of figures measured on a finite number of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array

N_RESAMPLES = 200
COVERAGE = 0.95
_SEED = 0  # fixed, because resampling does not protect anything private


@dataclass(frozen=True)
class Interval:
    """A figure with its bootstrap interval, percentile method. Source: Efron 1979."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Ranking:
    """Scores and true labels of one class against the rest, ranked once, so that resamples need no sort.

    Attributes:
      group: Rank of each row's score among the distinct scores, lowest first, shape (n,).
      positive: Which rows belong to the class, shape (n,).
    """

    group: Int64Array
    positive: BoolArray

    @classmethod
    def of(cls, scores: Float64Array, positive: BoolArray) -> Ranking:
        """Ranks scores; equal ones share a rank."""
        return cls(np.unique(scores, return_inverse=True)[1].astype(np.int64), positive)

    def area(self, weights: Float64Array) -> float:
        """Returns the area under the ROC curve of weighted rows; ties count half, and an empty class gives 0.5."""
        hits, misses = self._sides(weights)
        pairs = float(hits.sum() * misses.sum())
        below = np.cumsum(misses) - misses
        return float(np.sum(hits * (below + misses / 2.0)) / pairs) if pairs > 0.0 else 0.5

    def true_positives(self, false_positive_rate: Float64Array) -> Float64Array:
        """Returns the true positive rate at each false positive rate, shape (k,)."""
        hits, misses = self._sides(np.ones(len(self.group)))
        up = np.concatenate([[0.0], np.cumsum(hits[::-1])]) / max(float(hits.sum()), 1.0)
        across = np.concatenate([[0.0], np.cumsum(misses[::-1])]) / max(float(misses.sum()), 1.0)
        last = np.flatnonzero(np.append(np.diff(across) > 0.0, True))  # the top of each vertical segment
        return np.interp(false_positive_rate, across[last], up[last])

    def _sides(self, weights: Float64Array) -> tuple[Float64Array, Float64Array]:
        size = int(self.group.max(initial=0)) + 1
        hits, misses = (
            np.asarray(np.bincount(self.group, weights=weights * side, minlength=size), dtype=np.float64)
            for side in (self.positive, ~self.positive)
        )
        return hits, misses


def bootstrap(figure: Callable[[Float64Array], float], n_rows: int) -> Interval:
    """Resamples rows and returns the figure with its interval.

    Args:
      figure: Computes the figure from row weights, shape (n_rows,): how often each row was drawn.
      n_rows: Number of rows to draw from, and of rows in each resample.
    """
    rng = np.random.default_rng(_SEED)
    found = [
        figure(np.bincount(rng.integers(0, n_rows, n_rows), minlength=n_rows).astype(np.float64))
        for _ in range(N_RESAMPLES if n_rows else 0)
    ]
    value = figure(np.ones(n_rows))
    if not found:
        return Interval(value, value, value)
    low, high = np.quantile(found, [(1.0 - COVERAGE) / 2.0, (1.0 + COVERAGE) / 2.0])
    return Interval(value, float(low), float(high))
