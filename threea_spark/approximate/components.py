"""Measures what each component knows of every column, and how the columns depend on each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from threea_spark.approximate import correlation
from threea_spark.approximate.look import Look
from threea_spark.approximate.marginals import Marginals, marginals_of, marginals_query
from threea_spark.approximate.mixture import Mixture
from threea_spark.approximate.odds import cell_log_odds, cell_order
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.cell_names import class_tables
from threea_spark.encode.codec import Encoding
from threea_spark.encode.noisy_tables import CellCounts
from threea_spark.engine.packed import PackedRows
from threea_spark.engine.rows import StagedRows
from threea_spark.model.sampler import RowSampler
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import SumQuery
from threea_spark.privacy.terms import Stage

CORRELATION_SHARE = 0.15
NORMS_SHARE = 0.05


def may_correlate(n_features: int) -> bool:
    """Whether so many columns can be correlated at all."""
    return 2 <= n_features <= correlation.MAX_FEATURES


@dataclass(frozen=True)
class ComponentModel:
    """What Approximate publishes of its components. RELEASED.

    Attributes:
      mixture: Assigns rows to components.
      marginals: Sizes and cell counts of each component.
      orders: Cells of each feature in the order of its latent score.
      correlations: Correlations of the latent scores, shape (n_features, n_features).
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


def counted_tables(encoding: Encoding, model: ComponentModel) -> tuple[CellCounts, ...]:
    """The noisy tables of every column with the label, summed over the components of each class. Post-processing."""
    own, classes = model.marginals, np.maximum(model.mixture.class_of, 0)
    if model.by_class is not None:
        own, classes = model.by_class, np.arange(model.by_class.n_components)
    counts = np.zeros((encoding.n_classes, encoding.n_cells))
    np.add.at(counts, classes, own.counts)
    n_components = np.bincount(classes, minlength=encoding.n_classes)
    return (class_tables("marginals", encoding, counts, own.stddev * np.sqrt(n_components)),)


def single_components(encoding: Encoding, *, per_class: bool) -> Mixture:
    """One component for each class (or for all rows): nothing to fit, a row's class is its component."""
    classes = np.arange(encoding.n_classes) if per_class else np.array([-1])
    k = len(classes)
    zeros = np.zeros((k, encoding.width))
    return Mixture(zeros, np.ones(k), np.ones(k), np.zeros(k), classes.astype(np.int64), "isotropic")


@dataclass(frozen=True)
class ComponentPrices:
    """How a mu is split: between counts by class, if any, counts by component, and correlations, if any."""

    by_class: float
    marginals: float
    correlations: float

    @classmethod
    def of(cls, mu: float, *, correlates: bool, counts_classes: bool) -> ComponentPrices:
        """Splits a mu; what is not measured leaves its part to the counts."""
        counts = mu * math.sqrt(1.0 - CORRELATION_SHARE) if correlates else mu
        each = counts * math.sqrt(0.5) if counts_classes else counts
        return cls(each if counts_classes else 0.0, each, correlation_mu(mu) if correlates else 0.0)


def correlation_mu(mu: float) -> float:
    """Part of a mu that correlations would take."""
    return mu * math.sqrt(CORRELATION_SHARE)


def measure_components(
    staged: StagedRows, encoding: Encoding, mixture: Mixture, meter: PrivacyMeter, *, n_rows: float, mu: float
) -> ComponentModel:
    """Measures marginals, and correlations where they stand out from their noise.

    Args:
      staged: PRIVATE.
      encoding, mixture: Published so far.
      meter: Answers the queries.
      n_rows: DP number of rows.
      mu: Price of both together.
    """
    spread = correlation.variances(*_latent(encoding, [codec.cell_mass for codec in encoding.features], None))
    correlates = correlation.is_worth_it(spread, n_rows, correlation_mu(mu))
    counts_classes = bool(np.any(mixture.class_of < 0)) and encoding.n_classes > 1
    prices = ComponentPrices.of(mu, correlates=correlates, counts_classes=counts_classes)
    by_class = None
    if counts_classes:  # what a column says about the label is read apart
        classes = single_components(encoding, per_class=True)
        query = marginals_query(encoding, classes, Stage.APPROXIMATE, "marginals-by-class")
        by_class = measure_marginals(staged, encoding, query, meter, prices.by_class)
    query = marginals_query(encoding, mixture, Stage.APPROXIMATE, "marginals")
    measured = measure_marginals(staged, encoding, query, meter, prices.marginals)
    unrelated = np.eye(len(encoding.features), dtype=np.float64)
    model = ComponentModel(replace(mixture, sizes=measured.sizes), measured, (), unrelated, by_class)
    model = replace(model, orders=feature_orders(encoding, model))
    if not correlates:
        return model
    return replace(model, correlations=_correlations(staged, encoding, model, meter, n_rows, prices.correlations))


