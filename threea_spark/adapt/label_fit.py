"""Learns the label function by noisy gradient steps on all targets.

Each step sums, over the targets, feature times residual: both integers on public grids, the residual cut so that a
row's product has a bounded L2 norm. The caller adds the noise. Source: logistic regression by DP gradient descent,
Bassily, Smith, Thakurta 2014, arXiv 1405.7085; clipping as Abadi et al. 2016, arXiv 1607.00133.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
_WEIGHT_GRID = 2.0**20  # sums of features times weights below 2^33 are exact


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
    """Rows the label function must fit, as integer features. PRIVATE.

    A row's indicators of cells are kept as the cells themselves, and its dense features (kernel, bias, log odds) as
    float32 that hold integers: products are summed over so few rows at a time that float32 stays exact.
    """

    def __init__(self, features: FeatureMap, cells: IntArray, classes: IntArray) -> None:
        self.features = features
        self.cells = cells
        self.n_outputs = len(features.odds)
        self.classes = classes
        self.dense = np.empty((len(cells), features.n_dense), dtype=np.float32)
        self.odds = [np.empty(cells.shape, dtype=np.float32) for _ in range(self.n_outputs)]
        for own in _slices(len(cells), _CHUNK_ROWS):
            self.dense[own] = np.rint(features.dense(cells[own]) * FEATURE_GRID)
            for output, odds in enumerate(self.odds):
                odds[own] = np.rint(features.column_odds(cells[own], output) * FEATURE_GRID)
        self.shared_square = np.einsum("nf,nf->n", self.dense, self.dense, dtype=np.float64)
        self.shared_square += cells.shape[1] * features.cell_units**2
        largest = max([float(np.abs(part).max(initial=1.0)) for part in (self.dense, *self.odds)])
        self._exact_rows = int(max(1.0, 2.0**24 // (largest * RESIDUAL_GRID)))

    def __len__(self) -> int:
        return len(self.cells)

    def gradient_sums(self, weights: Weights, prior: Float64Array, bound: int) -> IntArray:
        """Exact sum over all rows of the clipped integer gradients, shape (n_features + n_shared * n_outputs,)."""
        n_cells = self.features.odds.shape[1]
        by_cell = np.zeros((n_cells, self.n_outputs))
        by_dense = np.zeros((self.dense.shape[1], self.n_outputs))
        by_column = np.zeros(self.cells.shape[1])
        for own in _slices(len(self), _CHUNK_ROWS):
            units = self._clipped(own, self._residual(own, weights, prior), bound)
            for output in range(self.n_outputs):
                for column in range(self.cells.shape[1]):
                    by_cell[:, output] += np.bincount(self.cells[own, column], units[:, output], n_cells)
                by_column += self._summed(self.odds[output][own], units[:, output])
                by_dense[:, output] += self._summed(self.dense[own], units[:, output])
        shared = np.vstack([by_cell * self.features.cell_units, by_dense])
        return np.asarray(np.rint(np.concatenate([by_column, shared.ravel()])), dtype=np.int64)

    def _summed(self, features: NDArray[np.float32], units: Float64Array) -> Float64Array:
        """Sums feature times residual, exactly: float32 within few rows, float64 over them."""
        whole = units.astype(np.float32)
        parts = [whole[own] @ features[own] for own in _slices(len(units), self._exact_rows)]
        return np.asarray(np.sum(parts, axis=0, dtype=np.float64))

    def _residual(self, own: slice, weights: Weights, prior: Float64Array) -> Float64Array:
        """Probability less label of each row and output.

        Weights are rounded to a public binary grid, so that integer feature times weight adds up exactly in float64:
        a row's residual cannot depend, not even by a last bit, on where in its batch the row stands.
        """
        n_cells = self.features.odds.shape[1]
        columns, shared = _on_grid(weights.columns), _on_grid(weights.shared)
        of_cell, of_dense = shared[:n_cells] * self.features.cell_units, shared[n_cells:]
        logits = self.dense[own].astype(np.float64) @ of_dense
        logits += np.column_stack([odds[own].astype(np.float64) @ columns for odds in self.odds])
        for column in range(self.cells.shape[1]):
            logits += of_cell[self.cells[own, column]]
        logits = prior + logits / FEATURE_GRID
        classes = self.classes[own]
        if self.n_outputs == 1:
            return np.asarray(expit(logits) - (classes == 1)[:, None], dtype=np.float64)
        return np.asarray(softmax(logits, axis=1) - np.eye(self.n_outputs)[classes], dtype=np.float64)

    def _clipped(self, own: slice, residual: Float64Array, bound: int) -> Float64Array:
        """Integer residuals whose product with the row's integer features has a norm of at most `bound`.

        The norm is computed from integers that float64 holds exactly; what rounding leaves above is set to zero.
        """
        length = self._product_norm(own, residual)
        factor = np.minimum(1.0, bound / RESIDUAL_GRID / np.maximum(length, 1e-12))
        units = np.trunc(residual * factor[:, None] * RESIDUAL_GRID)
        limit = bound * (1.0 - 2.0**-40)
        over = self._product_norm(own, units) > limit
        units[over] = np.trunc(units[over] * (1.0 - 2.0**-6))
        units[self._product_norm(own, units) > limit] = 0.0
        return units

    def _product_norm(self, own: slice, residual: Float64Array) -> Float64Array:
        """Norm of feature times residual: |shared|^2 |r|^2 + |sum over outputs of odds r|^2, under the root."""
        mixed = np.zeros((len(residual), self.cells.shape[1]))
        for output, odds in enumerate(self.odds):
            mixed += odds[own] * residual[:, output, None]
        squares = self.shared_square[own] * np.einsum("nc,nc->n", residual, residual)
        return np.asarray(np.sqrt(squares + np.einsum("nf,nf->n", mixed, mixed)), dtype=np.float64)


def _on_grid(weights: Float64Array) -> Float64Array:
    return np.asarray(np.rint(weights * _WEIGHT_GRID) / _WEIGHT_GRID, dtype=np.float64)


def _slices(n_rows: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


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
