"""Fits size-constrained clusters by noisy passes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from threea_spark.approximate.constrain import exactly_constrained
from threea_spark.approximate.mixture import Mixture, m_step, starting_mixture
from threea_spark.approximate.prices import large_enough, raise_prices
from threea_spark.approximate.statistics import Covariance, first_statistics, n_second, product_bound, second_statistics
from threea_spark.arrays import Float64Array, Int16Array, Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.engine.packed import PackedRows
from threea_spark.engine.progress import counted
from threea_spark.engine.rows import StagedRows
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

_EM_SHARE = 0.4
SIZES_SHARE = 0.1
_START_SPREAD = 0.5


def split_mu(mu: float) -> tuple[float, float]:
    """Splits Approximate's mu between the marginals and the fit of more than one component."""
    return mu * math.sqrt(1.0 - _EM_SHARE), mu * math.sqrt(_EM_SHARE)


def pass_mu(mu: float, iterations: int) -> tuple[float, float]:
    """Splits the mu of a fit among its passes, and the two counts of what they found: the price of one of each."""
    return mu * math.sqrt((1.0 - SIZES_SHARE) / iterations), mu * math.sqrt(0.5 * SIZES_SHARE)


def first_bound(norm: int, n_features: int) -> RowBound:
    """A row adds `norm` to a count, and itself, which is no longer than `norm`."""
    return RowBound(2 * norm**2, 1 + n_features)


