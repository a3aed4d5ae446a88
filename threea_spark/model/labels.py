"""The label function p(class | row), on cells: what labels the rows that are drawn.

Its logits add one number for each column's cell (an additive model, begun from the mixture's own log odds) and a
kernel regression on the inducing points. It runs on executors in numpy; jax never goes there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import log_softmax, softmax

from threea_spark.arrays import Float32Array, Float64Array, Int64Array
from threea_spark.model.ntk import Architecture, ntk

_CALIBRATION_ROUNDS = 50


@dataclass(frozen=True)
class KernelInput:
    """Where a row lies in the kernel's space: one scaled score, or more, for each column's cell. RELEASED.

    Attributes:
      scores: Scaled scores of each cell, shape (n_cells,) or (n_cells, m).
    """

    scores: Float64Array

    def __call__(self, cells: Int64Array) -> Float64Array:
        """Returns the kernel input of each row, shape (n, n_features * m)."""
        return self.scores[cells].reshape(len(cells), cells.shape[1] * self.scores[:1].size)

    def in_float32(self, cells: Int64Array) -> Float32Array:
        """The same in single precision, as drawn rows are labelled."""
        if self.scores.ndim == 1:
            return self._scores_in_float32.take(cells.T).T
        return self._scores_in_float32[cells].reshape(len(cells), cells.shape[1] * self.scores[:1].size)

    @cached_property
    def _scores_in_float32(self) -> Float32Array:
        return self.scores.astype(np.float32)


@dataclass(frozen=True)
class LabelFunction:
    """Logits of each class. RELEASED.

    Attributes:
      offset: Shape (n_classes,).
      additive: Logit of each cell, shape (n_cells, n_classes).
      kernel_input: Maps cells to the kernel's space.
      x_support: Inducing points in the kernel's space, shape (s, n_features * m); s may be 0.
      dual: Kernel weights, shape (s, n_classes).
      architecture: The kernel's network.
    """

    offset: Float64Array
    additive: Float64Array
    kernel_input: KernelInput
    x_support: Float64Array
    dual: Float64Array
    architecture: Architecture

    @property
    def function(self) -> LabelFunction:
        """The kernel and additive part: itself."""
        return self

    def logits(self, cells: Int64Array) -> Float64Array:
        """Logits of each row, shape (n, n_classes).

        Args:
          cells: Cell of each feature, counted through all features, shape (n, n_features).
        """
        total = np.repeat(self.offset[:, None], len(cells), axis=1)
        for column in cells.T:
            for own, additive in zip(total, self._additive_by_class, strict=True):
                own += additive.take(column)
        if len(self.x_support):
            total += self.kernel_logits(self.kernel_input.in_float32(cells)).T
        return total.T

    @cached_property
    def _additive_by_class(self) -> Float64Array:
        return np.ascontiguousarray(self.additive.T)

    def kernel_logits(self, inputs: Float64Array | Float32Array) -> Float64Array:
        """The kernel's part of the logits, shape (n, n_classes), of kernel inputs of shape (n, n_features)."""
        kernel = ntk(inputs, self.x_support, self.architecture, np.float32)  # what is drawn needs no more
        return np.asarray(kernel @ self.dual.astype(np.float32), dtype=np.float64)

    def probabilities(self, cells: Int64Array) -> Float64Array:
        """Class probabilities of each row, shape (n, n_classes)."""
        return np.asarray(softmax(self.logits(cells), axis=1), dtype=np.float64)

    def draw(self, cells: Int64Array, uniform: Float64Array) -> Int64Array:
        """Draws a class for each row.

        Args:
          cells: Shape (n, n_features).
          uniform: Shape (n,), in [0, 1).
        """
        logits = self.logits(cells).T
        weights = np.exp(logits - logits.max(axis=0))
        return _drawn(weights, uniform * weights.sum(axis=0))

    def calibrated(self, cells: Int64Array, class_weights: Float64Array) -> LabelFunction:
        """Shifts the offset until drawn rows have the classes' DP shares. Post-processing.

        Args:
          cells: Drawn rows, shape (n, n_features). RELEASED.
          class_weights: Share of each class, positive, sums to 1, shape (n_classes,).
        """
        logits = self.logits(cells)
        shift = np.zeros(len(self.offset))
        for _ in range(_CALIBRATION_ROUNDS):  # iterative proportional fitting of the class margin
            share = np.exp(log_softmax(logits + shift, axis=1)).mean(axis=0)
            shift += np.log(class_weights) - np.log(np.maximum(share, 1e-12))
        return replace(self, offset=self.offset + shift)


@dataclass(frozen=True)
class NumberLabels:
    """The distribution of a numeric label over its codec's cells, by the value that is expected. RELEASED.

    Attributes:
      function: Expected value, scaled, as the only logit.
      knots: Expected values at which a distribution is known, increasing, shape (k,).
      distributions: The distribution at each, shape (k, n_cells of the label), rows sum to 1.
    """

    function: LabelFunction
    knots: Float64Array
    distributions: Float64Array

    def probabilities(self, cells: Int64Array) -> Float64Array:
        """Probabilities of the label's cells for each row, shape (n, n_cells of the label).

        Args:
          cells: Cell of each feature, counted through all features, shape (n, n_features).
        """
        below, above, part = between(self.function.logits(cells)[:, 0], self.knots)
        return (1.0 - part)[:, None] * self.distributions[below] + part[:, None] * self.distributions[above]

    def draw(self, cells: Int64Array, uniform: Float64Array) -> Int64Array:
        """Draws a cell of the label for each row; see `LabelFunction.draw`."""
        return _drawn(self.probabilities(cells).T, uniform)


def between(values: Float64Array, knots: Float64Array) -> tuple[Int64Array, Int64Array, Float64Array]:
    """Finds the knots about each value, and how far it lies from the lower to the upper one, in [0, 1]."""
    above = np.clip(np.searchsorted(knots, values, side="right"), 1, len(knots) - 1).astype(np.int64)
    low, high = knots[above - 1], knots[above]
    return above - 1, above, np.clip((values - low) / (high - low), 0.0, 1.0)


def _drawn(weights: Float64Array, place: Float64Array) -> Int64Array:
    """The class or cell in which each row's place among all its weights lies, of shapes (n_classes, n) and (n,)."""
    drawn, below = np.zeros(len(place), dtype=np.int64), np.zeros(len(place))
    for own in weights[:-1]:
        below += own
        drawn += place > below
    return drawn
