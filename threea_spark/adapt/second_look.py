"""Adapt for wide tables: choose the columns that tell the classes apart, and look again at those alone.

The first look's noise grows with the square root of the width, the second's with that of the chosen columns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.adapt.move import sample_rate
from threea_spark.approximate import class_means, correlation
from threea_spark.approximate.class_means import ClassMeans
from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.config.release import AdaptConfig
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.engine.sample import poisson_sample
from threea_spark.model.gaussian_classes import Discriminant, within_classes
from threea_spark.privacy.budget import Stage
from threea_spark.privacy.meter import PrivacyMeter

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


NORMS_SHARE = 0.02
PAIRS_SHARE = 0.22
"""Parts of Adapt's mu^2 for the products of pairs, and of the rest for the norms; class sums take what is left."""
_FEWEST, _MOST, _ONE_IN = 64, 256, 3


def n_chosen(n_features: int) -> int:
    """How many columns are looked at again: a third, within bounds (200 of 617 and of 784 did best)."""
    return min(n_features, max(_FEWEST, min(_MOST, -(-n_features // _ONE_IN))))


def choose(encoding: Encoding, means: ClassMeans) -> BoolArray:
    """Chooses the features whose class means differ most, by noisy means alone, shape (n_features,)."""
    relevance = means.relevance(encoding.offsets)
    chosen = np.zeros(len(encoding.features), dtype=np.bool_)
    chosen[np.argsort(-relevance, kind="stable")[: n_chosen(len(chosen))]] = True
    return chosen


def look_again(
    staged: DataFrame, encoding: Encoding, first: ClassMeans, n_rows: float, config: AdaptConfig, meter: PrivacyMeter
) -> Discriminant:
    """Measures class means and correlations of the chosen columns, on one Poisson sample.

    Args:
      staged: PRIVATE.
      encoding: Of the table.
      first: The first look, of all coordinates.
      n_rows: DP number of rows.
      config: Of the stage.
      meter: Pays.
    """
    chosen = choose(encoding, first)
    sizes = np.diff(np.append(encoding.offsets, encoding.width))
    coordinates = np.flatnonzero(np.repeat(chosen, sizes))
    numbers = np.array([c and not codec.is_category for c, codec in zip(chosen, encoding.features, strict=True)])
    rate = sample_rate(meter, n_rows, config.max_rows)
    sample = poisson_sample(staged, encoding.width, rate)
    offset = np.rint(first.pooled * SCORE_GRID).astype(np.int64)
    with meter.poisson_sample(Stage.ADAPT, rate):
        rows = sample.packed.astype(np.int64) - offset
        scores = rows[:, encoding.offsets[numbers]] / SCORE_GRID
        second, total = _readings(rows[:, coordinates], scores, sample.classes, first.sizes * rate, meter)
    deviations = np.zeros_like(first.sums)
    deviations[:, coordinates] = class_means.shrunk_deviations(class_means.combined(first, second, coordinates))
    inside = within_classes(total, deviations[:, encoding.offsets[numbers]], first.weights)
    spread = np.sqrt(np.diag(inside))
    within, correlations = np.ones(len(chosen)), np.eye(len(chosen))
    within[numbers] = spread**2
    correlations[np.ix_(numbers, numbers)] = inside / np.outer(spread, spread)
    return Discriminant(first.weights, first.pooled, deviations, chosen, within, correlations)


def _readings(
    rows: Int64Array, scores: Float64Array, classes: Int64Array, sizes: Float64Array, meter: PrivacyMeter
) -> tuple[ClassMeans, Float64Array]:
    """Reads class means of all chosen coordinates and correlations of the chosen numbers; spends what is left."""
    mu = meter.remaining_mu(Stage.ADAPT)
    pairs_share = PAIRS_SHARE if scores.shape[1] > 1 else 0.0
    means = _class_means(rows, classes, sizes, meter, mu * math.sqrt(1.0 - pairs_share))
    return means, _correlations(scores, max(float(sizes.sum()), 1.0), meter, mu * math.sqrt(pairs_share))


def _class_means(
    rows: Int64Array, classes: Int64Array, sizes: Float64Array, meter: PrivacyMeter, mu: float
) -> ClassMeans:
    ends = class_means.norm_bins(math.sqrt(rows.shape[1]))
    counted = class_means.norm_counts(rows, classes, len(sizes), ends)[: class_means.NORM_BINS]
    norms = meter.noisy_sum(Stage.ADAPT, "norms", counted, squared_bound=1, mu=mu * math.sqrt(NORMS_SHARE), moved=1)
    clip = class_means.norm_clip(norms.value.astype(np.float64), ends)
    exact = class_means.class_sums(rows, classes, len(sizes), clip.bound)
    mu_sums = mu * math.sqrt(1.0 - NORMS_SHARE) * (1.0 - 1e-12)
    sums = meter.noisy_sum(
        Stage.ADAPT, "class-sums", exact, squared_bound=clip.bound**2, mu=mu_sums, moved=rows.shape[1]
    )
    return class_means.class_means(sums.value.astype(np.float64), sums.stddev, sizes, clip)


def _correlations(scores: Float64Array, n_rows: float, meter: PrivacyMeter, mu: float) -> Float64Array:
    spread = np.ones(scores.shape[1])
    if len(spread) < 2:
        return np.eye(len(spread))
    bound = correlation.product_bound(spread)
    exact = correlation.pair_products(scores, bound)
    noisy = meter.noisy_sum(Stage.ADAPT, "correlations", exact, squared_bound=bound * bound, mu=mu)
    return correlation.correlations(noisy.value.astype(np.float64), noisy.stddev, n_rows, spread)
