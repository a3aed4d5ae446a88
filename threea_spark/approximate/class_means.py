"""Means of every class, for tables with too few rows for histograms of their own.

A row adds itself, cut to a DP norm, to its class's sum. A cell of a histogram must hold rows to stand out from its
noise; a sum draws on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from threea_spark.encode.codes import SCORE_GRID
from threea_spark.privacy.mechanism import clip_rows

Float64Array = NDArray[np.float64]
Int16Array = NDArray[np.int16]
IntArray = NDArray[np.int64]

NORM_BINS = 40
NORM_QUANTILE = 0.5
"""Rows longer than the median are cut: noise falls faster than the cut takes signal away (0.3 to 0.5 did best)."""
NORMS_SQUARED_BOUND = 2
"""A row counts once in a bin of norms and once in its class."""
_LONGEST = 2.0  # in norms of a typical row


@dataclass(frozen=True)
class NormClip:
    """Where rows are cut, and what that leaves of them. RELEASED.

    Attributes:
      bound: L2 bound on a row, in grid units.
      kept: Mean share of a row's length that is left, in (0, 1].
    """

    bound: int
    kept: float


@dataclass(frozen=True)
class ClassMeans:
    """Noisy sums of the rows of each class. RELEASED.

    Attributes:
      sizes: DP rows of each class, positive, shape (n_classes,).
      sums: Of the scores, made up for the cut, shape (n_classes, d).
      stddev: Of the noise on each sum.
    """

    sizes: Float64Array
    sums: Float64Array
    stddev: float

    @property
    def weights(self) -> Float64Array:
        """Share of each class, shape (n_classes,)."""
        return np.asarray(self.sizes / self.sizes.sum(), dtype=np.float64)

    @property
    def pooled(self) -> Float64Array:
        """Mean of all rows, shape (d,)."""
        return np.asarray(self.sums.sum(axis=0) / self.sizes.sum(), dtype=np.float64)

    @property
    def deviations(self) -> Float64Array:
        """Mean of each class less that of all rows, shape (n_classes, d)."""
        return np.asarray(self.sums / self.sizes[:, None] - self.pooled, dtype=np.float64)

    def relevance(self) -> Float64Array:
        """By how many standard deviations of noise each coordinate's means differ between classes, shape (d,).

        Without a difference, sum_c n_c m_c^2 has expectation (C - 1) v and variance about 2 (C - 1) v^2, where v is the
        variance of noise on sqrt(n_c) m_c in a class of mean size.
        """
        degrees = max(len(self.sizes) - 1, 1)
        noise = self.stddev**2 / float(self.sizes.mean())
        spread = (self.sizes[:, None] * self.deviations**2).sum(axis=0) / max(noise, 1e-12)
        return np.asarray((spread - degrees) / np.sqrt(2.0 * degrees), dtype=np.float64)


def norm_bins(typical: float) -> Float64Array:
    """Ends of the bins of a row's norm, in grid units, shape (NORM_BINS,); the last bin is open above.

    Args:
      typical: Norm of a typical row, in units of score. Public.
    """
    return np.asarray(_LONGEST * typical * SCORE_GRID * np.arange(1, NORM_BINS + 1) / NORM_BINS, dtype=np.float64)


def norm_counts(packed: IntArray, classes: IntArray, n_classes: int, ends: Float64Array) -> IntArray:
    """Counts a batch by norm and by class, shape (NORM_BINS + n_classes,), exact. PRIVATE."""
    norms = np.sqrt(np.einsum("nd,nd->n", packed, packed).astype(np.float64))
    bins = np.minimum(np.searchsorted(ends, norms), NORM_BINS - 1)
    return np.concatenate([np.bincount(bins, minlength=NORM_BINS), np.bincount(classes, minlength=n_classes)])


def norm_clip(noisy: Float64Array, ends: Float64Array) -> NormClip:
    """Takes the quantile of the noisy norms.

    Args:
      noisy: Shape (NORM_BINS,). RELEASED.
      ends: Of the bins, in grid units.
    """
    counts = np.maximum(noisy, 0.0)
    total = float(counts.sum())
    share = counts / total if total > 0.0 else np.full(NORM_BINS, 1.0 / NORM_BINS)
    chosen = min(int(np.searchsorted(np.cumsum(share), NORM_QUANTILE)), NORM_BINS - 1)
    bound = max(1, int(ends[chosen]))
    middle = ends - 0.5 * ends[0]
    return NormClip(bound, float(share @ np.minimum(1.0, bound / middle)))


def class_sums(rows: IntArray, classes: IntArray, n_classes: int, bound: int) -> IntArray:
    """Sums the cut rows of each class over a batch.

    Args:
      rows: Grid units, shape (n, d). PRIVATE.
      classes: Shape (n,). PRIVATE.
      n_classes: Of the label.
      bound: L2 bound on a row, checked in integers.

    Returns:
      Shape (n_classes * d,), exact; a row adds a vector of norm at most `bound`. PRIVATE.
    """
    cut = clip_rows(rows, bound).astype(np.float64)
    indicator = np.zeros((n_classes, len(rows)))
    indicator[classes, np.arange(len(rows))] = 1.0
    return np.rint(indicator @ cut).astype(np.int64).ravel()  # float64 is exact: far below 2^53


def class_means(noisy: Float64Array, stddev: float, sizes: Float64Array, clip: NormClip) -> ClassMeans:
    """Reads noisy `class_sums`, and makes up for the length that the cut took.

    Args:
      noisy: Shape (n_classes * d,), in grid units. RELEASED.
      stddev: Of its noise.
      sizes: DP rows of each class, positive.
      clip: Of the rows.
    """
    unit = SCORE_GRID * clip.kept
    return ClassMeans(sizes, noisy.reshape(len(sizes), -1) / unit, stddev / unit)


def combined(first: ClassMeans, second: ClassMeans, coordinates: IntArray) -> ClassMeans:
    """Pools two looks at the deviations of some coordinates by inverse variance.

    Args:
      first: Of all coordinates.
      second: Of rows less the first look's pooled mean, on `coordinates` alone.
      coordinates: Shape (k,).
    """
    own, other = first.stddev**-2, second.stddev**-2
    deviations = first.deviations[:, coordinates] * second.sizes[:, None]
    sums = (own * deviations + other * second.sums) / (own + other)
    return ClassMeans(second.sizes, sums, float((own + other) ** -0.5))


def shrunk_deviations(means: ClassMeans) -> Float64Array:
    """Shrinks the classes' deviations along their principal axes, by how far each stands out from noise.

    Source: the Wiener filter, or empirical Bayes of Efron and Morris 1972 for a matrix of means: along an axis of
    variance d the signal is max(d - v, 0), with v the variance of noise, and the mean keeps signal / (signal + v).

    Returns:
      Shape (n_classes, d).
    """
    scaled = means.deviations * np.sqrt(means.sizes)[:, None]
    noise = means.stddev**2 / float(means.sizes.mean())
    values, axes = np.linalg.eigh(scaled.T @ scaled / len(means.sizes))
    signal = np.maximum(values - noise, 0.0)
    keep = signal / np.maximum(signal + noise, 1e-12)
    return np.asarray(means.deviations @ ((axes * keep) @ axes.T), dtype=np.float64)
