"""Adapt, in order: take one Poisson sample, move the inducing points by KIP, learn the label function.

All noisy sums read nothing but the sample, and are priced together as one Gaussian on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from threea_spark.adapt import features as maps
from threea_spark.adapt import spark as passes
from threea_spark.adapt.closed_form import Architecture
from threea_spark.adapt.label_fit import FitSettings, Targets, fit_weights
from threea_spark.adapt.label_function import KernelInput, LabelFunction
from threea_spark.adapt.settings import AdaptStatus, KipResult, KipSettings
from threea_spark.anonymize.sample import RowSampler
from threea_spark.approximate.measure import FittedMixture
from threea_spark.approximate.mixture import Mixture
from threea_spark.config import AdaptConfig
from threea_spark.encode.encoding import Encoding
from threea_spark.privacy.mechanism import PrivacyMeter
from threea_spark.privacy.plan import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

POINTS_SHARE = 0.05
"""Part of Adapt's mu^2 that moves the inducing points; the rest learns the labels."""
_POINTS_STEPS = 8
_POINTS_ROWS = 20_000
_CENTRES_RATE = 0.02
_POINTS_RATE = 0.005  # of KIP for the label function: measured to help or do nothing; from 0.02 on it may hurt
_CALIBRATION_ROWS = 20_000
_RELEASED_ROWS = 20_000


@dataclass(frozen=True)
class AdaptResult:
    """What Adapt publishes.

    Attributes:
      labels: The label function; None where centres alone were moved.
      mixture: The mixture with moved centres; None where labels were learned.
      status: How it went, with advice.
    """

    labels: LabelFunction | None
    mixture: Mixture | None
    status: AdaptStatus


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
            self.odds, np.concatenate(self.laws), list(self.sampler.orders), self.encoding.cell_offsets
        )

    def centred(self, classes: IntArray) -> Float64Array:
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
        cells, classes = problem.sampler.draw_cells(encoding, _RELEASED_ROWS, rng)
        moved = _move_plain(x_support, y_support, kernel_input(cells), problem.centred(classes), config, True)
        labels = _fit(problem, config, kernel_input, moved.x_support, cells, classes, None, 1.0)
    else:
        rate = sample_rate(meter, problem.n_rows, config.max_rows)
        sample = passes.poisson_sample(staged, encoding.width, rate)
        points_rate = min(rate, _POINTS_ROWS / max(problem.n_rows, 1.0))
        few = sample.thinned(points_rate)
        with meter.poisson_sample(Stage.ADAPT, rate):
            x_target, y_target = kernel_input(encoding.cells(few.packed)), problem.centred(few.classes)
            n_points_rows = problem.n_rows * points_rate
            moved = _move_private(x_support, y_support, x_target, y_target, config, meter, POINTS_SHARE, n_points_rows)
            cells = encoding.cells(sample.packed)
            labels = _fit(problem, config, kernel_input, moved.x_support, cells, sample.classes, meter, rate)
    drawn, _ = problem.sampler.draw_cells(encoding, _CALIBRATION_ROWS, rng)
    return AdaptResult(labels.calibrated(drawn, problem.class_weights), None, moved.status)


def move_centres(
    staged: DataFrame,
    encoding: Encoding,
    fitted: FittedMixture,
    n_rows: float,
    config: AdaptConfig,
    meter: PrivacyMeter,
    rng: np.random.Generator,
) -> AdaptResult:
    """Moves the clusters' centres by KIP: by noisy steps end to end, as the paper does in conditional mode.

    Args:
      staged: PRIVATE.
      encoding, fitted, n_rows: Published so far.
      config: Of the stage.
      meter: Pays.
      rng: Public randomness, for `targets: released`.
    """
    mixture, scale = fitted.mixture, 1.0 / encoding.clip_norm
    shares = np.average(fitted.class_shares, axis=0, weights=np.maximum(mixture.sizes, 1.0))
    x_support, y_support = mixture.means * scale, fitted.class_shares - shares
    if config.targets == "released":
        component = rng.choice(mixture.n_components, _RELEASED_ROWS, p=mixture.sizes / mixture.sizes.sum())
        drawn = mixture.means[component] + rng.standard_normal((_RELEASED_ROWS, encoding.width))
        x_target = drawn * scale
        moved = _move_plain(x_support, y_support, x_target, y_support[component], config, True)
    else:
        rate = sample_rate(meter, n_rows, config.max_rows)
        sample = passes.poisson_sample(staged, encoding.width, rate)
        x_target = encoding.scores(sample.packed).astype(np.float64) * scale
        y_target = np.eye(encoding.n_classes)[sample.classes] - shares
        if config.targets == "plain":
            meter.book_exact(Stage.ADAPT)
            moved = _move_plain(x_support, y_support, x_target, y_target, config, False)
        else:
            with meter.poisson_sample(Stage.ADAPT, rate):
                moved = _move_private(x_support, y_support, x_target, y_target, config, meter, 1.0, n_rows * rate)
    return AdaptResult(None, replace(mixture, means=moved.x_support / scale), moved.status)


