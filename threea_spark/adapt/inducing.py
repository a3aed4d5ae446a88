"""Kernel Inducing Points: moves support points and their labels so that kernel ridge regression on them fits rows.

objective = (1 - alpha) * mean over rows of ||y_t - K_ts (K_ss + diag_reg tr(K_ss) / s I)^-1 y_s||^2
          + alpha * density term, the mean over points of ||x_s - x_s0||^2, x_s0 the centroids they started from.

Source: Nguyen, Chen, Lee 2020, arXiv 2011.00050, eq. 6 and algorithm 1, with the density term of arXiv 2307.01875.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve

from threea_spark.adapt.closed_form import Architecture
from threea_spark.adapt.kernel import kernel_fn, x64
from threea_spark.adapt.row_gradient import NORM_BOUND, Chunk, clipped_sum, to_chunks
from threea_spark.adapt.settings import AdaptStatus, Float64Array, Int64Array, KipResult, KipSettings, ReleaseSum

_STILL_FALLING = 1e-3
_ADAM_SECOND, _ADAM_EPS = 0.999, 1e-12


def row_losses(
    x_support: Float64Array,
    y_support: Float64Array,
    x_target: Float64Array,
    y_target: Float64Array,
    settings: KipSettings,
) -> Float64Array:
    """Evaluates each target row's squared error under kernel ridge regression on the support points.

    Args:
      x_support: Shape (s, d).
      y_support: Shape (s, c).
      x_target: Shape (n, d). PRIVATE where they are rows of the table.
      y_target: Shape (n, c). PRIVATE likewise.
      settings: `diag_reg` and `architecture` are read.

    Returns:
      Shape (n,), as private as the targets; NaN or inf where the solve is not finite.

    Source: arXiv 2011.00050, eq. 6, one summand.
    """
    with x64():
        return np.asarray(
            _row_losses(
                *map(_f64, (x_support, y_support, x_target, y_target)), settings.diag_reg, settings.architecture
            )
        )


def plain(
    x_support: Float64Array,
    y_support: Float64Array,
    x_target: Float64Array,
    y_target: Float64Array,
    settings: KipSettings,
    *,
    targets_are_released: bool,
) -> KipResult:
    """Minimises the objective by Adam without noise; the best iterate is kept.

    Args:
      x_support: Centroids to start from, shape (s, d).
      y_support: Their labels, shape (s, c).
      x_target: Shape (n, d): RELEASED draws, or PRIVATE rows in conditional mode.
      y_target: Shape (n, c), likewise.
      settings: `clip_norm`, `label_scale` and `moving_points` are not read.
      targets_are_released: Whether the loss may leave; if not, the trace is empty.
    """
    start = np.asarray(x_support, np.float64)
    x, y = start, np.asarray(y_support, np.float64)
    with x64():
        chunks = list(to_chunks(x_target, y_target, settings.chunk_rows, np.float64))
        best, adam, losses = (np.inf, x, y), _Adam(x.size + y.size), list[float]()
        for step in range(settings.steps + 1):
            loss, g_x, g_y = _loss_and_gradient(x, y, chunks, settings)
            value = (1.0 - settings.alpha) * loss + settings.alpha * _density(x, start)
            if not np.isfinite(value):
                break
            losses.append(float(value))
            best = min(best, (losses[-1], x, y), key=lambda found: found[0])
            if step < settings.steps:
                g_x = (1.0 - settings.alpha) * g_x + settings.alpha * _density_gradient(x, start)
                g_y = (1.0 - settings.alpha) * g_y * settings.learn_labels
                moved = adam.step(np.concatenate([g_x.ravel(), g_y.ravel()]), settings)
                x, y = x - moved[: x.size].reshape(x.shape), y - moved[x.size :].reshape(y.shape)
    status = _plain_status(losses, settings.steps)
    return KipResult(best[1], best[2], status, tuple(losses) if targets_are_released else ())


def private(
    x_support: Float64Array,
    y_support: Float64Array,
    x_target: Float64Array,
    y_target: Float64Array,
    settings: KipSettings,
    *,
    n_rows_public: float,
    release_sum: ReleaseSum,
) -> KipResult:
    """Follows noisy clipped gradients with momentum and returns the mean of the last half of the iterates.

    Args:
      x_support: Centroids to start from, shape (s, d). RELEASED.
      y_support: Their labels, shape (s, c). RELEASED.
      x_target: The sample, shape (n, d), held as float32. PRIVATE.
      y_target: Shape (n, c), likewise. PRIVATE.
      settings: Public.
      n_rows_public: Divisor of the mean: a public or noisy count, never the sample's own size.
      release_sum: Called once in each step, and in no other case; adds the noise.

    Returns:
      RELEASED: a function of the noisy sums and of public numbers. Its status looks at those alone.

    Guarantee:
      A row adds to each sum an integer vector of L2 norm <= NORM_BOUND, whatever it holds: its gradient is clipped,
      rounded toward zero and checked in integers; one that is not finite adds nothing. No exception depends on a row.
    """
    start, labels = np.asarray(x_support, np.float64), np.asarray(y_support, np.float64)
    if settings.alpha == 1.0:
        return KipResult(start, labels, AdaptStatus.UNTOUCHED, ())
    unit = settings.clip_norm / NORM_BOUND / n_rows_public * (1.0 - settings.alpha)
    x, y, v_x, v_y = start, labels, np.zeros_like(start), np.zeros_like(labels)
    kept: list[tuple[Float64Array, Float64Array]] = []
    with x64():
        chunks = list(to_chunks(x_target, y_target, settings.chunk_rows, np.float32))
        for step in range(settings.steps):
            moving = _moving(step, len(start), settings)
            sums = clipped_sum(x, y, moving, chunks, settings)
            if sums is None:
                return KipResult(start, labels, AdaptStatus.NONFINITE, ())
            noisy = unit * np.asarray(release_sum(step, sums, NORM_BOUND), np.float64)
            n_moved = moving.size * x.shape[1]
            g_x = settings.alpha * _density_gradient(x, start)
            g_x[moving] += noisy[:n_moved].reshape(moving.size, -1)
            g_y = settings.label_scale * noisy[n_moved:].reshape(y.shape) if settings.learn_labels else 0.0 * y
            v_x, v_y = settings.momentum * v_x + g_x, settings.momentum * v_y + g_y
            x, y = x - settings.learning_rate * v_x, y - settings.learning_rate * v_y
            if step >= settings.steps // 2:
                kept.append((x, y))
    mean_x, mean_y = (np.mean([pair[part] for pair in kept], axis=0) for part in (0, 1))
    if not (np.isfinite(mean_x).all() and np.isfinite(mean_y).all()):
        return KipResult(start, labels, AdaptStatus.NONFINITE, ())
    return KipResult(mean_x, mean_y, AdaptStatus.COMPLETED, ())


@functools.partial(jax.jit, static_argnames="network")
def _row_losses(
    x_support: jax.Array,
    y_support: jax.Array,
    x_target: jax.Array,
    y_target: jax.Array,
    diag_reg: float,
    network: Architecture,
) -> jax.Array:
    kernel = kernel_fn(network)
    k_ss = kernel(x_support, x_support)
    ridge = diag_reg * jnp.trace(k_ss) / len(x_support)
    solved = cho_solve(cho_factor(k_ss + ridge * jnp.eye(len(x_support), dtype=k_ss.dtype), lower=True), y_support)
    return jnp.sum(jnp.square(y_target - kernel(x_target, x_support) @ solved), axis=1)


@functools.partial(jax.jit, static_argnames="network")
def _chunk_loss_and_gradient(
    x: jax.Array, y: jax.Array, chunk: Chunk, diag_reg: float, network: Architecture
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    x_target, y_target, is_row = chunk

    def loss(x_: jax.Array, y_: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(is_row, _row_losses(x_, y_, x_target, y_target, diag_reg, network), 0.0))

    return jax.value_and_grad(loss, argnums=(0, 1))(x, y)


def _loss_and_gradient(
    x: Float64Array, y: Float64Array, chunks: Sequence[Chunk], settings: KipSettings
) -> tuple[float, Float64Array, Float64Array]:
    """The mean row loss and its gradient by points (s, d) and labels (s, c); chunk by chunk, since rows only add."""
    n_rows = sum(int(chunk[2].sum()) for chunk in chunks)
    loss, by_x, by_y = 0.0, np.zeros_like(x), np.zeros_like(y)
    for chunk in chunks:
        part, (part_x, part_y) = _chunk_loss_and_gradient(
            jnp.asarray(x), jnp.asarray(y), chunk, settings.diag_reg, settings.architecture
        )
        loss, by_x, by_y = loss + float(part), by_x + np.asarray(part_x), by_y + np.asarray(part_y)
    return loss / n_rows, by_x / n_rows, by_y / n_rows


def _density(x: Float64Array, start: Float64Array) -> float:
    return float(np.mean(np.sum((x - start) ** 2, axis=1)))


def _density_gradient(x: Float64Array, start: Float64Array) -> Float64Array:
    return 2.0 * (x - start) / len(x)


class _Adam:
    """Source: Kingma and Ba 2014, arXiv 1412.6980, algorithm 1."""

    def __init__(self, size: int) -> None:
        self._first, self._second, self._steps = np.zeros(size), np.zeros(size), 0

    def step(self, gradient: Float64Array, settings: KipSettings) -> Float64Array:
        """Gives what to subtract, shape (size,)."""
        decay, self._steps = settings.momentum, self._steps + 1
        self._first = decay * self._first + (1.0 - decay) * gradient
        self._second = _ADAM_SECOND * self._second + (1.0 - _ADAM_SECOND) * gradient**2
        first = self._first / (1.0 - decay**self._steps)
        second = self._second / (1.0 - _ADAM_SECOND**self._steps)
        return np.asarray(settings.learning_rate * first / (np.sqrt(second) + _ADAM_EPS))


def _moving(step: int, n_points: int, settings: KipSettings) -> Int64Array:
    """Which points move in a step, shape (w,): the next ones in turn."""
    n_moving = min(settings.moving_points or n_points, n_points)
    return (step * n_moving + np.arange(n_moving, dtype=np.int64)) % n_points


def _plain_status(losses: Sequence[float], steps: int) -> AdaptStatus:
    if len(losses) <= steps:
        return AdaptStatus.NONFINITE
    late = min(losses[-max(steps // 10, 1) :])
    before = min(losses[: -max(steps // 10, 1)])
    return AdaptStatus.MAX_STEPS if late < before * (1.0 - _STILL_FALLING) else AdaptStatus.CONVERGED


def _f64(x: Float64Array) -> jax.Array:
    return jnp.asarray(x, jnp.float64)
