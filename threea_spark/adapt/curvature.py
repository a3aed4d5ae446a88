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
_ROWS_AT_A_TIME = 500  # of some 1,000 features: 4 MB


@dataclass(frozen=True)
class Damped:
    """The inverse of R^T R + damping I, factored on the shorter side of R.

    Attributes:
      rows: R, shape (m, d), where d > m; else None.
      damping: Positive.
      factor: Cholesky factor of R^T R + damping I, or of R R^T + damping I where d > m.
    """

    rows: Float64Array | None
    damping: float
    factor: tuple[Float64Array, bool]

    def solve(self, vector: Float64Array) -> Float64Array:
        """Applies the inverse to a vector, shape (d,). Source: Woodbury 1950, where d > m."""
        if self.rows is None:
            return np.asarray(cho_solve(self.factor, vector), dtype=np.float64)
        inside = self.rows.T @ cho_solve(self.factor, self.rows @ vector)
        return np.asarray((vector - inside) / self.damping, dtype=np.float64)


class Squares:
    """R^T R for R of m rows that come in parts: only where R has more columns than rows are the parts kept."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows, self._matrix, self._parts = n_rows, np.zeros((0, 0)), list[Float64Array]()

    def add(self, part: Float64Array) -> None:
        """Adds some rows, shape (t, d)."""
        if part.shape[1] > self._n_rows:
            self._parts.append(part)
        elif self._matrix.size:
            self._matrix += part.T @ part
        else:
            self._matrix = part.T @ part

    def damped(self, damping: float) -> Damped:
        """Factors what was added; it is used up."""
        rows = np.vstack(self._parts) if self._parts else None
        matrix = self._matrix if rows is None else rows @ rows.T
        matrix[np.diag_indices_from(matrix)] += damping
        return Damped(rows, damping, cho_factor(matrix, overwrite_a=True))


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
    n, n_outputs = len(cells), len(features.odds)
    of_columns, of_outputs = Squares(n * n_outputs), [Squares(n) for _ in range(n_outputs)]
    for at in range(0, n, _ROWS_AT_A_TIME):
        some = cells[at : at + _ROWS_AT_A_TIME]
        shared = _shared(features, some)
        odds = [features.column_odds(some, output).astype(np.float64) for output in range(n_outputs)]
        weights = np.ones((len(some), n_outputs)) if of_number else _variances(features, some, prior)
        roots = np.sqrt(weights / n).T[:, :, None]  # of the mean of weighted outer products
        if n_outputs == 1:
            of_outputs[0].add(np.hstack([odds[0], shared]) * roots[0])
            continue
        of_columns.add(np.vstack(odds) * roots.reshape(-1, 1))
        for own, root in zip(of_outputs, roots, strict=True):
            own.add(shared * root)
    columns = None if n_outputs == 1 else of_columns.damped(damping)
    return Curvature(columns, tuple(own.damped(damping) for own in of_outputs))


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
