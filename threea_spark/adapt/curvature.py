"""The curvature of the label function's loss on released rows: it preconditions the noisy steps on private ones.

The rows are drawn from what Approximate released, so the curvature costs nothing. Steps then take all directions
equally fast, and a dozen or two suffice where plain ones need a hundred: so few that each may read all rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, softmax

from threea_spark.adapt.features import FEATURE_GRID, FeatureMap
from threea_spark.arrays import Float64Array, Int64Array

_TRUST = 0.7  # of the log odds of independent columns, which are too sure of themselves
_SUREST = 6.0
_FACTOR_VALUES = 1 << 26  # of all outputs together: 512 MB
_ROWS_AT_A_TIME = 500  # of some 1,000 features: 4 MB


@dataclass(frozen=True)
class Damped:
    """The inverse of R^T R + D, where R is rows of a matrix, each times a number of its own, and D is diagonal.

    Attributes:
      matrix: Shape (m, d), held once for all outputs; without its rows where the factor is of R^T R + D.
      chosen: Places of R's rows in it.
      roots: What each of them is multiplied by.
      damping: The diagonal of D, positive, shape (d,).
      factor: Cholesky factor of R^T R + D, shape (d, d), or of I + R D^-1 R^T where R has fewer rows than d.
    """

    matrix: Float64Array
    chosen: Int64Array | slice
    roots: Float64Array
    damping: Float64Array
    factor: tuple[Float64Array, bool]

    @classmethod
    def of(cls, matrix: Float64Array, weights: Float64Array, damping: float, most: int) -> Damped:
        """Factors it, on the shorter side.

        Of many classes each has its variance in few rows. Where a factor would be longer than `most` on both sides, the
        rows with the largest weights stand for all, with the weight of all, and of the others the diagonal is added:
        so no direction is taken for flatter than it is.

        Args:
          matrix: Shape (m, d).
          weights: Squares of what the rows are multiplied by, shape (m,).
          damping: Added to each direction's curvature.
          most: Longest side of the factor.
        """
        n_rows, width = matrix.shape
        chosen: Int64Array | slice = slice(None)
        diagonal = np.full(width, damping)
        if n_rows > most < width:
            order = np.argsort(-weights, kind="stable")
            chosen, others = order[:most], order[most:]
            diagonal += weights[others] @ np.square(matrix[others])
            weights = weights[chosen] * (weights.sum() / max(weights[chosen].sum(), np.finfo(np.float64).tiny))
        roots = np.sqrt(weights)
        if width <= len(roots):
            return cls(matrix[:0].copy(), slice(0), roots[:0], diagonal, _factor(_squared(matrix, roots), diagonal))
        rows = matrix[chosen] * roots[:, None]
        rows /= np.sqrt(diagonal)
        return cls(matrix, chosen, roots, diagonal, _factor(rows @ rows.T, np.ones(len(rows))))

    def solve(self, vector: Float64Array) -> Float64Array:
        """Applies the inverse to a vector, shape (d,). Source: Woodbury 1950, where R has fewer rows than d."""
        if len(self.factor[0]) == self.matrix.shape[1]:
            return np.asarray(cho_solve(self.factor, vector), dtype=np.float64)
        rows, plain = self.matrix[self.chosen], vector / self.damping
        inside = rows.T @ (self.roots * cho_solve(self.factor, self.roots * (rows @ plain)))
        return np.asarray(plain - inside / self.damping, dtype=np.float64)


@dataclass(frozen=True)
class Curvature:
    """Inverses of the loss's second derivative, damped: one for each output; columns' odds are shared by all.

    Attributes:
      of_columns: For the weights of the columns' odds where there are several outputs, else None.
      of_outputs: For the shared features' weights of each output; of a single output, those of odds come first.
      damping: What was added to each direction's curvature.
    """

    of_columns: Damped | None
    of_outputs: tuple[Damped, ...]
    damping: float

    def solve(self, gradient: Float64Array, n_columns: int) -> Float64Array:
        """Applies the inverse to a mean gradient, shape (n_columns + n_shared * n_outputs,)."""
        if self.of_columns is None:
            return self.of_outputs[0].solve(gradient)
        columns = self.of_columns.solve(gradient[:n_columns])
        shared = gradient[n_columns:].reshape(-1, len(self.of_outputs))
        solved = [own.solve(part) for own, part in zip(self.of_outputs, shared.T, strict=True)]
        return np.concatenate([columns, np.column_stack(solved).ravel()])


def curvature_of(
    features: FeatureMap, cells: Int64Array, prior: Float64Array, damping: float, *, of_number: bool
) -> Curvature:
    """Measures the curvature on released rows.

    Args:
      features: Maps rows to features. RELEASED.
      cells: Drawn rows, shape (m, n_features). RELEASED.
      prior: Outputs without any feature, shape (n_outputs,).
      damping: Added to each direction's curvature; see `label_fit.damping_of`.
      of_number: Whether the loss is that of a number, whose curvature is the same everywhere.
    """
    shared, n_outputs = _shared(features, cells), len(features.odds)
    weights = np.ones((len(cells), n_outputs)) if of_number else _variances(features, cells, prior)
    weights = weights / len(cells)
    most = math.isqrt(_FACTOR_VALUES // n_outputs)
    if n_outputs == 1:
        odds = features.column_odds(cells, 0).astype(np.float64)
        return Curvature(None, (Damped.of(np.hstack([odds, shared]), weights[:, 0], damping, most),), damping)
    columns = _of_columns(features, cells, weights, damping)
    return Curvature(columns, tuple(Damped.of(shared, own, damping, most) for own in weights.T), damping)


def _of_columns(features: FeatureMap, cells: Int64Array, weights: Float64Array, damping: float) -> Damped:
    """The curvature by the weights of the columns' odds: the sum over outputs, of which one is held at a time."""
    total = np.zeros((cells.shape[1], cells.shape[1]))
    for output, own in enumerate(weights.T):
        odds = features.column_odds(cells, output).astype(np.float64)
        total += (odds * own[:, None]).T @ odds
    nothing, diagonal = np.zeros((0, len(total))), np.full(len(total), damping)
    return Damped(nothing, slice(None), nothing[:, 0], diagonal, _factor(total, diagonal))


