"""Moves inducing points and cluster centres by KIP: by noisy steps, on released targets, or as the paper does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.adapt.settings import AdaptStatus, KipResult, KipSettings
from threea_spark.approximate.clusters import FittedMixture
from threea_spark.approximate.mixture import Mixture
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.release import AdaptConfig
from threea_spark.encode.codec import Encoding
from threea_spark.engine.sample import poisson_sample
from threea_spark.model.labels import LabelFunction
from threea_spark.model.ntk import Architecture
from threea_spark.privacy.budget import Stage
from threea_spark.privacy.meter import PrivacyMeter

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


RELEASED_ROWS = 20_000
"""Rows drawn as targets where no private row is to be read."""
POINTS_STEPS = 8
_CENTRES_RATE = 0.02
_POINTS_RATE = 0.005  # of KIP for the label function: measured to help or do nothing; from 0.02 on it may hurt


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
        component = rng.choice(mixture.n_components, RELEASED_ROWS, p=mixture.sizes / mixture.sizes.sum())
        drawn = mixture.means[component] + rng.standard_normal((RELEASED_ROWS, encoding.width))
        x_target = drawn * scale
        moved = move_plain(x_support, y_support, x_target, y_support[component], config, True)
    else:
        rate = sample_rate(meter, n_rows, config.max_rows)
        sample = poisson_sample(staged, encoding.width, rate)
        x_target = encoding.scores(sample.packed).astype(np.float64) * scale
        y_target = np.eye(encoding.n_classes)[sample.classes] - shares
        if config.targets == "plain":
            meter.book_exact(Stage.ADAPT)
            moved = move_plain(x_support, y_support, x_target, y_target, config, False)
        else:
            with meter.poisson_sample(Stage.ADAPT, rate):
                moved = move_private(x_support, y_support, x_target, y_target, config, meter, 1.0, n_rows * rate)
    return AdaptResult(None, replace(mixture, means=moved.x_support / scale), moved.status)


def sample_rate(meter: PrivacyMeter, n_rows: float, max_rows: int) -> float:
    """The rate at which units are sampled: never above the priced one, and lower where the driver would overflow."""
    return min(meter.plan.sampling_probability, max_rows / max(n_rows, 1.0), 1.0)


def architecture(config: AdaptConfig) -> Architecture:
    """The kernel's network, as configured."""
    return Architecture(activation=config.activation, depth=config.depth)


def _kip_settings(config: AdaptConfig, steps: int, learning_rate: float) -> KipSettings:
    return KipSettings(
        alpha=config.alpha,
        steps=steps,
        learning_rate=learning_rate,
        learn_labels=config.learn_labels,
        diag_reg=config.ridge,
        architecture=architecture(config),
    )


def move_private(
    x_support: Float64Array,
    y_support: Float64Array,
    x_target: Float64Array,
    y_target: Float64Array,
    config: AdaptConfig,
    meter: PrivacyMeter,
    share: float,
    n_rows: float,
) -> KipResult:
    """Moves support points by noisy steps that together spend `share` of Adapt's mu^2."""
    from threea_spark.adapt import inducing  # jax is imported here, on the driver only

    steps, learning_rate = config.steps, _CENTRES_RATE
    if share < 1.0:
        steps, learning_rate = min(config.steps, POINTS_STEPS), _POINTS_RATE
    mu = meter.plan.mu_of(Stage.ADAPT) * math.sqrt(share / steps)

    def release_sum(step: int, exact: Int64Array, bound: int) -> Float64Array:
        name = f"points-{step}"
        return meter.noisy_sum(Stage.ADAPT, name, exact, squared_bound=bound * bound, mu=mu).value.astype(np.float64)

    settings = _kip_settings(config, steps, learning_rate)
    return inducing.private(
        x_support, y_support, x_target, y_target, settings, n_rows_public=max(n_rows, 1.0), release_sum=release_sum
    )


def move_plain(
    x_support: Float64Array,
    y_support: Float64Array,
    x_target: Float64Array,
    y_target: Float64Array,
    config: AdaptConfig,
    released: bool,
) -> KipResult:
    """Moves support points without noise: on released targets, or on private ones in conditional mode."""
    from threea_spark.adapt import inducing  # jax is imported here, on the driver only

    settings = _kip_settings(config, config.steps, _CENTRES_RATE)
    return inducing.plain(x_support, y_support, x_target, y_target, settings, targets_are_released=released)
