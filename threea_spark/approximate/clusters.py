"""Approximate, first: fit the clusters by noisy passes and keep them large enough."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.approximate import spark as passes
from threea_spark.approximate.constrain import exactly_constrained
from threea_spark.approximate.mixture import Mixture, m_step, starting_mixture
from threea_spark.approximate.prices import large_enough, raise_prices
from threea_spark.approximate.statistics import Covariance, product_bound
from threea_spark.arrays import Float64Array
from threea_spark.encode.codec import Encoding
from threea_spark.engine.progress import counted
from threea_spark.privacy.budget import Stage
from threea_spark.privacy.meter import PrivacyMeter

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


_EM_SHARE = 0.4
SIZES_SHARE = 0.1
_START_SPREAD = 0.5


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
    meter: PrivacyMeter,
    *,
    n_rows: float,
    per_class: bool,
    n_components: int,
    min_size: int,
    iterations: int,
    covariance: Covariance,
    mu: float,
    rng: np.random.Generator,
) -> FittedMixture:
    """Fits size-constrained clusters by classification EM, `iterations` noisy passes, then keeps the large ones.

    Args:
      staged: PRIVATE.
      encoding: Published so far.
      meter: Pays.
      n_rows: DP number of rows (exact in conditional mode).
      per_class: Whether each class has clusters of its own.
      n_components: Clusters of each class, or of all rows.
      min_size: Rows that every cluster must hold.
      iterations: Passes; end to end each is paid for.
      covariance: Of the components.
      mu: What all passes together may spend.
      rng: Public randomness for the starting centres.
    """
    groups = range(encoding.n_classes) if per_class else [-1]
    wanted = dict.fromkeys(groups, n_components)
    mixture = starting_mixture(wanted, encoding.width, covariance, rng, _START_SPREAD)
    mu_pass = mu * math.sqrt((1.0 - SIZES_SHARE) / iterations)
    for iteration in counted(iterations):
        mixture = _em_pass(staged, encoding, mixture, meter, f"pass-{iteration}", mu_pass)
        mixture = raise_prices(mixture, mixture.sizes, min_size, 0.5 * encoding.clip_norm**2)
    if meter.plan.is_conditional:
        return _exactly_constrained(staged, encoding, mixture, min_size, n_rows, meter)
    mu_count = mu * math.sqrt(0.5 * SIZES_SHARE)
    sized = _count(staged, encoding, mixture, meter, "sizes", mu_count)
    kept = large_enough(sized.mixture, sized.mixture.sizes, min_size)
    again = _count(staged, encoding, sized.mixture.keep(kept), meter, "sizes-of-kept", mu_count)
    return _averaged(sized, again) if kept.all() else again


def _em_pass(
    staged: DataFrame, encoding: Encoding, mixture: Mixture, meter: PrivacyMeter, name: str, mu: float
) -> Mixture:
    """Sums the statistics of one assignment and publishes new parameters."""
    needs_second = mixture.covariance != "isotropic"
    mu_each = mu * math.sqrt(0.5) if needs_second else mu
    sums, products = passes.statistics_sums(staged, encoding, mixture)
    held = len(encoding.features)  # coordinates of a packed row that are not zero, at most
    bound = 2 * encoding.norm_bound**2
    first, stddev = meter.measure(
        Stage.APPROXIMATE, f"first-{name}", sums, squared_bound=bound, mu=mu_each, moved=1 + held
    )
    second = None
    if needs_second:
        bound = product_bound(encoding.norm_bound) ** 2
        moved = held * held if mixture.covariance == "full" else held
        second, _ = meter.measure(
            Stage.APPROXIMATE, f"second-{name}", products, squared_bound=bound, mu=mu_each, moved=moved
        )
    return m_step(mixture, first, second, norm_bound=encoding.norm_bound, noise_rows=stddev / encoding.norm_bound)


def _count(
    staged: DataFrame, encoding: Encoding, mixture: Mixture, meter: PrivacyMeter, name: str, mu: float
) -> FittedMixture:
    """Counts the rows of each cluster by class."""
    exact = passes.class_sums(staged, encoding, mixture)
    noisy, stddev = meter.measure(Stage.APPROXIMATE, name, exact, squared_bound=1, mu=mu, moved=1)
    counts = noisy.reshape(mixture.n_components, encoding.n_classes)
    known = np.where(mixture.class_of[:, None] >= 0, np.eye(encoding.n_classes)[mixture.class_of], 1.0)
    counts = np.maximum(counts, 0.0) * known
    sizes = counts.sum(axis=1)
    shares = (counts + max(stddev, 1.0) * known / encoding.n_classes) / (
        sizes + max(stddev, 1.0) * known.sum(axis=1) / encoding.n_classes
    )[:, None]
    return FittedMixture(replace(mixture, sizes=sizes), shares)


def _averaged(first: FittedMixture, second: FittedMixture) -> FittedMixture:
    """Averages two readings of the same clusters, made with the same noise."""
    sizes = 0.5 * (first.mixture.sizes + second.mixture.sizes)
    return FittedMixture(replace(second.mixture, sizes=sizes), 0.5 * (first.class_shares + second.class_shares))


def _exactly_constrained(
    staged: DataFrame, encoding: Encoding, mixture: Mixture, least: int, n_rows: float, meter: PrivacyMeter
) -> FittedMixture:
    tallies: list[FittedMixture] = []

    def count(priced: Mixture) -> Float64Array:
        tallies.append(_count(staged, encoding, priced, meter, "sizes", 1.0))
        return tallies[-1].mixture.sizes

    exactly_constrained(staged, encoding, mixture, least, n_rows, count)
    return tallies[-1]
