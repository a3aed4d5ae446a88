"""Approximate, in order: fit the clusters, keep them large enough, measure what each knows of every column."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from threea_spark.adapt.features import cell_log_odds, cell_order
from threea_spark.approximate import correlation, marginals
from threea_spark.approximate import spark as passes
from threea_spark.approximate.marginals import Marginals, marginals_of
from threea_spark.approximate.mixture import Covariance, Mixture, m_step, starting_mixture
from threea_spark.approximate.prices import large_enough, merge_smallest, raise_prices, unmet
from threea_spark.auto import Resolved
from threea_spark.encode.codes import CategoryCode
from threea_spark.encode.encoding import Encoding
from threea_spark.errors import PrivacyError
from threea_spark.privacy.mechanism import PrivacyMeter
from threea_spark.privacy.plan import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

_EM_SHARE = 0.4
_CORRELATION_SHARE = 0.2
_SIZES_SHARE = 0.1
_START_SPREAD = 0.5
_MAX_PRICE_PASSES = 25


@dataclass(frozen=True)
class ComponentModel:
    """What Approximate publishes of its components. RELEASED.

    Attributes:
      mixture: Assigns rows to components.
      marginals: Sizes and cell counts of each component.
      orders: Cells of each feature in the order of its latent score.
      correlations: Of the latent scores, shape (n_features, n_features).
    """

    mixture: Mixture
    marginals: Marginals
    orders: tuple[IntArray, ...]
    correlations: Float64Array

    def class_counts(self, n_classes: int) -> Float64Array:
        """Cell counts of each class, over its components, shape (n_classes, n_cells)."""
        counts = np.zeros((n_classes, self.marginals.counts.shape[1]))
        np.add.at(counts, np.maximum(self.mixture.class_of, 0), self.marginals.counts)
        return counts

    def class_weights(self, n_classes: int) -> Float64Array:
        """Share of each class, shape (n_classes,)."""
        weights = np.bincount(np.maximum(self.mixture.class_of, 0), self.marginals.sizes, n_classes)
        return np.asarray(weights / weights.sum(), dtype=np.float64)


def split_mu(mu: float) -> tuple[float, float]:
    """Splits Approximate's mu between the marginals and the fit of more than one component."""
    return mu * math.sqrt(1.0 - _EM_SHARE), mu * math.sqrt(_EM_SHARE)


@dataclass(frozen=True)
class FittedMixture:
    """Size-constrained clusters. RELEASED.

    Attributes:
      mixture: Its sizes are DP (exact in conditional mode).
      class_shares: Share of each class in each cluster, shape (k, n_classes).
    """

    mixture: Mixture
    class_shares: Float64Array


def fit_mixture(
    staged: DataFrame,
    encoding: Encoding,
    resolved: Resolved,
    meter: PrivacyMeter,
    *,
    iterations: int,
    covariance: Covariance,
    mu: float,
    rng: np.random.Generator,
) -> FittedMixture:
    """Fits size-constrained clusters by classification EM, `iterations` noisy passes, then keeps the large ones.

    Args:
      staged: PRIVATE.
      encoding, resolved: Published so far.
      meter: Pays.
      iterations: Passes; end to end each is paid for.
      covariance: Of the components.
      mu: What all passes together may spend.
      rng: Public randomness for the starting centres.
    """
    groups = range(encoding.n_classes) if resolved.per_class else [-1]
    wanted = dict.fromkeys(groups, resolved.components_per_class)
    mixture = starting_mixture(wanted, encoding.width, covariance, rng, _START_SPREAD)
    mu_pass = mu * math.sqrt((1.0 - _SIZES_SHARE) / iterations)
    for iteration in range(iterations):
        mixture = _em_pass(staged, encoding, mixture, meter, f"pass-{iteration}", mu_pass)
        mixture = raise_prices(mixture, mixture.sizes, resolved.min_cluster_size, 0.5 * encoding.clip_norm**2)
    if meter.plan.is_conditional:
        return _exactly_constrained(staged, encoding, mixture, resolved.min_cluster_size, meter)
    counted = _count(staged, encoding, mixture, meter, "sizes", mu * math.sqrt(_SIZES_SHARE))
    kept = large_enough(counted.mixture, counted.mixture.sizes, resolved.min_cluster_size)
    return FittedMixture(counted.mixture.keep(kept), counted.class_shares[kept])


def _em_pass(
    staged: DataFrame, encoding: Encoding, mixture: Mixture, meter: PrivacyMeter, name: str, mu: float
) -> Mixture:
    """Sums the statistics of one assignment and publishes new parameters."""
    needs_second = mixture.covariance != "isotropic"
    mu_each = mu * math.sqrt(0.5) if needs_second else mu
    bound = encoding.norm_bound**2
    exact = passes.first_sums(staged, encoding, mixture)
    first, stddev = meter.measure(Stage.APPROXIMATE, f"first-{name}", exact, squared_bound=2 * bound, mu=mu_each)
    second = None
    if needs_second:
        exact = passes.second_sums(staged, encoding, mixture)
        second, _ = meter.measure(Stage.APPROXIMATE, f"second-{name}", exact, squared_bound=bound * bound, mu=mu_each)
    return m_step(mixture, first, second, norm_bound=encoding.norm_bound, noise_rows=stddev / encoding.norm_bound)


