"""Approximate, then: what each component knows of every column, and how the columns hang together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.approximate import class_means, correlation, marginals
from threea_spark.approximate import spark as passes
from threea_spark.approximate.class_means import ClassMeans
from threea_spark.approximate.marginals import Marginals, marginals_of
from threea_spark.approximate.mixture import Mixture
from threea_spark.approximate.odds import cell_log_odds, cell_order
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.privacy.budget import Stage
from threea_spark.privacy.meter import PrivacyMeter

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


CORRELATION_SHARE = 0.15
NORMS_SHARE = 0.05


def may_correlate(n_features: int) -> bool:
    """Whether so many columns can be correlated at all."""
    return 2 <= n_features <= correlation.MOST_FEATURES


@dataclass(frozen=True)
class ComponentModel:
    """What Approximate publishes of its components. RELEASED.

    Attributes:
      mixture: Assigns rows to components.
      marginals: Sizes and cell counts of each component.
      orders: Cells of each feature in the order of its latent score.
      correlations: Of the latent scores, shape (n_features, n_features).
      by_class: Marginals of each class, where components hold rows of all classes.
    """

    mixture: Mixture
    marginals: Marginals
    orders: tuple[Int64Array, ...]
    correlations: Float64Array
    by_class: Marginals | None = None

    def class_counts(self, n_classes: int) -> Float64Array:
        """Cell counts of each class, over its components, shape (n_classes, n_cells)."""
        if self.by_class is not None:
            return self.by_class.counts
        counts = np.zeros((n_classes, self.marginals.counts.shape[1]))
        np.add.at(counts, np.maximum(self.mixture.class_of, 0), self.marginals.counts)
        return counts

    def class_weights(self, n_classes: int) -> Float64Array:
        """Share of each class, shape (n_classes,)."""
        if self.by_class is not None:
            return self.by_class.weights
        weights = np.bincount(np.maximum(self.mixture.class_of, 0), self.marginals.sizes, n_classes)
        return np.asarray(weights / weights.sum(), dtype=np.float64)


def single_components(encoding: Encoding, *, per_class: bool) -> Mixture:
    """One component for each class (or for all rows): nothing to fit, a row's class is its component."""
    classes = np.arange(encoding.n_classes) if per_class else np.array([-1])
    k = len(classes)
    zeros = np.zeros((k, encoding.width))
    return Mixture(zeros, np.ones(k), np.ones(k), np.zeros(k), classes.astype(np.int64), "isotropic")


def measure_components(
    staged: DataFrame, encoding: Encoding, mixture: Mixture, meter: PrivacyMeter, *, n_rows: float, mu: float
) -> ComponentModel:
    """Measures marginals, and correlations where they stand out from their noise.

    Args:
      staged: PRIVATE.
      encoding, mixture: Published so far.
      meter: Pays.
      n_rows: DP number of rows.
      mu: What both together may spend.
    """
    mu_correlation = mu * math.sqrt(CORRELATION_SHARE)
    spread = correlation.variances(*_latent(encoding, [codec.cell_mass for codec in encoding.features], None))
    correlated = correlation.is_worth_it(spread, n_rows, mu_correlation)
    mu_marginals = mu * math.sqrt(1.0 - CORRELATION_SHARE) if correlated else mu
    by_class = None
    if np.any(mixture.class_of < 0) and encoding.n_classes > 1:  # what a column says about the label is read apart
        mu_marginals *= math.sqrt(0.5)
        classes = single_components(encoding, per_class=True)
        by_class = measure_marginals(
            staged, encoding, classes, meter, Stage.APPROXIMATE, mu_marginals, name="marginals-by-class"
        )
    measured = measure_marginals(staged, encoding, mixture, meter, Stage.APPROXIMATE, mu_marginals)
    unrelated = np.eye(len(encoding.features), dtype=np.float64)
    model = ComponentModel(replace(mixture, sizes=measured.sizes), measured, (), unrelated, by_class)
    orders = feature_orders(encoding, model)
    model = replace(model, orders=orders)
    if not correlated:
        return model
    scores, laws = _latent(encoding, pooled_laws(encoding, measured), orders)
    spread = correlation.variances(scores, laws)
    bound = correlation.product_bound(spread)
    exact = passes.product_sums(staged, encoding, scores, bound)
    noisy, stddev = meter.measure(
        Stage.APPROXIMATE, "correlations", exact, squared_bound=bound * bound, mu=mu_correlation
    )
    return replace(model, correlations=correlation.correlations(noisy, stddev, n_rows, spread))