def sample_rate(meter: PrivacyMeter, n_rows: float, max_rows: int) -> float:
    """The rate at which units are sampled: never above the priced one, and lower where the driver would overflow."""
    return min(meter.plan.sampling_probability, max_rows / max(n_rows, 1.0), 1.0)


def _architecture(config: AdaptConfig) -> Architecture:
    return Architecture(activation=config.activation, depth=config.depth)


def _kip_settings(config: AdaptConfig, steps: int, learning_rate: float) -> KipSettings:
    return KipSettings(
        alpha=config.alpha,
        steps=steps,
        learning_rate=learning_rate,
        learn_labels=config.learn_labels,
        diag_reg=config.ridge,
        architecture=_architecture(config),
    )


def _move_private(
    x_support: Float64Array,
    y_support: Float64Array,
    x_target: Float64Array,
    y_target: Float64Array,
    config: AdaptConfig,
    meter: PrivacyMeter,
    share: float,
    n_rows: float,
) -> KipResult:
    from threea_spark.adapt import inducing  # jax is imported here, on the driver only

    steps, learning_rate = config.steps, _CENTRES_RATE
    if share < 1.0:
        steps, learning_rate = min(config.steps, _POINTS_STEPS), _POINTS_RATE
    mu = meter.plan.mu_of(Stage.ADAPT) * math.sqrt(share / steps)

    def release_sum(step: int, exact: IntArray, bound: int) -> Float64Array:
        name = f"points-{step}"
        return meter.noisy_sum(Stage.ADAPT, name, exact, squared_bound=bound * bound, mu=mu).value.astype(np.float64)

    settings = _kip_settings(config, steps, learning_rate)
    return inducing.private(
        x_support, y_support, x_target, y_target, settings, n_rows_public=max(n_rows, 1.0), release_sum=release_sum
    )


def _move_plain(
    x_support: Float64Array,
    y_support: Float64Array,
    x_target: Float64Array,
    y_target: Float64Array,
    config: AdaptConfig,
    released: bool,
) -> KipResult:
    from threea_spark.adapt import inducing  # jax is imported here, on the driver only

    settings = _kip_settings(config, config.steps, _CENTRES_RATE)
    return inducing.plain(x_support, y_support, x_target, y_target, settings, targets_are_released=released)


def _fit(
    problem: Problem,
    config: AdaptConfig,
    kernel_input: KernelInput,
    x_support: Float64Array,
    cells: IntArray,
    classes: IntArray,
    meter: PrivacyMeter | None,
    rate: float,
) -> LabelFunction:
    """Learns the weights with what is left of Adapt's share; without a meter the targets are released ones."""
    encoding = problem.encoding
    n_features = len(encoding.codes)
    laws = np.concatenate(problem.laws)
    feature_map = maps.feature_map(
        problem.odds,
        laws,
        kernel_input,
        x_support,
        _architecture(config),
        n_features=n_features,
        diag_reg=config.ridge,
        scales=maps.Scales(),
    )
    settings = FitSettings()
    mu = meter.remaining_mu(Stage.ADAPT) if meter is not None else 1.0
    mu_step = mu / math.sqrt(settings.steps) * (1.0 - 1e-12)

    def release_sum(name: str, exact: IntArray, bound: int) -> Float64Array:
        if meter is None:
            return exact.astype(np.float64)
        measured = meter.noisy_sum(Stage.ADAPT, name, exact, squared_bound=bound * bound, mu=mu_step)
        return measured.value.astype(np.float64)

    logs = np.log(problem.class_weights)
    prior = logs[1:] - logs[:1] if len(feature_map.odds) == 1 else logs
    targets = Targets(feature_map, cells, classes)
    n_rows = max(problem.n_rows * rate, 1.0) if meter is not None else float(len(cells))
    weights = fit_weights(targets, prior, settings, release_sum, n_rows=n_rows, mu=mu)
    cell_column = np.repeat(np.arange(n_features), np.diff(encoding.cell_offsets))
    return feature_map.label_function(weights.columns[:, None], weights.shared, prior, cell_column)
