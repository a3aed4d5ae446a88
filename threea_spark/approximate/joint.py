"""Approximates the joint distribution of all columns: two looks at tables of pairs, and a mixture of products."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from threea_spark.approximate.null_patterns import keeping_null_patterns
from threea_spark.approximate.odds import cell_log_odds, cell_order
from threea_spark.approximate.products import CellTables, Evidence, PairTables, Products, informative_pairs
from threea_spark.approximate.tables import (
    TableColumns,
    chosen_counts,
    grouped_counts,
    pairs_query,
    table_columns,
    tables_query,
)
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.encode.noisy_tables import CellCounts
from threea_spark.engine.rows import StagedRows
from threea_spark.model.sampler import RowSampler
from threea_spark.privacy.meter import PrivacyMeter

_TABLES_A_COLUMN = 2
_FITTED_STDDEV = 1.0  # the fit has averaged the noise away: shrinking its log odds once more blurred them


def n_tables(n_columns: int) -> int:
    """Tables of the second look: two for each column, as far as there are pairs."""
    return min(_TABLES_A_COLUMN * n_columns, n_columns * (n_columns - 1) // 2)


def split_mu(mu: float, second_share: float) -> tuple[float, float]:
    """Splits a mu between the two looks."""
    return mu * math.sqrt(1.0 - second_share), mu * math.sqrt(second_share)


@dataclass(frozen=True)
class JointModel:
    """What two looks at pairs say of the table. RELEASED.

    Attributes:
      columns: The tables' columns.
      products: The mixture of products.
      stddev: Standard deviation of the noise on a count of the second look, in rows.
      n_rows: DP number of rows.
      counted: The tables of both looks.
    """

    columns: TableColumns
    products: Products
    stddev: float
    n_rows: float
    counted: tuple[CellCounts, ...] = ()

    @property
    def class_weights(self) -> Float64Array:
        """Share of each class, shape (n_classes,); one class where there is no label."""
        return self.products.marginal(len(self.columns.groups) - 1) if self.columns.has_label else np.ones(1)

    @property
    def class_probabilities(self) -> Float64Array:
        """Probabilities of the classes in each component, shape (k, n_classes)."""
        if self.columns.has_label:
            return self.products.probabilities[-1]
        return np.ones((len(self.products.weights), 1))

    @property
    def cell_probabilities(self) -> Float64Array:
        """Probabilities of each feature's cells in each component, shape (k, n_cells)."""
        features = self.products.probabilities[: len(self.columns.encoding.features)]
        return np.concatenate([np.zeros((len(self.products.weights), 0)), *features], axis=1)

    def class_odds(self) -> Float64Array:
        """Log odds of each class and cell, shape (n_classes, n_cells)."""
        joint = (self.class_probabilities * self.products.weights[:, None]).T @ self.cell_probabilities
        return cell_log_odds(self.n_rows * joint, _FITTED_STDDEV, self.class_weights)

    def orders(self) -> tuple[Int64Array, ...]:
        """Cells of each feature in order: numbers by value, categories by what they say about the classes."""
        encoding = self.columns.encoding
        own = zip(encoding.cell_layout.split(self.class_odds()), encoding.features, strict=True)
        return tuple(cell_order(odds, not codec.is_category, codec.n_value_cells) for odds, codec in own)

    def sampler(self) -> RowSampler:
        """Draws rows, each with its component's class."""
        k = len(self.products.weights)
        return RowSampler(
            weights=self.products.weights,
            class_of=np.full(k, -1, dtype=np.int64),
            laws=self.cell_probabilities,
            orders=self.orders(),
            factor=np.eye(len(self.columns.encoding.features)),
            labels=None,
            class_probabilities=self.class_probabilities,
        )


def measure_joint(
    staged: StagedRows,
    encoding: Encoding,
    meter: PrivacyMeter,
    *,
    n_rows: float,
    n_groups: int,
    one_way_stddev: float,
    mu: float,
    second_share: float,
    rng: np.random.Generator,
) -> JointModel:
    """Looks at all pairs in groups, fits, looks at the pairs that matter cell by cell, and fits again.

    Args:
      staged: PRIVATE.
      encoding: The table's codes.
      meter: Answers the queries.
      n_rows: DP number of rows.
      n_groups: Most groups of a column in the first look.
      one_way_stddev: Standard deviation of the noise on a cell of a column, in rows.
      mu: Price of both looks together.
      second_share: Part of its square for the second look.
      rng: Public randomness: the fit's starting points.
    """
    from threea_spark.approximate.product_fit import ProductSettings, fit_products

    columns, settings, rows = table_columns(encoding, n_groups), ProductSettings(), max(n_rows, 1.0)
    mu_first, mu_second = split_mu(mu, second_share)
    first = meter.ask(pairs_query(columns), staged, mu_first)
    evidence = Evidence(columns, one_way_stddev / rows, _pair_tables(columns, first.value / rows, first.stddev / rows))
    fit = fit_products(evidence, settings, rng)
    chosen = informative_pairs(columns, fit.products, n_tables(len(columns.groups)))
    second = meter.ask(tables_query(columns, chosen), staged, mu_second)
    ends = np.cumsum([columns.sizes[a] * columns.sizes[b] for a, b in chosen])[:-1]
    parts = zip(np.split(second.value / rows, ends), chosen, strict=True)
    tables = tuple(part.reshape(columns.sizes[a], columns.sizes[b]) for part, (a, b) in parts)
    cells = CellTables(tuple(chosen), tables, second.stddev / rows)
    finer = Evidence(columns, evidence.one_way_stddev, evidence.pairs, cells)
    fit = fit_products(finer, settings, rng, fit.parameters)
    products = keeping_null_patterns(columns, fit.products, evidence.pairs, evidence.one_way_stddev)
    counted = grouped_counts(columns, first), chosen_counts(columns, chosen, second)
    return JointModel(columns, products, second.stddev, n_rows, counted)


def _pair_tables(columns: TableColumns, shares: Float64Array, stddev: float) -> PairTables:
    counted = columns.in_other_tables()
    full = np.zeros(counted.shape)
    full[counted] = shares
    return PairTables(full + full.T, stddev)
