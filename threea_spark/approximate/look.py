"""One look at the means of the classes: the rows' norms first, then the sums of rows that are cut to a DP norm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

import numpy as np

from threea_spark.approximate.class_means import (
    NORM_BINS,
    ClassMeans,
    NormClip,
    class_means,
    class_sums,
    norm_bins,
    norm_clip,
    norm_counts,
)
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import R, RowBound, Summable, SumQuery
from threea_spark.privacy.terms import Stage

_ROUNDING = 1e-12  # relative; so that two parts of a mu, added up in float64, do not exceed it


@dataclass(frozen=True)
class Look(Generic[R]):
    """How class means are looked at.

    Attributes:
      stage: Who pays.
      norms_share: Part of mu^2 that reads the norms; the rest reads the sums.
      n_classes, width: Shape of the means.
      n_held: Coordinates of a row that are not zero, at most; a typical row has the norm of as many ones.
      view: Returns a batch's rows in grid units, shape (n, width), and their classes, shape (n,).
    """

    stage: Stage
    norms_share: float
    n_classes: int
    width: int
    n_held: int
    view: Callable[[R], tuple[Int64Array, Int64Array]]

    def norms_query(self, ends: Float64Array, *, counts_classes: bool) -> SumQuery[R]:
        """How many rows have a norm in each bin, and, if asked, how many are in each class."""
        n_classes, view, kept = self.n_classes, self.view, NORM_BINS + self.n_classes * counts_classes
        return SumQuery(
            stage=self.stage,
            name="norms",
            bound=norms_bound(counts_classes=counts_classes),
            size=kept,
            contribution=lambda rows: norm_counts(*view(rows), n_classes, ends)[:kept],
        )

    def sums_query(self, clip: NormClip) -> SumQuery[R]:
        """The sums of the rows of each class, cut to a norm."""
        n_classes, view, norm = self.n_classes, self.view, clip.bound
        return SumQuery(
            stage=self.stage,
            name="class-sums",
            bound=sums_bound(norm, self.n_held),
            size=n_classes * self.width,
            contribution=lambda rows: class_sums(*view(rows), n_classes, norm),
        )


def norms_bound(*, counts_classes: bool) -> RowBound:
    """A row counts once in a bin of norms, and, if classes are counted, once in its class."""
    return RowBound.count(1 + counts_classes)


def sums_bound(norm: int, n_held: int) -> RowBound:
    """A row adds itself, cut to a norm, to the sum of its class."""
    return RowBound(norm**2, n_held)


def split_mu(mu: float, norms_share: float) -> tuple[float, float]:
    """Splits the mu of a look between norms and sums."""
    return mu * math.sqrt(norms_share), mu * math.sqrt(1.0 - norms_share) * (1.0 - _ROUNDING)


def measure_class_means(
    rows: Summable[R], look: Look[R], meter: PrivacyMeter, mu: float, sizes: Float64Array | None = None
) -> ClassMeans:
    """Measures the mean of every class, in every coordinate of a look.

    Args:
      rows: PRIVATE.
      look: Which coordinates, and who pays.
      meter: Answers the queries.
      mu: Price of norms and sums together.
      sizes: DP rows of each class, shape (n_classes,); None counts them with the norms.
    """
    mu_norms, mu_sums = split_mu(mu, look.norms_share)
    ends = norm_bins(math.sqrt(look.n_held))
    counted = meter.ask(look.norms_query(ends, counts_classes=sizes is None), rows, mu_norms)
    sizes_stddev = 0.0
    if sizes is None:
        sizes, sizes_stddev = np.maximum(counted.value[NORM_BINS:], max(counted.stddev, 1.0)), counted.stddev
    clip = norm_clip(counted.value[:NORM_BINS], ends)
    sums = meter.ask(look.sums_query(clip), rows, mu_sums)
    return class_means(sums.value, sums.stddev, sizes, clip, sizes_stddev)
