"""Adapt, in order: take one Poisson sample, move the inducing points by KIP, learn the label function.

All noisy sums read nothing but the sample, and are priced together as one Gaussian on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.adapt import features as maps
from threea_spark.adapt.label_fit import FitSettings, Targets, fit_weights
from threea_spark.adapt.move import RELEASED_ROWS, AdaptResult, architecture, move_plain, move_private, sample_rate
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.release import AdaptConfig
from threea_spark.encode.codec import Encoding
from threea_spark.engine.sample import poisson_sample
from threea_spark.model.labels import KernelInput, LabelFunction
from threea_spark.model.law import RowSampler
from threea_spark.privacy.budget import Stage
from threea_spark.privacy.meter import PrivacyMeter

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


POINTS_SHARE = 0.05
"""Part of Adapt's mu^2 that moves the inducing points; the rest learns the labels."""
_POINTS_ROWS = 20_000
_CALIBRATION_ROWS = 20_000


@dataclass(frozen=True)
class Problem:
    """What is known before Adapt reads a row. RELEASED.

    Attributes:
      encoding: Of the table.
      odds: Log odds of each class and cell, shape (n_classes, n_cells).
      laws: Pooled law of each feature's cells, one array a feature.
      class_weights: Shape (n_classes,).
      sampler: Draws rows from the mixture.
      n_rows: DP number of rows.
    """

    encoding: Encoding
    odds: Float64Array
    laws: list[Float64Array]
    class_weights: Float64Array
    sampler: RowSampler
    n_rows: float

    def kernel_input(self) -> KernelInput:
        """Where cells lie in the kernel's space."""
        return maps.kernel_scores(
            self.odds, np.concatenate(self.laws), list(self.sampler.orders), self.encoding.cell_layout
        )

    def centred(self, classes: Int64Array) -> Float64Array:
        """One-hot classes less their shares, shape (n, n_classes): what KIP regresses on."""
        return np.eye(self.encoding.n_classes)[classes] - self.class_weights


def learn_labels(
    staged: DataFrame,
    problem: Problem,
    config: AdaptConfig,
    support_size: int,
    meter: PrivacyMeter,
    rng: np.random.Generator,
) -> AdaptResult:
    """Learns the inducing points and the label function.

    Args:
      staged: PRIVATE.
      problem: What is known so far.
      config: Of the stage; `targets: released` reads no row.
      support_size: Inducing points.
      meter: Pays.
      rng: Public randomness: starting points are drawn from the released mixture.
    """
    encoding, kernel_input = problem.encoding, problem.kernel_input()
    support_cells, support_classes = problem.sampler.draw_cells(encoding, support_size, rng)
    x_support, y_support = kernel_input(support_cells), problem.centred(support_classes)
    if config.targets == "released":
        cells, classes = problem.sampler.draw_cells(encoding, RELEASED_ROWS, rng)
        moved = move_plain(x_support, y_support, kernel_input(cells), problem.centred(classes), config, True)
        labels = _fit(problem, config, kernel_input, moved.x_support, cells, classes, None, 1.0)
    else:
        rate = sample_rate(meter, problem.n_rows, config.max_rows)
        sample = poisson_sample(staged, encoding.width, rate)
        points_rate = min(rate, _POINTS_ROWS / max(problem.n_rows, 1.0))
        few = sample.sampled(points_rate)
        with meter.poisson_sample(Stage.ADAPT, rate):
            x_target, y_target = kernel_input(encoding.cells(few.packed)), problem.centred(few.classes)
            n_points_rows = problem.n_rows * points_rate
            moved = move_private(x_support, y_support, x_target, y_target, config, meter, POINTS_SHARE, n_points_rows)
            cells = encoding.cells(sample.packed)
            labels = _fit(problem, config, kernel_input, moved.x_support, cells, sample.classes, meter, rate)
    drawn, _ = problem.sampler.draw_cells(encoding, _CALIBRATION_ROWS, rng)
    return AdaptResult(labels.calibrated(drawn, problem.class_weights), None, moved.status)


def _fit(
    problem: Problem,
    config: AdaptConfig,
    kernel_input: KernelInput,
    x_support: Float64Array,
    cells: Int64Array,
    classes: Int64Array,
    meter: PrivacyMeter | None,
    rate: float,
) -> LabelFunction:
    """Learns the weights with what is left of Adapt's share; without a meter the targets are released ones."""
    encoding, laws = problem.encoding, np.concatenate(problem.laws)
    n_features = len(encoding.features)
    feature_map = maps.feature_map(
        problem.odds,
        laws,
        kernel_input,
        x_support,
        architecture(config),
        n_features=n_features,
        diag_reg=config.ridge,
        scales=maps.Scales(),
    )
    settings = FitSettings()
    mu = meter.remaining_mu(Stage.ADAPT) if meter is not None else 1.0
    mu_step = mu / math.sqrt(settings.steps) * (1.0 - 1e-12)

    def release_sum(name: str, exact: Int64Array, bound: int) -> Float64Array:
        if meter is None:
            return exact.astype(np.float64)
        square, moved = bound * bound, targets.moved
        noisy = meter.noisy_sum(Stage.ADAPT, name, exact, squared_bound=square, mu=mu_step, moved=moved).value
        return noisy.astype(np.float64)

    logs = np.log(problem.class_weights)
    prior = logs[1:] - logs[:1] if len(feature_map.odds) == 1 else logs
    targets = Targets(feature_map, cells, classes)
    n_rows = max(problem.n_rows * rate, 1.0) if meter is not None else float(len(cells))
    weights = fit_weights(targets, prior, settings, release_sum, n_rows=n_rows, mu=mu)
    columns, feature_of = weights.columns[:, None], encoding.cell_layout.feature_of_cell
    return feature_map.label_function(columns, weights.shared, prior, feature_of)