def _shared(features: FeatureMap, cells: Int64Array) -> Float64Array:
    """All features but the columns' odds, shape (m, n_shared)."""
    indicators = np.zeros((len(cells), features.odds.shape[1]))
    np.put_along_axis(indicators, cells, features.cell_scale, axis=1)
    scores = [units[cells] / FEATURE_GRID for units in features.linear_units]
    return np.hstack([indicators, *scores, features.dense(cells).astype(np.float64)])


def _variances(features: FeatureMap, cells: Int64Array, prior: Float64Array) -> Float64Array:
    """Variance of each output's class as independent columns tell it, shape (m, n_outputs)."""
    sums = _TRUST * np.column_stack([odds[cells].sum(axis=1) for odds in features.odds])
    logits = prior + np.clip(sums, -_SUREST, _SUREST)
    chance = expit(logits) if len(features.odds) == 1 else softmax(logits, axis=1)
    return np.asarray(chance * (1.0 - chance), dtype=np.float64)


def _squared(matrix: Float64Array, roots: Float64Array) -> Float64Array:
    """R^T R of all rows of a matrix, each times its root, some rows at a time."""
    product = np.zeros((matrix.shape[1], matrix.shape[1]))
    for at in range(0, len(matrix), _ROWS_AT_A_TIME):
        rows = matrix[at : at + _ROWS_AT_A_TIME] * roots[at : at + _ROWS_AT_A_TIME, None]
        product += rows.T @ rows
    return product


def _factor(product: Float64Array, diagonal: Float64Array) -> tuple[Float64Array, bool]:
    """Cholesky factor of a symmetric product, which is overwritten, plus a diagonal."""
    product[np.diag_indices_from(product)] += diagonal
    factor, lower = cho_factor(product.T, overwrite_a=True)  # transposed it is in LAPACK's order
    return factor, lower
