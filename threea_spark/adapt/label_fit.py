"""Learns the label function by noisy gradient steps on all targets.

Each step sums, over the targets, feature times residual: both integers on public grids, the residual cut so that a
row's product has a bounded L2 norm. The caller adds the noise. Source: logistic regression by DP gradient descent,
Bassily, Smith, Thakurta 2014, arXiv 1405.7085; clipping as Abadi et al. 2016, arXiv 1607.00133.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from threea_spark.adapt.features import FEATURE_GRID, FeatureMap

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

RESIDUAL_GRID = 128
ReleaseSum = Callable[[str, IntArray, int], Float64Array]
"""Takes a name, exact int64 sums and a bound on one row's L2 norm; gives noisy sums, in the same units."""
_CHUNK_ROWS = 8192


@dataclass(frozen=True)
class FitSettings:
    """Of the gradient steps.

    Attributes:
      steps: How many noisy sums.
      clip_norm: L2 bound on a row's gradient.
      rate: Learning rate in units of n * mu / (steps * clip_norm), the rate at which noise and progress balance.
      momentum: Of the steps, in [0, 1).
      averaged: Share of the last steps whose weights are averaged.
    """

    steps: int = 100
    clip_norm: float = 0.5
    rate: float = 0.15
    momentum: float = 0.9
    averaged: float = 0.3


@dataclass(frozen=True)
class Weights:
    """Of a linear function of the features.

    Attributes:
      columns: Weight of each column's log odds, shared by all outputs, shape (n_features,).
      shared: Shape (n_shared, n_outputs).
    """

    columns: Float64Array
    shared: Float64Array


class Targets:
    """Rows the label function must fit, as integer features. PRIVATE."""

    def __init__(self, features: FeatureMap, cells: IntArray, classes: IntArray) -> None:
        self.features = features
        self.cells = cells
        self.n_outputs = len(features.odds)
        self.classes = classes
        self.shared = _whole(features.shared(cells))
        shared_squares = np.einsum("nf,nf->n", self.shared, self.shared, dtype=np.float64)
        self.odds = [_whole(features.column_odds(cells, output)) for output in range(self.n_outputs)]
        widest = max((np.einsum("nf,nf->n", o, o, dtype=np.float64) for o in self.odds), key=lambda a: a.sum())
        self.norm = np.sqrt(shared_squares + widest)

    def __len__(self) -> int:
        return len(self.cells)

    def gradient_sums(self, weights: Weights, prior: Float64Array, bound: int) -> IntArray:
        """Exact sum over all rows of the clipped integer gradients, shape (n_features + n_shared * n_outputs,)."""
        total = np.zeros(len(weights.columns) + weights.shared.size, dtype=np.int64)
        for start in range(0, len(self), _CHUNK_ROWS):
            own = slice(start, start + _CHUNK_ROWS)
            shared = self.shared[own].astype(np.float64)
            odds = [part[own].astype(np.float64) for part in self.odds]
            residual = self._residual(shared, odds, weights, prior, self.classes[own])
            units = _clipped_residual(residual, shared, odds, bound)
            columns = sum((part.T @ units[:, c] for c, part in enumerate(odds)), np.zeros(len(weights.columns)))
            total += np.rint(np.concatenate([columns, (shared.T @ units).ravel()])).astype(np.int64)
        return total

    def _residual(
        self, shared: Float64Array, odds: list[Float64Array], weights: Weights, prior: Float64Array, classes: IntArray
    ) -> Float64Array:
        logits = prior + shared @ weights.shared / FEATURE_GRID
        logits += np.column_stack([part @ weights.columns for part in odds]) / FEATURE_GRID
        if self.n_outputs == 1:
            return np.asarray(expit(logits) - (classes == 1)[:, None], dtype=np.float64)
        return np.asarray(softmax(logits, axis=1) - np.eye(self.n_outputs)[classes], dtype=np.float64)


def _whole(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounds features to their grid; float32 holds these integers exactly, and norms are taken after rounding."""
    return np.rint(features * FEATURE_GRID)


def _clipped_residual(
    residual: Float64Array, shared: Float64Array, odds: list[Float64Array], bound: int
) -> Float64Array:
    """Integer residuals whose product with the row's integer features has a norm of at most `bound`.

    The product's squared norm is |shared|^2 |r|^2 + |sum_c odds_c r_c|^2, computed in exact integers held by float64
    where they are small enough; what still lies above the bound after rounding is set to zero.
    """
    length = _product_norm(residual, shared, odds)
    limit = bound / RESIDUAL_GRID
    factor = np.minimum(1.0, limit / np.maximum(length, 1e-12)) * (1.0 - 2.0**-30)
    units = np.trunc(residual * factor[:, None] * RESIDUAL_GRID)
    over = _product_norm(units, shared, odds) > bound * (1.0 - 2.0**-40)
    units[over] = np.trunc(units[over] * (1.0 - 2.0**-8))
    units[_product_norm(units, shared, odds) > bound * (1.0 - 2.0**-40)] = 0.0
    return units


def _product_norm(residual: Float64Array, shared: Float64Array, odds: list[Float64Array]) -> Float64Array:
    mixed = sum((part * residual[:, c, None] for c, part in enumerate(odds)), np.zeros(1))
    squares = np.einsum("nf,nf->n", shared, shared) * np.einsum("nc,nc->n", residual, residual)
    return np.asarray(np.sqrt(squares + np.einsum("nf,nf->n", mixed, mixed)), dtype=np.float64)


def fit_weights(
    targets: Targets,
    prior: Float64Array,
    settings: FitSettings,
    release_sum: ReleaseSum,
    *,
    n_rows: float,
    mu: float,
) -> Weights:
    """Runs the noisy steps and averages the last iterates.

    Args:
      targets: PRIVATE.
      prior: Logits at the start, shape (n_outputs,). RELEASED.
      settings: Of the steps.
      release_sum: Adds the noise of one step.
      n_rows: DP number of targets, positive.
      mu: What all steps together may spend; sets the learning rate.
    """
    n_columns, n_shared = targets.features.n_features, targets.features.n_shared
    bound = int(settings.clip_norm * FEATURE_GRID * RESIDUAL_GRID)
    vector = np.zeros(n_columns + n_shared * targets.n_outputs)
    velocity, average, n_averaged = np.zeros_like(vector), np.zeros_like(vector), 0
    rate = settings.rate * min(mu * n_rows / (settings.steps * settings.clip_norm), _FASTEST) / n_rows
    for step in range(settings.steps):
        weights = _split(vector, n_columns, targets.n_outputs)
        exact = targets.gradient_sums(weights, prior, bound)
        gradient = release_sum(f"labels-{step}", exact, bound) / (FEATURE_GRID * RESIDUAL_GRID)
        velocity = settings.momentum * velocity + (1.0 - settings.momentum) * gradient
        vector = vector - 4.0 * rate * velocity
        if step >= settings.steps * (1.0 - settings.averaged):
            average, n_averaged = average + vector, n_averaged + 1
    return _split(average / max(n_averaged, 1), n_columns, targets.n_outputs)


_FASTEST = 400.0


def _split(vector: Float64Array, n_columns: int, n_outputs: int) -> Weights:
    return Weights(vector[:n_columns], vector[n_columns:].reshape(-1, n_outputs))
