"""Moves arrays for Approximate: every function is one pass over the staged rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.approximate import class_means
from threea_spark.approximate.correlation import pair_products
from threea_spark.approximate.marginals import cell_counts, size_of
from threea_spark.approximate.mixture import Mixture
from threea_spark.approximate.statistics import first_statistics, n_second, second_statistics
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.engine.packed import PackedRows
from threea_spark.engine.sums import staged_sums

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def statistics_sums(staged: DataFrame, encoding: Encoding, mixture: Mixture) -> tuple[Int64Array, Int64Array]:
    """Assigns every row and sums the statistics of each component, in one pass. PRIVATE.

    Returns:
      Counts and sums, shape (k * (1 + width),), and products, shape (k * n_second,): none where components are
      isotropic. Two sums with a bound each.
    """
    k, bound, width = mixture.n_components, encoding.norm_bound, encoding.width

    def contribution(rows: PackedRows) -> Int64Array:
        component = mixture.assign(encoding.scores(rows.packed), rows.classes)
        first = first_statistics(rows.packed, component, k, bound)
        return np.concatenate([first, second_statistics(rows.packed, component, k, mixture.covariance)])

    size = k * (1 + width)
    sums = staged_sums(staged, width, contribution, size + k * n_second(width, mixture.covariance))
    return sums[:size], sums[size:]


def class_sums(staged: DataFrame, encoding: Encoding, mixture: Mixture) -> Int64Array:
    """Counts the rows of each component by class, shape (k * n_classes,). PRIVATE."""
    size = mixture.n_components * encoding.n_classes

    def contribution(rows: PackedRows) -> Int64Array:
        component = mixture.assign(encoding.scores(rows.packed), rows.classes)
        return np.bincount(component * encoding.n_classes + rows.classes, minlength=size).astype(np.int64)

    return staged_sums(staged, encoding.width, contribution, size)


def norm_sums(staged: DataFrame, encoding: Encoding, ends: Float64Array) -> Int64Array:
    """Counts rows by norm and by class, shape (NORM_BINS + n_classes,). PRIVATE."""

    def contribution(rows: PackedRows) -> Int64Array:
        return class_means.norm_counts(rows.packed.astype(np.int64), rows.classes, encoding.n_classes, ends)

    return staged_sums(staged, encoding.width, contribution, class_means.NORM_BINS + encoding.n_classes)


def row_sums(staged: DataFrame, encoding: Encoding, bound: int) -> Int64Array:
    """Sums the rows of each class, cut to a norm of `bound`, shape (n_classes * width,). PRIVATE."""

    def contribution(rows: PackedRows) -> Int64Array:
        return class_means.class_sums(rows.packed.astype(np.int64), rows.classes, encoding.n_classes, bound)

    return staged_sums(staged, encoding.width, contribution, encoding.n_classes * encoding.width)


def marginal_sums(staged: DataFrame, encoding: Encoding, mixture: Mixture) -> Int64Array:
    """Cell counts of each component, shape (k * (1 + n_cells),). PRIVATE."""
    k = mixture.n_components

    def contribution(rows: PackedRows) -> Int64Array:
        component = mixture.assign(encoding.scores(rows.packed), rows.classes)
        return cell_counts(encoding.cells(rows.packed), component, k, encoding.n_cells)

    return staged_sums(staged, encoding.width, contribution, size_of(k, encoding.n_cells))


def product_sums(staged: DataFrame, encoding: Encoding, scores: Sequence[Float64Array], bound: int) -> Int64Array:
    """Sums of products of all pairs of columns' cell scores, shape (f * (f - 1) / 2,). PRIVATE."""
    table = np.concatenate(list(scores))
    n_features = len(encoding.features)

    def contribution(rows: PackedRows) -> Int64Array:
        return pair_products(table[encoding.cells(rows.packed)], bound)

    return staged_sums(staged, encoding.width, contribution, n_features * (n_features - 1) // 2)
