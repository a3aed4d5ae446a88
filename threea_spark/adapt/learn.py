"""Adapt, in order: take one Poisson sample, move the inducing points by KIP, learn the label function.

All noisy sums read nothing but the sample, and are priced together as one Gaussian on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from threea_spark.adapt import features as maps
from threea_spark.adapt.label_fit import FitSettings, Targets, Weights, fit_weights
from threea_spark.adapt.move import RELEASED_ROWS, architecture, move_plain, move_private, sample_rate
from threea_spark.adapt.settings import AdaptStatus, KernelRows
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.release import AdaptConfig
from threea_spark.encode.codec import Encoding
from threea_spark.engine.packed import PackedRows
from threea_spark.engine.rows import StagedRows
from threea_spark.model.labels import KernelInput, LabelFunction
from threea_spark.model.sampler import RowSampler
from threea_spark.privacy.budget import Stage
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import HeldRows, SumQuery

POINTS_SHARE = 0.05
"""Part of Adapt's mu^2 that moves the inducing points; the rest learns the labels."""
_POINTS_ROWS = 20_000
_CALIBRATION_ROWS = 20_000
_ROUNDING = 1e-12  # relative


@dataclass(frozen=True)
class Problem:
    """Everything known before Adapt reads a row. RELEASED.

    Attributes:
      encoding: The table's codes.
      odds: Log odds of each class and cell, shape (n_classes, n_cells).
      probabilities: Pooled probabilities of each feature's cells, one array per feature.
      class_weights: Shape (n_classes,).
      sampler: Draws rows from the mixture.
      n_rows: DP number of rows.
    """

    encoding: Encoding
    odds: Float64Array
    probabilities: list[Float64Array]
    class_weights: Float64Array
    sampler: RowSampler
    n_rows: float

    def kernel_input(self) -> KernelInput:
        """Where cells lie in the kernel's space."""
        return maps.kernel_scores(
            self.odds, np.concatenate(self.probabilities), list(self.sampler.orders), self.encoding.cell_layout
        )

    def centred(self, classes: Int64Array) -> Float64Array:
        """One-hot classes less their shares, shape (n, n_classes): what KIP regresses on."""
        return np.eye(self.encoding.n_classes)[classes] - self.class_weights


@dataclass(frozen=True)
class LearnedLabels:
    """A label function. RELEASED.

    Attributes:
      labels: Labels rows by their cells.
      status: How the inducing points were moved.
    """

    labels: LabelFunction
    status: AdaptStatus


def learn_labels(
    staged: StagedRows,
    problem: Problem,
    config: AdaptConfig,
    support_size: int,
    meter: PrivacyMeter,
    rng: np.random.Generator,
) -> LearnedLabels:
    """Learns the inducing points and the label function.

    Args:
      staged: PRIVATE.
      problem: What is known so far.
      config: The stage's configuration; `targets: released` reads no row.
      support_size: Number of inducing points.
      meter: Answers the queries.
      rng: Public randomness: starting points are drawn from the released mixture.
    """
    encoding, kernel_input = problem.encoding, problem.kernel_input()
    support_cells, support_classes = problem.sampler.draw_cells(encoding, support_size, rng)
    start = kernel_input(support_cells), problem.centred(support_classes)
    if config.targets == "released":
        cells, classes = problem.sampler.draw_cells(encoding, RELEASED_ROWS, rng)
        moved = move_plain(*start, kernel_input(cells), problem.centred(classes), config, True)
        labels = _fit_released(problem, _feature_map(problem, config, moved.x_support), cells, classes)
    else:
        rate = sample_rate(meter, problem.n_rows, config.max_rows)
        few_rate = min(rate, _POINTS_ROWS / max(problem.n_rows, 1.0))

        def kernel_rows(rows: PackedRows) -> KernelRows:
            few = rows.sampled(few_rate)
            return kernel_input(encoding.cells(few.packed)), problem.centred(few.classes)

        with meter.sample(Stage.ADAPT, staged, rate) as sample:
            few = sample.seen_as(kernel_rows)
            moved = move_private(*start, few, config, meter, POINTS_SHARE, problem.n_rows * few_rate)
            labels = _fit_private(problem, _feature_map(problem, config, moved.x_support), sample, meter, rate)
    drawn, _ = problem.sampler.draw_cells(encoding, _CALIBRATION_ROWS, rng)
    return LearnedLabels(labels.calibrated(drawn, problem.class_weights), moved.status)


def step_mu(mu: float, settings: FitSettings) -> float:
    """Price of one step of the label function; all of them together take no more than mu."""
    return mu / math.sqrt(settings.steps) * (1.0 - _ROUNDING)


def _feature_map(problem: Problem, config: AdaptConfig, x_support: Float64Array) -> maps.FeatureMap:
    return maps.feature_map(
        problem.odds,
        np.concatenate(problem.probabilities),
        problem.kernel_input(),
        x_support,
        architecture(config),
        n_features=len(problem.encoding.features),
        diag_reg=config.ridge,
        scales=maps.Scales(),
    )


def _fit_private(
    problem: Problem, features: maps.FeatureMap, sample: HeldRows[PackedRows], meter: PrivacyMeter, rate: float
) -> LabelFunction:
    """Learns the weights by noisy steps, with what is left of Adapt's share."""
    encoding, settings, mu = problem.encoding, FitSettings(), meter.remaining_mu(Stage.ADAPT)
    targets = sample.seen_as(lambda rows: Targets(features, encoding.cells(rows.packed), rows.classes))
    mu_step = step_mu(mu, settings)

    def ask(query: SumQuery[Targets]) -> Float64Array:
        return meter.ask(query, targets, mu_step).value

    n_rows = max(problem.n_rows * rate, 1.0)
    prior = _prior(problem, features)
    weights = fit_weights(features, prior, settings, ask, n_rows=n_rows, mu=mu)
    return _label_function(problem, features, prior, weights)


def _fit_released(problem: Problem, features: maps.FeatureMap, cells: Int64Array, classes: Int64Array) -> LabelFunction:
    """Learns the weights on rows drawn from the released mixture: they need no noise."""
    drawn, prior = Targets(features, cells, classes), _prior(problem, features)

    def ask(query: SumQuery[Targets]) -> Float64Array:
        return query.contribution(drawn).astype(np.float64)

    weights = fit_weights(features, prior, FitSettings(), ask, n_rows=float(len(cells)), mu=1.0)
    return _label_function(problem, features, prior, weights)


def _prior(problem: Problem, features: maps.FeatureMap) -> Float64Array:
    """Logits of the class shares, shape (n_outputs,)."""
    logs = np.log(problem.class_weights)
    return logs[1:] - logs[:1] if len(features.odds) == 1 else logs


def _label_function(
    problem: Problem, features: maps.FeatureMap, prior: Float64Array, weights: Weights
) -> LabelFunction:
    feature_of = problem.encoding.cell_layout.feature_of_cell
    return features.label_function(weights.columns[:, None], weights.shared, prior, feature_of)
