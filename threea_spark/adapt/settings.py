"""Settings and results of kernel inducing points; free of jax, so that the pipeline can import them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from threea_spark.arrays import Float64Array
from threea_spark.errors import ConfigError
from threea_spark.model.ntk import Architecture
from threea_spark.privacy.query import RowBound

KernelRows = tuple[Float64Array, Float64Array]
"""Rows in the kernel's space, shape (n, d), and their labels, shape (n, c). PRIVATE."""


@dataclass(frozen=True, kw_only=True)
class KipSettings:
    """Settings of one adaptation; all of them are public.

    Attributes:
      alpha: Share of the density term, in [0, 1]: 1 keeps the centres, 0 follows the classifier alone.
      steps: Gradient steps; a private run releases one sum in each.
      learning_rate: About how far Adam moves a coordinate or a label in one step, in their own units.
      momentum: In [0, 1); Adam's decay of the first moment.
      clip_norm: Bound on the L2 norm of one row's gradient, points and scaled labels joined (private only).
      norm_bound: Grid units that clip_norm is: an integer bound on one row's quantised gradient. Coarse, since noise
        covers many units anyway, and float64 keeps coarse noise exact.
      diag_reg: Ridge as a share of the kernel's mean trace, > 0.
      learn_labels: Whether the labels move too.
      label_scale: Weighs a row's gradient by the labels against that by the points where both are clipped as one.
      moving_points: How many points move in one step; they take turns, so that each step clips, noises and computes
        less. 0 moves all. With 200 points, 60 steps and mu 0.3, turns of 25 reached the loss of turns of 50 within the
        spread over seeds, for 0.6 of the time.
      architecture: The kernel's network.
      kernel: Whose kernel steps without noise differentiate: ours or the library's, which are equal. Noisy steps have
        slopes of the closed form alone.
      chunk_rows: Rows in memory at a time; chunk_rows * moving_points * d floats are held a few times over.
    """

    alpha: float = 0.1
    steps: int = 60
    learning_rate: float = 0.02
    momentum: float = 0.9
    clip_norm: float = 1.0
    norm_bound: int = 2**12
    diag_reg: float = 1e-3
    learn_labels: bool = True
    label_scale: float = 1.0
    moving_points: int = 25
    architecture: Architecture = field(default_factory=Architecture)
    kernel: Literal["closed_form", "neural_tangents"] = "closed_form"
    chunk_rows: int = 512

    def bound(self, n_points: int, width: int, n_classes: int) -> RowBound:
        """A row's clipped gradient: by the points that move and, where labels are learned, by the labels of all."""
        n_moving = min(self.moving_points or n_points, n_points)
        return RowBound(self.norm_bound**2, n_moving * width + n_points * n_classes * self.learn_labels)

    def __post_init__(self) -> None:
        _check(0.0 <= self.alpha <= 1.0, f"alpha must be in [0, 1], got {self.alpha}")
        _check(self.steps >= 1, f"steps must be >= 1, got {self.steps}")
        _check(0.0 < self.learning_rate < math.inf, f"learning_rate must be in (0, inf), got {self.learning_rate}")
        _check(0.0 <= self.momentum < 1.0, f"momentum must be in [0, 1), got {self.momentum}")
        _check(0.0 < self.clip_norm < math.inf, f"clip_norm must be in (0, inf), got {self.clip_norm}")
        _check(1 <= self.norm_bound <= 2**24, f"norm_bound must be in [1, 2^24], got {self.norm_bound}")
        _check(0.0 < self.diag_reg < math.inf, f"diag_reg must be in (0, inf), got {self.diag_reg}")
        _check(0.0 < self.label_scale < math.inf, f"label_scale must be in (0, inf), got {self.label_scale}")
        _check(self.moving_points >= 0, f"moving_points must be >= 0, got {self.moving_points}")
        _check(1 <= self.chunk_rows <= 2**16, f"chunk_rows must be in [1, 65536], got {self.chunk_rows}")


class AdaptStatus(Enum):
    """How an adaptation ended, in words that tell what to do."""

    CONVERGED = "converged: the objective no longer falls"
    MAX_STEPS = "stopped at the last step while the objective still fell; raise steps or learning_rate"
    COMPLETED = "all private steps ran"
    UNTOUCHED = "alpha is 1: the points stay where they started and no row was read; lower alpha to adapt them"
    NONFINITE = "the kernel solve gave NaN or inf; raise diag_reg or lower learning_rate"


@dataclass(frozen=True)
class KipResult:
    """Adapted points.

    Attributes:
      x_support: Inducing points, shape (s, d). As private as the targets' treatment: RELEASED from `private`.
      y_support: Their labels, shape (s, c).
      status: How it ended.
      loss_trace: The objective before each step; empty where the targets are private.
    """

    x_support: Float64Array
    y_support: Float64Array
    status: AdaptStatus
    loss_trace: tuple[float, ...]


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)