def _count(
    staged: DataFrame, encoding: Encoding, mixture: Mixture, meter: PrivacyMeter, name: str, mu: float
) -> FittedMixture:
    """Counts the rows of each cluster by class."""
    exact = passes.class_sums(staged, encoding, mixture)
    noisy, stddev = meter.measure(Stage.APPROXIMATE, name, exact, squared_bound=1, mu=mu)
    counts = noisy.reshape(mixture.n_components, encoding.n_classes)
    known = np.where(mixture.class_of[:, None] >= 0, np.eye(encoding.n_classes)[mixture.class_of], 1.0)
    counts = np.maximum(counts, 0.0) * known
    sizes = counts.sum(axis=1)
    shares = (counts + max(stddev, 1.0) * known / encoding.n_classes) / (
        sizes + max(stddev, 1.0) * known.sum(axis=1) / encoding.n_classes
    )[:, None]
    return FittedMixture(replace(mixture, sizes=sizes), shares)


def _exactly_constrained(
    staged: DataFrame, encoding: Encoding, mixture: Mixture, min_cluster_size: int, meter: PrivacyMeter
) -> FittedMixture:
    """Raises prices, then merges, until every cluster holds the minimum exactly. Conditional mode only."""
    counted = _count(staged, encoding, mixture, meter, "sizes", 1.0)
    for attempt in range(_MAX_PRICE_PASSES + mixture.n_components):
        sizes = counted.mixture.sizes
        if unmet(counted.mixture, sizes, min_cluster_size) == 0:
            break
        if attempt < _MAX_PRICE_PASSES:
            mixture = raise_prices(counted.mixture, sizes, min_cluster_size, 0.5 * encoding.clip_norm**2)
        else:
            mixture = merge_smallest(counted.mixture, sizes, min_cluster_size)
        counted = _count(staged, encoding, mixture, meter, "sizes", 1.0)
    if unmet(counted.mixture, counted.mixture.sizes, min_cluster_size):
        raise PrivacyError("approximate: clusters below min_cluster_size are left; lower it, or approximate.components")
    return counted


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
    mu_correlation = mu * math.sqrt(_CORRELATION_SHARE)
    spread = correlation.variances(*_latent(encoding, [code.cell_mass for code in encoding.codes], None))
    correlated = correlation.is_worth_it(spread, n_rows, mu_correlation)
    mu_marginals = mu * math.sqrt(1.0 - _CORRELATION_SHARE) if correlated else mu
    measured = measure_marginals(staged, encoding, mixture, meter, Stage.APPROXIMATE, mu_marginals)
    model = ComponentModel(
        replace(mixture, sizes=measured.sizes), measured, (), np.eye(len(encoding.codes), dtype=np.float64)
    )
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


def measure_marginals(
    staged: DataFrame, encoding: Encoding, mixture: Mixture, meter: PrivacyMeter, stage: Stage, mu: float
) -> Marginals:
    """Measures sizes and cell counts of each component."""
    exact = passes.marginal_sums(staged, encoding, mixture)
    bound = marginals.squared_bound(len(encoding.codes))
    noisy, stddev = meter.measure(stage, "marginals", exact, squared_bound=bound, mu=mu)
    return marginals_of(noisy, stddev, mixture.n_components, encoding.cell_offsets)


def feature_orders(encoding: Encoding, model: ComponentModel) -> tuple[IntArray, ...]:
    """Orders the cells of each feature: numbers by value, categories by what they say about the classes."""
    counts, weights = model.class_counts(encoding.n_classes), model.class_weights(encoding.n_classes)
    odds = cell_log_odds(counts, model.marginals.stddev, weights)
    orders = []
    for column, code in enumerate(encoding.codes):
        own = odds[:, encoding.cell_offsets[column] : encoding.cell_offsets[column + 1]]
        orders.append(cell_order(own, not isinstance(code, CategoryCode), code.n_cells))
    return tuple(orders)


def pooled_laws(encoding: Encoding, measured: Marginals) -> list[Float64Array]:
    """Law of each feature's cells over all components."""
    together = Marginals(
        measured.sizes.sum(keepdims=True),
        measured.counts.sum(axis=0, keepdims=True),
        measured.stddev * math.sqrt(measured.n_components),
    ).probabilities(encoding.cell_offsets)[0]
    return list(np.split(together, encoding.cell_offsets[1:-1])) if len(encoding.codes) else []


def _latent(
    encoding: Encoding, laws: list[Float64Array], orders: tuple[IntArray, ...] | None
) -> tuple[list[Float64Array], list[Float64Array]]:
    normal = [law / max(float(law.sum()), 1e-12) for law in laws]
    ordered = orders if orders is not None else tuple(np.arange(len(law)) for law in normal)
    return [correlation.cell_scores(law, order) for law, order in zip(normal, ordered, strict=True)], normal
