"""Moves inducing points and cluster centres by KIP: by noisy steps, on released targets, or as the paper does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from threea_spark.adapt.settings import AdaptStatus, KernelRows, KipResult, KipSettings
from threea_spark.approximate.clusters import FittedMixture
from threea_spark.approximate.mixture import Mixture
from threea_spark.arrays import Float64Array
from threea_spark.config.adapt import AdaptConfig
from threea_spark.encode.codec import Encoding
from threea_spark.engine.packed import PackedRows
from threea_spark.engine.rows import StagedRows
from threea_spark.model.ntk import Architecture
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import HeldRows, R, SumQuery
from threea_spark.privacy.terms import Stage

RELEASED_ROWS = 20_000
"""Rows drawn as targets where no private row is to be read."""
_POINTS_STEPS = 8
_CENTRES_RATE = 0.02
_POINTS_RATE = 0.005  # of KIP for the label function: measured to help or do nothing; from 0.02 on it may hurt


@dataclass(frozen=True)
class MovedCentres:
    """Clusters with moved centres. RELEASED.

    Attributes:
      mixture: The clusters.
      status: How it went.
    """

    mixture: Mixture
    status: AdaptStatus


def move_centres(
    staged: StagedRows,
    encoding: Encoding,
    fitted: FittedMixture,
    n_rows: float,
    config: AdaptConfig,
    meter: PrivacyMeter,
    rng: np.random.Generator,
) -> MovedCentres:
    """Moves the clusters' centres by KIP: by noisy steps end to end, as the paper does in conditional mode.

    Args:
      staged: PRIVATE.
      encoding, fitted, n_rows: Published so far.
      config: The stage's configuration.
      meter: Answers the queries.
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

        def kernel_rows(rows: PackedRows) -> KernelRows:
            x = encoding.scores(rows.packed).astype(np.float64) * scale
            return x, np.eye(encoding.n_classes)[rows.classes] - shares

        with meter.sample(Stage.ADAPT, staged, rate) as sample:
            targets = sample.seen_as(kernel_rows)
            if config.targets == "plain":
                moved = move_plain(x_support, y_support, *meter.expose(Stage.ADAPT, targets), config, False)
            else:
                moved = move_private(x_support, y_support, targets, config, meter, 1.0, n_rows * rate)
    return MovedCentres(replace(mixture, means=moved.x_support / scale), moved.status)


def sample_rate(meter: PrivacyMeter, n_rows: float, max_rows: int) -> float:
    """The rate at which units are sampled: never above the priced one, and lower where the driver would overflow."""
    return min(meter.plan.sampling_probability, max_rows / max(n_rows, 1.0), 1.0)


def architecture(config: AdaptConfig) -> Architecture:
    """The kernel's network, as configured."""
    return Architecture(activation=config.activation, depth=config.depth)


def n_steps(config: AdaptConfig, share: float) -> int:
    """Steps that move the points: fewer where the label function takes most of the share."""
    return min(config.steps, _POINTS_STEPS) if share < 1.0 else config.steps


def step_mu(mu: float, share: float, steps: int) -> float:
    """Price of one of so many steps that together take a share of mu^2."""
    return mu * math.sqrt(share / steps)


def _kip_settings(config: AdaptConfig, steps: int, learning_rate: float) -> KipSettings:
    return KipSettings(
        alpha=config.alpha,
        steps=steps,
        learning_rate=learning_rate,
        learn_labels=config.learn_labels,
        diag_reg=config.ridge,
        architecture=architecture(config),
        kernel=config.kernel,
    )


def move_private(
    x_support: Float64Array,
    y_support: Float64Array,
    targets: HeldRows[KernelRows],
    config: AdaptConfig,
    meter: PrivacyMeter,
    share: float,
    n_rows: float,
) -> KipResult:
    """Moves support points by noisy steps that together spend `share` of Adapt's mu^2."""
    from threea_spark.adapt import inducing  # jax is imported here, on the driver only

    steps = n_steps(config, share)
    learning_rate = _POINTS_RATE if share < 1.0 else _CENTRES_RATE
    mu = step_mu(meter.plan.mu_of(Stage.ADAPT), share, steps)

    def ask(query: SumQuery[R], rows: HeldRows[R]) -> Float64Array:
        return meter.ask(query, rows, mu).value

    settings = _kip_settings(config, steps, learning_rate)
    return inducing.private(x_support, y_support, targets, settings, n_rows_public=max(n_rows, 1.0), ask=ask)


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
