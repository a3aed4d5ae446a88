"""Learns the label function by few noisy, preconditioned gradient steps on all targets.

Each step sums the rows' clipped gradients, and the caller adds the noise. Source: logistic regression by DP gradient
descent, Bassily, Smith, Thakurta 2014, arXiv 1405.7085; the damped second derivative as preconditioner, from public
rows, Ganesh, Haghifam, Steinke, Thakurta 2023, arXiv 2305.13209 (there from private ones).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from threea_spark.adapt.curvature import Curvature
from threea_spark.adapt.features import FEATURE_GRID, FeatureMap
from threea_spark.adapt.targets import RESIDUAL_GRID, Targets, Weights
from threea_spark.arrays import Float64Array
from threea_spark.engine.progress import counted
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage


@dataclass(frozen=True)
class FitSettings:
    """Settings of the gradient steps.

    Attributes:
      steps: How many noisy sums.
      clip_norm: L2 bound on a row's gradient in the last steps.
      first_clip_norm: That of the first step; it falls by `clip_decay` a step until it is `clip_norm`.
      rate: Part of a full (Newton's) step that each takes.
      damping: Of the preconditioner, in units of clip_norm / (mu * n): what noise there is on a mean gradient.
      least_damping: The least of it, in units of the curvature: released rows show that only so well, and steps that
        trusted it further diverged (log loss of 277,000 flights, without noise: .455 at 1.4e-5, .454 at 7e-6, .467 at
        1.7e-6, .503 at 4e-7).
      shrinking: Ridge of the fit, in units of the damping: it holds back what only noise has moved.
      averaged: Share of the last steps whose weights are averaged.
    """

    steps: int = 16
    clip_norm: float = 0.5
    first_clip_norm: float = 0.5
    clip_decay: float = 0.8
    rate: float = 0.8
    damping: float = 10.0
    least_damping: float = 1e-5
    shrinking: float = 0.1
    averaged: float = 0.65

    @classmethod
    def of_number(cls) -> FitSettings:
        """Residuals of a number, in standard deviations of the label, are long until the fit has found the rows."""
        return cls(clip_norm=0.5, first_clip_norm=2.0)

    def clip_at(self, step: int) -> float:
        """L2 bound on a row's gradient in one step."""
        return max(self.clip_norm, self.first_clip_norm * self.clip_decay**step)

    def damping_of(self, n_rows: float, mu: float) -> float:
        """Curvature below which a direction is noise: added to each direction's own."""
        return max(self.damping * self.clip_norm / max(mu * n_rows, 1e-9), self.least_damping)


def gradient_bound(settings: FitSettings, step: int, n_features: int, n_outputs: int, n_others: int) -> RowBound:
    """A row's clipped gradient: by each column's odds, and by each output's cells and other features.

    Args:
      settings: Settings of the steps.
      step: The clip falls with the steps.
      n_features: Columns of a row.
      n_outputs: Outputs of the label function.
      n_others: Features that are neither odds nor cells.
    """
    norm = int(settings.clip_at(step) * FEATURE_GRID * RESIDUAL_GRID)
    return RowBound(norm * norm, n_features + n_outputs * (n_features + n_others))


def gradient_query(
    features: FeatureMap, weights: Weights, prior: Float64Array, settings: FitSettings, step: int, suffix: str = ""
) -> SumQuery[Targets]:
    """The sum of the rows' clipped gradients at some weights, of length n_features + n_shared * n_outputs.

    Args:
      features, weights, prior, settings: As in `fit_weights`.
      step: The clip falls with the steps.
      suffix: Of the sum's name, where there are several labels.
    """
    n_outputs = len(features.odds)
    n_others = features.n_shared - features.odds.shape[1]
    bound = gradient_bound(settings, step, features.n_features, n_outputs, n_others)
    norm = math.isqrt(bound.squared_norm)
    return SumQuery(
        stage=Stage.ADAPT,
        name=f"labels{suffix}-{step}",
        bound=bound,
        size=features.n_features + features.n_shared * n_outputs,
        contribution=lambda targets: targets.gradient_sums(weights, prior, norm),
    )


def fit_weights(
    features: FeatureMap,
    prior: Float64Array,
    settings: FitSettings,
    curvature: Curvature,
    ask: Callable[[Weights, int], Float64Array],
    *,
    n_rows: float,
) -> Weights:
    """Runs the noisy steps and averages the last iterates.

    Args:
      features: Maps rows to features. RELEASED.
      prior: Outputs at the start, shape (n_outputs,). RELEASED.
      settings: Settings of the steps.
      curvature: Of the loss on released rows.
      ask: Answers the gradient query of one step, in grid units, with noise where the targets are private.
      n_rows: DP number of targets, positive.
    """
    n_columns, n_outputs = features.n_features, len(features.odds)
    vector = np.zeros(n_columns + features.n_shared * n_outputs)
    average, n_averaged = np.zeros_like(vector), 0
    for step in counted(settings.steps):
        gradient = ask(_split(vector, n_columns, n_outputs), step) / (FEATURE_GRID * RESIDUAL_GRID * n_rows)
        ridge = settings.shrinking * curvature.damping * vector
        vector = vector - settings.rate * curvature.solve(gradient + ridge, n_columns)
        if step >= settings.steps * (1.0 - settings.averaged):
            average, n_averaged = average + vector, n_averaged + 1
    return _split(average / max(n_averaged, 1), n_columns, n_outputs)


def _split(vector: Float64Array, n_columns: int, n_outputs: int) -> Weights:
    return Weights(vector[:n_columns], vector[n_columns:].reshape(-1, n_outputs))