def second_bound(norm: int, n_features: int, covariance: Covariance) -> RowBound:
    """A row adds the products of its coordinates, as many of which as it has features are not zero."""
    return RowBound(product_bound(norm) ** 2, n_features * n_features if covariance == "full" else n_features)


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
    staged: StagedRows,
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
      meter: Answers the queries.
      n_rows: DP number of rows (exact in conditional mode).
      per_class: Whether each class has clusters of its own.
      n_components: Clusters of each class, or of all rows.
      min_size: Rows that every cluster must hold.
      iterations: Passes; end to end each is paid for.
      covariance: Shape of the components' covariance.
      mu: What all passes together may spend.
      rng: Public randomness for the starting centres.
    """
    groups = range(encoding.n_classes) if per_class else [-1]
    wanted = dict.fromkeys(groups, n_components)
    mixture = starting_mixture(wanted, encoding.width, covariance, rng, _START_SPREAD)
    mu_pass, mu_count = pass_mu(mu, iterations)
    for iteration in counted(iterations):
        mixture = _em_pass(staged, encoding, mixture, meter, f"pass-{iteration}", mu_pass)
        mixture = raise_prices(mixture, mixture.sizes, min_size, 0.5 * encoding.clip_norm**2)
    if meter.plan.is_conditional:
        return _exactly_constrained(staged, encoding, mixture, min_size, n_rows, meter)
    sized = _count(staged, encoding, mixture, meter, "sizes", mu_count)
    kept = large_enough(sized.mixture, sized.mixture.sizes, min_size)
    again = _count(staged, encoding, sized.mixture.keep(kept), meter, "sizes-of-kept", mu_count)
    return _averaged(sized, again) if kept.all() else again


def statistics_queries(
    encoding: Encoding, mixture: Mixture, name: str
) -> tuple[SumQuery[PackedRows], SumQuery[PackedRows] | None]:
    """The first and second statistics of each component, of rows that are assigned once for both.

    Returns:
      Counts and sums, of length k * (1 + width), and products, of length k * n_second: None where components are
      isotropic.
    """
    k, norm, width, covariance = mixture.n_components, encoding.norm_bound, encoding.width, mixture.covariance
    assigned = _LastAssignment(mixture)
    first: SumQuery[PackedRows] = SumQuery(
        stage=Stage.APPROXIMATE,
        name=f"first-{name}",
        bound=first_bound(norm, len(encoding.features)),
        size=k * (1 + width),
        contribution=lambda rows: first_statistics(*assigned(rows), k, norm),
    )
    if covariance == "isotropic":
        return first, None
    second: SumQuery[PackedRows] = SumQuery(
        stage=Stage.APPROXIMATE,
        name=f"second-{name}",
        bound=second_bound(norm, len(encoding.features), covariance),
        size=k * n_second(width, covariance),
        contribution=lambda rows: second_statistics(*assigned(rows), k, covariance),
    )
    return first, second


def sizes_query(encoding: Encoding, mixture: Mixture, name: str) -> SumQuery[PackedRows]:
    """The rows of each component by class, of length k * n_classes."""
    n_classes = encoding.n_classes
    size = mixture.n_components * n_classes

    def contribution(rows: PackedRows) -> Int64Array:
        component = mixture.component_of(rows)
        return np.bincount(component * n_classes + rows.classes, minlength=size).astype(np.int64)

    return SumQuery(stage=Stage.APPROXIMATE, name=name, bound=RowBound.count(), size=size, contribution=contribution)


class _LastAssignment:
    """Assigns each batch to components once, for the queries of one pass that ask for it."""

    def __init__(self, mixture: Mixture) -> None:
        self._mixture = mixture
        self._rows: PackedRows | None = None
        self._found: tuple[Int16Array, Int64Array] | None = None

    def __call__(self, rows: PackedRows) -> tuple[Int16Array, Int64Array]:
        """Returns the packed vectors of a batch, row after row, and the component of each, shape (n,). PRIVATE."""
        if self._found is None or rows is not self._rows:
            self._rows = rows
            self._found = np.ascontiguousarray(rows.packed), self._mixture.component_of(rows)
        return self._found


def _em_pass(
    staged: StagedRows, encoding: Encoding, mixture: Mixture, meter: PrivacyMeter, name: str, mu: float
) -> Mixture:
    """Sums the statistics of one assignment and publishes new parameters."""
    first, second = statistics_queries(encoding, mixture, name)
    asked = [first] if second is None else [first, second]
    measured = meter.ask_together([(query, mu / math.sqrt(len(asked))) for query in asked], staged)
    return m_step(
        mixture,
        measured[0].value,
        None if second is None else measured[1].value,
        norm_bound=encoding.norm_bound,
        noise_rows=measured[0].stddev / encoding.norm_bound,
    )


def _count(
    staged: StagedRows, encoding: Encoding, mixture: Mixture, meter: PrivacyMeter, name: str, mu: float
) -> FittedMixture:
    """Counts the rows of each cluster by class."""
    measured = meter.ask(sizes_query(encoding, mixture, name), staged, mu)
    counts, least = measured.value.reshape(mixture.n_components, encoding.n_classes), max(measured.stddev, 1.0)
    known = np.where(mixture.class_of[:, None] >= 0, np.eye(encoding.n_classes)[mixture.class_of], 1.0)
    counts = np.maximum(counts, 0.0) * known
    sizes = counts.sum(axis=1)
    shares = (counts + least * known / encoding.n_classes) / (sizes + least * known.sum(axis=1) / encoding.n_classes)[
        :, None
    ]
    return FittedMixture(replace(mixture, sizes=sizes), shares)


def _averaged(first: FittedMixture, second: FittedMixture) -> FittedMixture:
    """Averages two readings of the same clusters, made with the same noise."""
    sizes = 0.5 * (first.mixture.sizes + second.mixture.sizes)
    return FittedMixture(replace(second.mixture, sizes=sizes), 0.5 * (first.class_shares + second.class_shares))


def _exactly_constrained(
    staged: StagedRows, encoding: Encoding, mixture: Mixture, least: int, n_rows: float, meter: PrivacyMeter
) -> FittedMixture:
    tallies: list[FittedMixture] = []

    def count(priced: Mixture) -> Float64Array:
        tallies.append(_count(staged, encoding, priced, meter, "sizes", 1.0))
        return tallies[-1].mixture.sizes

    exactly_constrained(staged, encoding, mixture, least, n_rows, count, meter)
    return tallies[-1]