def measure_marginals(
    staged: StagedRows, encoding: Encoding, query: SumQuery[PackedRows], meter: PrivacyMeter, mu: float
) -> Marginals:
    """Measures sizes and cell counts of each component that a query is about."""
    counted = meter.ask(query, staged, mu)
    return marginals_of(counted.value, counted.stddev, query.size // (1 + encoding.n_cells), encoding.cell_layout)


def _correlations(
    staged: StagedRows, encoding: Encoding, model: ComponentModel, meter: PrivacyMeter, n_rows: float, mu: float
) -> Float64Array:
    """Measures how the columns depend on each other, shape (n_features, n_features)."""
    scores, probabilities = _latent(encoding, pooled_probabilities(encoding, model.marginals), model.orders)
    spread, table = correlation.variances(scores, probabilities), np.concatenate(scores)

    def scores_of(rows: PackedRows) -> Float64Array:
        return np.asarray(table[encoding.cells(rows.packed)], dtype=np.float64)

    query = correlation.products_query(Stage.APPROXIMATE, spread, scores_of)
    products = meter.ask(query, staged, mu)
    return correlation.correlations(products.value, products.stddev, n_rows, spread)


def class_look(encoding: Encoding) -> Look[PackedRows]:
    """A look at the class means of all coordinates."""
    return Look(
        Stage.APPROXIMATE,
        NORMS_SHARE,
        encoding.n_classes,
        encoding.width,
        len(encoding.features),
        lambda rows: (rows.packed.astype(np.int64), rows.classes),
    )


def row_sampler(encoding: Encoding, components: ComponentModel, *, shrinks_faint: bool = True) -> RowSampler:
    """Draws rows from the components; each row's class is its component's.

    Args:
      encoding, components: The released results of Encode and Approximate.
      shrinks_faint: As in `Marginals.probabilities`.
    """
    return RowSampler(
        weights=components.marginals.weights,
        class_of=components.mixture.class_of,
        laws=components.marginals.probabilities(encoding.cell_layout, shrinks_faint=shrinks_faint),
        orders=components.orders,
        factor=np.asarray(np.linalg.cholesky(components.correlations), dtype=np.float64),
        labels=None,
    )


def class_odds(encoding: Encoding, components: ComponentModel) -> tuple[Float64Array, Float64Array]:
    """Log odds of each class and cell, shape (n_classes, n_cells), and the classes' shares, shape (n_classes,)."""
    n_classes = encoding.n_classes
    weights = components.class_weights(n_classes)
    return cell_log_odds(components.class_counts(n_classes), components.marginals.stddev, weights), weights


def feature_orders(encoding: Encoding, model: ComponentModel) -> tuple[Int64Array, ...]:
    """Orders the cells of each feature: numbers by value, categories by what they say about the classes."""
    odds, _ = class_odds(encoding, model)
    own = zip(encoding.cell_layout.split(odds), encoding.features, strict=True)
    return tuple(cell_order(odds, not codec.is_category, codec.n_value_cells) for odds, codec in own)


def pooled_probabilities(encoding: Encoding, measured: Marginals) -> list[Float64Array]:
    """Probabilities of each feature's cells over all components."""
    together = Marginals(
        measured.sizes.sum(keepdims=True),
        measured.counts.sum(axis=0, keepdims=True),
        measured.stddev * math.sqrt(measured.n_components),
    ).probabilities(encoding.cell_layout)[0]
    return encoding.cell_layout.split(together)


def _latent(
    encoding: Encoding, probabilities: list[Float64Array], orders: tuple[Int64Array, ...] | None
) -> tuple[list[Float64Array], list[Float64Array]]:
    normal = [own / max(float(own.sum()), 1e-12) for own in probabilities]
    ordered = orders if orders is not None else tuple(np.arange(len(own)) for own in normal)
    return [correlation.cell_scores(own, order) for own, order in zip(normal, ordered, strict=True)], normal
