"""Means of every class, for tables with too few rows for histograms of their own.

A row adds itself, cut to a DP norm, to its class's sum. A cell of a histogram must hold rows to stand out from its
noise; a sum draws on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.privacy.clipping import clip_rows

NORM_BINS = 40
NORM_QUANTILE = 0.5
"""Rows longer than the median are cut: noise falls faster than the cut takes signal away (0.3 to 0.5 did best)."""
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
      sums: Sums of the scores, corrected for the cut, shape (n_classes, d).
      stddev: Standard deviation of the noise on each sum.
      sizes_stddev: Standard deviation of the noise on each size, in rows.
    """

    sizes: Float64Array
    sums: Float64Array
    stddev: float
    sizes_stddev: float = 0.0

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

    @property
    def excess(self) -> Float64Array:
        """Sum of each class less its share of the whole sum, shape (n_classes, d): noise is alike in all classes."""
        return np.asarray(self.sums - self.sizes[:, None] * self.pooled, dtype=np.float64)

    def relevance(self, offsets: Int64Array) -> Float64Array:
        """By how many standard deviations of noise each feature's sums differ between classes, shape (n_features,).

        Without a difference the squared excess of a coordinate, over the variance of noise, adds up over C classes of
        shares w to C - 2 + C sum(w^2) in expectation, with a variance of about twice that.

        Args:
          offsets: First coordinate of each feature, shape (n_features,).
        """
        classes = len(self.sizes)
        expected = max(classes - 2.0 + classes * float(np.sum(self.weights**2)), 1e-9)
        squares = (self.excess**2).sum(axis=0) / max(self.stddev**2, 1e-12)
        widths = np.diff(np.append(offsets, len(squares)))
        return np.asarray(np.add.reduceat(squares - expected, offsets) / np.sqrt(2.0 * expected * widths))


def norm_bins(typical: float) -> Float64Array:
    """Ends of the bins of a row's norm, in grid units, shape (NORM_BINS,); the last bin is open above.

    Args:
      typical: Norm of a typical row, in units of score. Public.
    """
    return np.asarray(_LONGEST * typical * SCORE_GRID * np.arange(1, NORM_BINS + 1) / NORM_BINS, dtype=np.float64)


def largest_clip(typical: float) -> int:
    """The largest bound that `norm_clip` can give. Public."""
    return int(norm_bins(typical)[-1]) + 1


def norm_counts(packed: Int64Array, classes: Int64Array, n_classes: int, ends: Float64Array) -> Int64Array:
    """Counts a batch by norm and by class, shape (NORM_BINS + n_classes,), exact. PRIVATE."""
    norms = np.sqrt(np.einsum("nd,nd->n", packed, packed).astype(np.float64))
    bins = np.minimum(np.searchsorted(ends, norms), NORM_BINS - 1)
    return np.concatenate([np.bincount(bins, minlength=NORM_BINS), np.bincount(classes, minlength=n_classes)])


def norm_clip(noisy: Float64Array, ends: Float64Array) -> NormClip:
    """Takes the quantile of the noisy norms.

    Args:
      noisy: Shape (NORM_BINS,). RELEASED.
      ends: Ends of the bins, in grid units.
    """
    counts = np.maximum(noisy, 0.0)
    total = float(counts.sum())
    share = counts / total if total > 0.0 else np.full(NORM_BINS, 1.0 / NORM_BINS)
    chosen = min(int(np.searchsorted(np.cumsum(share), NORM_QUANTILE)), NORM_BINS - 1)
    bound = max(1, int(ends[chosen]))
    middle = ends - 0.5 * ends[0]
    return NormClip(bound, float(share @ np.minimum(1.0, bound / middle)))


def class_sums(rows: Int64Array, classes: Int64Array, n_classes: int, bound: int) -> Int64Array:
    """Sums the cut rows of each class over a batch.

    Args:
      rows: Grid units, shape (n, d). PRIVATE.
      classes: Shape (n,). PRIVATE.
      n_classes: Classes of the label.
      bound: L2 bound on a row, checked in integers.

    Returns:
      Shape (n_classes * d,), exact; a row adds a vector of norm at most `bound`. PRIVATE.
    """
    cut = clip_rows(rows, bound).astype(np.float64)
    indicator = np.zeros((n_classes, len(rows)))
    indicator[classes, np.arange(len(rows))] = 1.0
    return np.rint(indicator @ cut).astype(np.int64).ravel()  # float64 is exact: far below 2^53


def class_means(
    noisy: Float64Array, stddev: float, sizes: Float64Array, clip: NormClip, sizes_stddev: float = 0.0
) -> ClassMeans:
    """Reads noisy `class_sums`, and corrects for the length that the cut took.

    Args:
      noisy: Shape (n_classes * d,), in grid units. RELEASED.
      stddev: Standard deviation of its noise.
      sizes: DP rows of each class, positive.
      clip: Where the rows were cut.
      sizes_stddev: Standard deviation of the noise on the sizes.
    """
    unit = SCORE_GRID * clip.kept
    return ClassMeans(sizes, noisy.reshape(len(sizes), -1) / unit, stddev / unit, sizes_stddev)


def combined(first: ClassMeans, second: ClassMeans, coordinates: Int64Array) -> ClassMeans:
    """Pools two looks at the deviations of some coordinates by inverse variance.

    Args:
      first: The look at all coordinates.
      second: The look at rows less the first one's pooled mean, on `coordinates` alone; on a sample, so with smaller
        sizes.
      coordinates: Shape (k,).
    """
    rate = float(second.sizes.sum() / first.sizes.sum())
    own, other = (rate * first.stddev) ** -2, second.stddev**-2
    deviations = first.deviations[:, coordinates] * second.sizes[:, None]
    sums = (own * deviations + other * second.sums) / (own + other)
    return ClassMeans(second.sizes, sums, float((own + other) ** -0.5))


def shrunk_deviations(means: ClassMeans) -> Float64Array:
    """Shrinks the classes' deviations along their principal axes, by how far each stands out from noise.

    Source: the Wiener filter, or empirical Bayes of Efron and Morris 1972 for a matrix of means: along an axis of
    variance e the signal is max(e - v, 0), with v the variance of noise, and the mean keeps signal / (signal + v). An
    axis that knows nothing of the noise holds a column's; the noise of d columns lies on n_classes axes, so axes that
    follow it hold d / n_classes times as much. The truth is between: the geometric mean of the two is taken.

    Returns:
      Shape (n_classes, d).
    """
    excess = means.excess
    n_classes, width = excess.shape
    noise = means.stddev**2 * np.sqrt(max(n_classes, width) / n_classes)
    values, axes = np.linalg.eigh(excess.T @ excess / n_classes)
    signal = np.maximum(values - noise, 0.0)
    keep = signal / np.maximum(signal + noise, 1e-12)
    return np.asarray(excess @ ((axes * keep) @ axes.T) / means.sizes[:, None], dtype=np.float64)
