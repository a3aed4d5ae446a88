"""Gaussian classes with one covariance: what rows of a wide table are drawn from.

Source: linear discriminant analysis, Fisher 1936. The classes differ in the means of chosen columns; other numbers are
released as their mean, and other categories by their distribution over all rows: unmeasured variation would only lead
models astray.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.categories import CategoryCodec
from threea_spark.encode.codec import Encoding, Feature
from threea_spark.encode.feature import CATEGORY_COORDINATE, SCORE_GRID
from threea_spark.encode.numbers import NumberCodec, PointCodec
from threea_spark.model.sampler import RowSampler

_MIN_WITHIN = 0.1  # of a column's variance: no class is a point, and no eigenvalue of the covariance is noise alone
_WIDENED = 4.0
"""Classes are drawn this much wider: their means are known up to noise only, and where classes look cleaner than they
are, a model is content with few columns, the wrong ones among them. Each column keeps its variance over all rows."""
_MIN_PROBABILITY = 1e-6
_MAX_NULLS = 0.95


@dataclass(frozen=True)
class Discriminant:
    """Means of the classes and one covariance. RELEASED.

    Attributes:
      weights: Share of each class, shape (n_classes,).
      pooled: Mean of all rows in every coordinate, in units of score, shape (width,).
      deviations: Mean of each class less the pooled one, zero where not chosen, shape (n_classes, width).
      chosen: Whether each feature was chosen, shape (n_features,).
      within: Variance of each feature's score inside a class, shape (n_features,); 1 where not chosen.
      correlations: Correlations of the scores inside a class, shape (n_features, n_features).
    """

    weights: Float64Array
    pooled: Float64Array
    deviations: Float64Array
    chosen: BoolArray
    within: Float64Array
    correlations: Float64Array


def within_classes(total: Float64Array, deviations: Float64Array, weights: Float64Array) -> Float64Array:
    """Takes what the classes explain out of a covariance, keeps it positive definite, and widens it.

    Args:
      total: Covariance over all rows, shape (f, f).
      deviations: Deviations of the classes' means, shape (n_classes, f).
      weights: Share of each class.
    """
    inside = total - (deviations.T * weights) @ deviations
    values, axes = np.linalg.eigh(0.5 * (inside + inside.T))
    return np.asarray(_WIDENED * (axes * np.maximum(values, _MIN_WITHIN)) @ axes.T, dtype=np.float64)


def discriminant_sampler(encoding: Encoding, model: Discriminant) -> tuple[Encoding, RowSampler]:
    """Makes the distribution that rows are drawn from, and the encoding that decodes them.

    Numbers that were not chosen become points.
    """
    features = tuple(
        codec if chosen or codec.is_category else _point(codec, float(model.pooled[start]))
        for codec, chosen, start in zip(encoding.features, model.chosen, encoding.offsets, strict=True)
    )
    probabilities = [
        _category_probabilities(codec, model, int(start))
        if codec.is_category
        else _number_probabilities(codec, model, place, int(start))
        for place, (codec, start) in enumerate(zip(features, encoding.offsets, strict=True))
    ]
    sampler = RowSampler(
        weights=model.weights,
        class_of=np.arange(len(model.weights)),
        laws=np.concatenate(probabilities, axis=1),
        orders=tuple(map(_order, features)),
        factor=np.asarray(np.linalg.cholesky(model.correlations), dtype=np.float64),
        labels=None,
    )
    return encoding.with_features(features), sampler


def _point(codec: NumberCodec, score: float) -> PointCodec:
    """The mean of the rows that are not null; null counts as a score of 0 in the pooled mean."""
    present = 1.0 - min(codec.null_share, _MAX_NULLS)
    value = float(codec.value(np.array([score / present]))[0])
    return PointCodec(
        codec.name, codec.kind, codec.nullable, codec.lower, codec.upper, value, codec.null_share, codec.steps
    )


def _order(codec: Feature) -> Int64Array:
    """Null first, then the cells in their order."""
    cells = np.arange(codec.n_cells, dtype=np.int64)
    return np.concatenate([cells[codec.n_value_cells :], cells[: codec.n_value_cells]])


def _number_probabilities(codec: NumberCodec, model: Discriminant, feature: int, start: int) -> Float64Array:
    """Probabilities of a number's cells in each class, scaled so that the variance over all rows is 1."""
    between = float(model.weights @ model.deviations[:, start] ** 2)
    total = np.sqrt(model.within[feature] + between)
    present = 1.0 - min(codec.null_share, _MAX_NULLS)
    centre = (model.pooled[start] + model.deviations[:, start] / total) / present
    spread = np.sqrt(model.within[feature]) / total
    edges = np.concatenate([[-np.inf], codec.cell_edges, [np.inf]])
    mass = np.maximum(np.diff(ndtr((edges - centre[:, None]) / spread), axis=1), _MIN_PROBABILITY)
    mass /= mass.sum(axis=1, keepdims=True)
    if not codec.nullable:
        return np.asarray(mass, dtype=np.float64)
    moved = codec.null_share + _probability(model.deviations[:, start + 1])
    missing = np.clip(moved, _MIN_PROBABILITY, _MAX_NULLS)[:, None]
    return np.hstack([mass * (1.0 - missing), missing])


def _category_probabilities(codec: CategoryCodec, model: Discriminant, start: int) -> Float64Array:
    """Probabilities of a category's cells in each class: those over all rows, moved by the class's deviation."""
    moved = _probability(model.deviations[:, start : start + codec.n_cells])
    mass = np.maximum(codec.cell_mass / max(float(codec.cell_mass.sum()), 1e-12) + moved, _MIN_PROBABILITY)
    return np.asarray(mass / mass.sum(axis=1, keepdims=True), dtype=np.float64)


def _probability(score: Float64Array) -> Float64Array:
    """Turns a difference between means of a one-hot coordinate into one between probabilities."""
    return np.asarray(score * SCORE_GRID / CATEGORY_COORDINATE, dtype=np.float64)