def measure_class_means(staged: DataFrame, encoding: Encoding, meter: PrivacyMeter, *, mu: float) -> ClassMeans:
    """Measures the mean of every class, in every coordinate.

    Args:
      staged: PRIVATE.
      encoding: Of the table.
      meter: Pays.
      mu: What norms, class sizes and sums together may spend.
    """
    ends = class_means.norm_bins(math.sqrt(len(encoding.features)))
    counted, stddev = meter.measure(
        Stage.APPROXIMATE,
        "norms",
        passes.norm_sums(staged, encoding, ends),
        squared_bound=class_means.NORMS_SQUARED_BOUND,
        moved=2,
        mu=mu * math.sqrt(NORMS_SHARE),
    )
    clip = class_means.norm_clip(counted[: class_means.NORM_BINS], ends)
    sizes = np.maximum(counted[class_means.NORM_BINS :], max(stddev, 1.0))
    noisy, noise = meter.measure(
        Stage.APPROXIMATE,
        "class-sums",
        passes.row_sums(staged, encoding, clip.bound),
        squared_bound=clip.bound**2,
        moved=len(encoding.features),
        mu=mu * math.sqrt(1.0 - NORMS_SHARE),
    )
    return class_means.class_means(noisy, noise, sizes, clip, stddev)


def measure_marginals(
    staged: DataFrame,
    encoding: Encoding,
    mixture: Mixture,
    meter: PrivacyMeter,
    stage: Stage,
    mu: float,
    *,
    name: str = "marginals",
) -> Marginals:
    """Measures sizes and cell counts of each component."""
    exact = passes.marginal_sums(staged, encoding, mixture)
    bound = marginals.squared_bound(len(encoding.features))
    noisy, stddev = meter.measure(stage, name, exact, squared_bound=bound, mu=mu, moved=bound)
    return marginals_of(noisy, stddev, mixture.n_components, encoding.cell_layout)


def feature_orders(encoding: Encoding, model: ComponentModel) -> tuple[Int64Array, ...]:
    """Orders the cells of each feature: numbers by value, categories by what they say about the classes."""
    counts, weights = model.class_counts(encoding.n_classes), model.class_weights(encoding.n_classes)
    odds = cell_log_odds(counts, model.marginals.stddev, weights)
    own = zip(encoding.cell_layout.split(odds), encoding.features, strict=True)
    return tuple(cell_order(odds, not codec.is_category, codec.n_value_cells) for odds, codec in own)


def pooled_laws(encoding: Encoding, measured: Marginals) -> list[Float64Array]:
    """Law of each feature's cells over all components."""
    together = Marginals(
        measured.sizes.sum(keepdims=True),
        measured.counts.sum(axis=0, keepdims=True),
        measured.stddev * math.sqrt(measured.n_components),
    ).probabilities(encoding.cell_layout)[0]
    return encoding.cell_layout.split(together)


def _latent(
    encoding: Encoding, laws: list[Float64Array], orders: tuple[Int64Array, ...] | None
) -> tuple[list[Float64Array], list[Float64Array]]:
    normal = [law / max(float(law.sum()), 1e-12) for law in laws]
    ordered = orders if orders is not None else tuple(np.arange(len(law)) for law in normal)
    return [correlation.cell_scores(law, order) for law, order in zip(normal, ordered, strict=True)], normal
