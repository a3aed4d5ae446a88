"""Moves arrays for Approximate: every function is one pass over the staged rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.approximate import class_means
from threea_spark.approximate.correlation import pair_products
from threea_spark.approximate.marginals import cell_counts, size_of
from threea_spark.approximate.mixture import Mixture, first_statistics, second_statistics
from threea_spark.encode.encoding import Encoding
from threea_spark.staged import unpack
from threea_spark.summing import exact_sums

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


def first_sums(staged: DataFrame, encoding: Encoding, mixture: Mixture) -> IntArray:
    """Counts and sums of the rows of each component, shape (k * (1 + width),). PRIVATE."""
    k, bound = mixture.n_components, encoding.norm_bound

    def contribution(batch: pa.RecordBatch) -> IntArray:
        packed, classes, _ = unpack(batch, encoding.width)
        return first_statistics(packed, mixture.assign(encoding.scores(packed), classes), k, bound)

    return exact_sums(staged, contribution, k * (1 + encoding.width))


def second_sums(staged: DataFrame, encoding: Encoding, mixture: Mixture) -> IntArray:
    """Sums of products of the rows of each component, shape (k * d,) or (k * d * d,). PRIVATE."""
    k = mixture.n_components
    per_component = encoding.width**2 if mixture.covariance == "full" else encoding.width

    def contribution(batch: pa.RecordBatch) -> IntArray:
        packed, classes, _ = unpack(batch, encoding.width)
        component = mixture.assign(encoding.scores(packed), classes)
        return second_statistics(packed, component, k, mixture.covariance)

    return exact_sums(staged, contribution, k * per_component)


def class_sums(staged: DataFrame, encoding: Encoding, mixture: Mixture) -> IntArray:
    """Counts the rows of each component by class, shape (k * n_classes,). PRIVATE."""
    size = mixture.n_components * encoding.n_classes

    def contribution(batch: pa.RecordBatch) -> IntArray:
        packed, classes, _ = unpack(batch, encoding.width)
        component = mixture.assign(encoding.scores(packed), classes)
        return np.bincount(component * encoding.n_classes + classes, minlength=size).astype(np.int64)

    return exact_sums(staged, contribution, size)


def norm_sums(staged: DataFrame, encoding: Encoding, ends: Float64Array) -> IntArray:
    """Counts rows by norm and by class, shape (NORM_BINS + n_classes,). PRIVATE."""

    def contribution(batch: pa.RecordBatch) -> IntArray:
        packed, classes, _ = unpack(batch, encoding.width)
        return class_means.norm_counts(packed.astype(np.int64), classes, encoding.n_classes, ends)

    return exact_sums(staged, contribution, class_means.NORM_BINS + encoding.n_classes)


def row_sums(staged: DataFrame, encoding: Encoding, bound: int) -> IntArray:
    """Sums of the rows of each class, cut to a norm of `bound`, shape (n_classes * width,). PRIVATE."""

    def contribution(batch: pa.RecordBatch) -> IntArray:
        packed, classes, _ = unpack(batch, encoding.width)
        return class_means.class_sums(packed.astype(np.int64), classes, encoding.n_classes, bound)

    return exact_sums(staged, contribution, encoding.n_classes * encoding.width)


def marginal_sums(staged: DataFrame, encoding: Encoding, mixture: Mixture) -> IntArray:
    """Cell counts of each component, shape (k * (1 + n_cells),). PRIVATE."""
    k = mixture.n_components

    def contribution(batch: pa.RecordBatch) -> IntArray:
        packed, classes, _ = unpack(batch, encoding.width)
        component = mixture.assign(encoding.scores(packed), classes)
        return cell_counts(encoding.cells(packed), component, k, encoding.n_cells)

    return exact_sums(staged, contribution, size_of(k, encoding.n_cells))


def product_sums(staged: DataFrame, encoding: Encoding, scores: Sequence[Float64Array], bound: int) -> IntArray:
    """Sums of products of all pairs of columns' cell scores, shape (f * (f - 1) / 2,). PRIVATE."""
    table = np.concatenate(list(scores))
    n_features = len(encoding.codes)

    def contribution(batch: pa.RecordBatch) -> IntArray:
        packed, _, _ = unpack(batch, encoding.width)
        return pair_products(table[encoding.cells(packed)], bound)

    return exact_sums(staged, contribution, n_features * (n_features - 1) // 2)
