"""Adapt for wide tables: choose the columns that tell the classes apart, and look again at those alone.

The first look's noise grows with the square root of the width, the second's with that of the chosen columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from threea_spark.adapt.move import sample_rate
from threea_spark.approximate import class_means, correlation
from threea_spark.approximate.class_means import ClassMeans
from threea_spark.approximate.look import Look, measure_class_means
from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.config.adapt import AdaptConfig
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.engine.packed import PackedRows
from threea_spark.engine.rows import StagedRows
from threea_spark.model.gaussian_classes import Discriminant, within_classes
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import HeldRows, SumQuery
from threea_spark.privacy.terms import Stage

NORMS_SHARE = 0.02
PAIRS_SHARE = 0.22
"""Parts of Adapt's mu^2 for the products of pairs, and of the rest for the norms; class sums take what is left."""
_MIN, _MAX, _ONE_IN = 64, 256, 3


def n_chosen(n_features: int) -> int:
    """How many columns are looked at again: a third, within bounds (200 of 617 and of 784 did best)."""
    return min(n_features, max(_MIN, min(_MAX, -(-n_features // _ONE_IN))))


def choose(encoding: Encoding, means: ClassMeans) -> BoolArray:
    """Chooses the features whose class means differ most, by noisy means alone, shape (n_features,)."""
    relevance = means.relevance(encoding.offsets)
    chosen = np.zeros(len(encoding.features), dtype=np.bool_)
    chosen[np.argsort(-relevance, kind="stable")[: n_chosen(len(chosen))]] = True
    return chosen


@dataclass(frozen=True)
class _Chosen:
    """The chosen columns of rows, less the first look's means. PRIVATE.

    Attributes:
      rows: Grid units, shape (n, k).
      scores: The numbers among them, in units of score, shape (n, f).
      classes: Shape (n,).
    """

    rows: Int64Array
    scores: Float64Array
    classes: Int64Array


def look_again(
    staged: StagedRows, encoding: Encoding, first: ClassMeans, n_rows: float, config: AdaptConfig, meter: PrivacyMeter
) -> Discriminant:
    """Measures class means and correlations of the chosen columns, on one Poisson sample.

    Args:
      staged: PRIVATE.
      encoding: The table's codes.
      first: The first look, at all coordinates.
      n_rows: DP number of rows.
      config: The stage's configuration.
      meter: Answers the queries.
    """
    chosen = choose(encoding, first)
    sizes = np.diff(np.append(encoding.offsets, encoding.width))
    coordinates = np.flatnonzero(np.repeat(chosen, sizes))
    numbers = np.array([c and not codec.is_category for c, codec in zip(chosen, encoding.features, strict=True)])
    offset = np.rint(first.pooled * SCORE_GRID).astype(np.int64)

    def view(sample: PackedRows) -> _Chosen:
        rows = sample.packed.astype(np.int64) - offset
        return _Chosen(rows[:, coordinates], rows[:, encoding.offsets[numbers]] / SCORE_GRID, sample.classes)

    rate = sample_rate(meter, n_rows, config.max_rows)
    with meter.sample(Stage.ADAPT, staged, rate) as sample:
        held = sample.seen_as(view)
        mu_means, mu_pairs = split_mu(meter.remaining_mu(Stage.ADAPT), int(numbers.sum()))
        class_sizes = first.sizes * rate
        second = measure_class_means(held, _look(len(class_sizes), len(coordinates)), meter, mu_means, class_sizes)
        total = _correlations(held, int(numbers.sum()), max(float(class_sizes.sum()), 1.0), meter, mu_pairs)
    deviations = np.zeros_like(first.sums)
    deviations[:, coordinates] = class_means.shrunk_deviations(class_means.combined(first, second, coordinates))
    inside = within_classes(total, deviations[:, encoding.offsets[numbers]], first.weights)
    spread = np.sqrt(np.diag(inside))
    within, correlations = np.ones(len(chosen)), np.eye(len(chosen))
    within[numbers] = spread**2
    correlations[np.ix_(numbers, numbers)] = inside / np.outer(spread, spread)
    return Discriminant(first.weights, first.pooled, deviations, chosen, within, correlations)


def split_mu(mu: float, n_numbers: int) -> tuple[float, float]:
    """Splits the mu of the second look between class means and the correlations of so many numbers."""
    share = PAIRS_SHARE if n_numbers > 1 else 0.0
    return mu * math.sqrt(1.0 - share), mu * math.sqrt(share)


def _look(n_classes: int, width: int) -> Look[_Chosen]:
    return Look(Stage.ADAPT, NORMS_SHARE, n_classes, width, width, lambda own: (own.rows, own.classes))


def _correlations(
    held: HeldRows[_Chosen], n_numbers: int, n_rows: float, meter: PrivacyMeter, mu: float
) -> Float64Array:
    if n_numbers < 2:
        return np.eye(n_numbers)
    spread = np.ones(n_numbers)
    query: SumQuery[_Chosen] = correlation.products_query(Stage.ADAPT, spread, lambda own: own.scores)
    products = meter.ask(query, held, mu)
    return correlation.correlations(products.value, products.stddev, n_rows, spread)
