"""The curvature of the label function's loss on released rows: it preconditions the noisy steps on private ones.

The rows are drawn from what Approximate released, so the curvature costs nothing. Steps then take all directions
equally fast, and a dozen or two suffice where plain ones need a hundred: so few that each may read all rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, softmax

from threea_spark.adapt.features import FEATURE_GRID, FeatureMap
from threea_spark.arrays import Float64Array, Int64Array

_TRUST = 0.7  # of the log odds of independent columns, which are too sure of themselves
_SUREST = 6.0


@dataclass(frozen=True)
class Damped:
    """The inverse of R^T R + damping I, factored on the shorter side of R.

    Attributes:
      rows: R, shape (m, d).
      damping: Positive.
      factor: Cholesky factor of R^T R + damping I, or of R R^T + damping I where d > m.
    """

    rows: Float64Array
    damping: float
    factor: tuple[Float64Array, bool]

    @classmethod
    def of(cls, rows: Float64Array, damping: float) -> Damped:
        """Factors it."""
        matrix = rows.T @ rows if rows.shape[1] <= len(rows) else rows @ rows.T
        matrix[np.diag_indices_from(matrix)] += damping
        return cls(rows, damping, cho_factor(matrix, overwrite_a=True))

    def solve(self, vector: Float64Array) -> Float64Array:
        """Applies the inverse to a vector, shape (d,). Source: Woodbury 1950, where d > m."""
        if self.rows.shape[1] <= len(self.rows):
            return np.asarray(cho_solve(self.factor, vector), dtype=np.float64)
        inside = self.rows.T @ cho_solve(self.factor, self.rows @ vector)
        return np.asarray((vector - inside) / self.damping, dtype=np.float64)


@dataclass(frozen=True)
class Curvature:
    """Inverses of the loss's second derivative, damped: one for each output; columns' odds are shared by all.

    Attributes:
      of_columns: For the weights of the columns' odds where there are several outputs, else None.
      of_outputs: For the shared features' weights of each output; of a single output, those of odds come first.
    """

    of_columns: Damped | None
    of_outputs: tuple[Damped, ...]

    @property
    def damping(self) -> float:
        """What was added to each direction's curvature."""
        return self.of_outputs[0].damping

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
    odds = [features.column_odds(cells, output).astype(np.float64) for output in range(n_outputs)]
    weights = np.ones((len(cells), n_outputs)) if of_number else _variances(features, cells, prior)
    if n_outputs == 1:
        return Curvature(None, (_damped(np.hstack([odds[0], shared]), weights[:, :1], damping),))
    columns = _damped(np.vstack(odds), weights.T.reshape(-1, 1) * n_outputs, damping)
    return Curvature(columns, tuple(_damped(shared, weights[:, [at]], damping) for at in range(n_outputs)))


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


def _damped(rows: Float64Array, weights: Float64Array, damping: float) -> Damped:
    """Of the mean of weighted outer products."""
    return Damped.of(rows * np.sqrt(weights / len(rows)), damping)
