"""Kernel Inducing Points: moves support points and their labels so that kernel ridge regression on them fits rows.

objective = (1 - alpha) * mean over rows of ||y_t - K_ts (K_ss + diag_reg tr(K_ss) / s I)^-1 y_s||^2
          + alpha * density term, the mean over points of ||x_s - x_s0||^2, x_s0 the centroids they started from.

Source: Nguyen, Chen, Lee 2020, arXiv 2011.00050, eq. 6 and algorithm 1, with the density term of arXiv 2307.01875.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve

from threea_spark.adapt.kernel import KernelFn, x64
from threea_spark.adapt.reference_kernel import chosen_kernel
from threea_spark.adapt.row_gradient import Chunk, gradient_query, to_chunks
from threea_spark.adapt.settings import AdaptStatus, KernelRows, KipResult, KipSettings
from threea_spark.approximate.device import computing
from threea_spark.arrays import Float64Array
from threea_spark.engine.progress import counted
from threea_spark.errors import ConfigError
from threea_spark.privacy.query import HeldRows, SumQuery

Ask = Callable[[SumQuery[list[Chunk]], HeldRows[list[Chunk]]], Float64Array]
"""Takes the query of one step and the rows; returns the noisy sums, in grid units."""

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
      settings: `diag_reg`, `architecture` and `kernel` are read.

    Returns:
      Shape (n,), as private as the targets; NaN or inf where the solve is not finite.

    Source: arXiv 2011.00050, eq. 6, one summand.
    """
    with x64(), computing():
        arrays = [jnp.asarray(part, jnp.float64) for part in (x_support, y_support, x_target, y_target)]
        return np.asarray(_row_losses(*arrays, settings.diag_reg, chosen_kernel(settings)))


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
    with x64(), computing():
        chunks = list(to_chunks(x_target, y_target, settings.chunk_rows, np.float64))
        best, adam, losses = (np.inf, x, y), _Adam(), list[float]()
        for step in counted(settings.steps + 1):
            loss, g_x, g_y = _loss_and_gradient(x, y, chunks, settings)
            value = (1.0 - settings.alpha) * loss + settings.alpha * _density(x, start)
            if not np.isfinite(value):
                break
            losses.append(float(value))
            best = min(best, (losses[-1], x, y), key=lambda found: found[0])
            if step < settings.steps:
                g_x = (1.0 - settings.alpha) * g_x + settings.alpha * _density_gradient(x, start)
                g_y = (1.0 - settings.alpha) * g_y * settings.learn_labels
                x, y = adam.step(x, y, g_x, g_y, settings)
    status = _plain_status(losses, settings.steps)
    return KipResult(best[1], best[2], status, tuple(losses) if targets_are_released else ())


def private(
    x_support: Float64Array,
    y_support: Float64Array,
    targets: HeldRows[KernelRows],
    settings: KipSettings,
    *,
    n_rows_public: float,
    ask: Ask,
) -> KipResult:
    """Follows noisy clipped gradients by Adam, which is post-processing; returns the mean of the last half's iterates.

    Args:
      x_support: Centroids to start from, shape (s, d). RELEASED.
      y_support: Their labels, shape (s, c). RELEASED.
      targets: The sample: rows (n, d) and labels (n, c), to be held as float32. PRIVATE.
      settings: Public.
      n_rows_public: Divisor of the mean: a public or noisy count, never the sample's own size.
      ask: Called once in each step, and in no other case; answers with noise.

    Returns:
      RELEASED: a function of the noisy sums and of public numbers. Its status looks at those alone.

    Guarantee:
      A row adds to each sum an integer vector of L2 norm <= settings.norm_bound, whatever it holds: its gradient is
      clipped, rounded toward zero and checked in integers; one that is not finite adds nothing. No exception depends
      on a row.
    """
    start, labels = np.asarray(x_support, np.float64), np.asarray(y_support, np.float64)
    if settings.alpha == 1.0:
        return KipResult(start, labels, AdaptStatus.UNTOUCHED, ())
    if not n_rows_public > 0.0:
        raise ConfigError(f"n_rows_public must be positive, got {n_rows_public}; bound a noisy count from below")
    x, y, adam, kept = start, labels, _Adam(), list[tuple[Float64Array, Float64Array]]()
    with x64(), computing():
        chunks = targets.seen_as(lambda rows: list(to_chunks(*rows, settings.chunk_rows, np.float32)))
        for step in counted(settings.steps):
            gradient = _noisy_gradient(step, x, y, chunks, settings, ask)
            if gradient is None:
                return KipResult(start, labels, AdaptStatus.NONFINITE, ())
            by_x, by_y = ((1.0 - settings.alpha) / n_rows_public * part for part in gradient)
            x, y = adam.step(x, y, by_x + settings.alpha * _density_gradient(x, start), by_y, settings)
            if step >= settings.steps // 2:
                kept.append((x, y))
    mean_x, mean_y = (np.mean([pair[part] for pair in kept], axis=0) for part in (0, 1))
    return KipResult(mean_x, mean_y, AdaptStatus.COMPLETED, ())


def _noisy_gradient(
    step: int,
    x: Float64Array,
    y: Float64Array,
    chunks: HeldRows[list[Chunk]],
    settings: KipSettings,
    ask: Ask,
) -> tuple[Float64Array, Float64Array] | None:
    """The noisy sum of clipped gradients by points (s, d) and labels (s, c), RELEASED; None if it is not finite."""
    n_moving = min(settings.moving_points or len(x), len(x))
    moving = (step * n_moving + np.arange(n_moving, dtype=np.int64)) % len(x)
    query = gradient_query(x, y, moving, settings, step)
    if query is None:
        return None
    noisy = settings.clip_norm / settings.norm_bound * np.asarray(ask(query, chunks), np.float64)
    if not np.isfinite(noisy).all():
        return None
    by_x, by_y = np.zeros_like(x), np.zeros_like(y)
    by_x[moving] = noisy[: n_moving * x.shape[1]].reshape(n_moving, -1)
    if settings.learn_labels:
        by_y = noisy[n_moving * x.shape[1] :].reshape(y.shape) / settings.label_scale
    return by_x, by_y


@functools.partial(jax.jit, static_argnames="kernel")
def _row_losses(
    x_support: jax.Array,
    y_support: jax.Array,
    x_target: jax.Array,
    y_target: jax.Array,
    diag_reg: float,
    kernel: KernelFn,
) -> jax.Array:
    k_ss = kernel(x_support, x_support)
    ridge = diag_reg * jnp.trace(k_ss) / len(x_support)
    solved = cho_solve(cho_factor(k_ss + ridge * jnp.eye(len(x_support), dtype=k_ss.dtype), lower=True), y_support)
    return jnp.sum(jnp.square(y_target - kernel(x_target, x_support) @ solved), axis=1)


@functools.partial(jax.jit, static_argnames="kernel")
def _chunk_loss_and_gradient(
    x: jax.Array, y: jax.Array, chunk: Chunk, diag_reg: float, kernel: KernelFn
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    x_target, y_target, is_row = chunk

    def loss(x_: jax.Array, y_: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(is_row, _row_losses(x_, y_, x_target, y_target, diag_reg, kernel), 0.0))

    return jax.value_and_grad(loss, argnums=(0, 1))(x, y)


def _loss_and_gradient(
    x: Float64Array, y: Float64Array, chunks: Sequence[Chunk], settings: KipSettings
) -> tuple[float, Float64Array, Float64Array]:
    """The mean row loss and its gradient by points (s, d) and labels (s, c); chunk by chunk, since rows only add."""
    n_rows = sum(int(chunk[2].sum()) for chunk in chunks)
    loss, by_x, by_y = 0.0, np.zeros_like(x), np.zeros_like(y)
    for chunk in chunks:
        part, (part_x, part_y) = _chunk_loss_and_gradient(
            jnp.asarray(x), jnp.asarray(y), chunk, settings.diag_reg, chosen_kernel(settings)
        )
        loss, by_x, by_y = loss + float(part), by_x + np.asarray(part_x), by_y + np.asarray(part_y)
    return loss / n_rows, by_x / n_rows, by_y / n_rows


def _density(x: Float64Array, start: Float64Array) -> float:
    return float(np.mean(np.sum((x - start) ** 2, axis=1)))


def _density_gradient(x: Float64Array, start: Float64Array) -> Float64Array:
    return 2.0 * (x - start) / len(x)


class _Adam:
    """Steps of about learning_rate in each coordinate, whatever the gradient's scale: what a noisy gradient needs.

    Source: Kingma and Ba 2014, arXiv 1412.6980, algorithm 1.
    """

    def __init__(self) -> None:
        self._first, self._second, self._steps = np.zeros(1), np.zeros(1), 0

    def step(
        self, x: Float64Array, y: Float64Array, by_x: Float64Array, by_y: Float64Array, settings: KipSettings
    ) -> tuple[Float64Array, Float64Array]:
        """Returns the next points (s, d) and labels (s, c)."""
        gradient = np.concatenate([by_x.ravel(), by_y.ravel()])
        decay, self._steps = settings.momentum, self._steps + 1
        self._first = decay * self._first + (1.0 - decay) * gradient
        self._second = _ADAM_SECOND * self._second + (1.0 - _ADAM_SECOND) * gradient**2
        first = self._first / (1.0 - decay**self._steps)
        second = self._second / (1.0 - _ADAM_SECOND**self._steps)
        step = settings.learning_rate * first / (np.sqrt(second) + _ADAM_EPS)
        return x - step[: x.size].reshape(x.shape), y - step[x.size :].reshape(y.shape)


def _plain_status(losses: Sequence[float], steps: int) -> AdaptStatus:
    if len(losses) <= steps:
        return AdaptStatus.NONFINITE
    late = min(losses[-max(steps // 10, 1) :])
    before = min(losses[: -max(steps // 10, 1)])
    return AdaptStatus.MAX_STEPS if late < before * (1.0 - _STILL_FALLING) else AdaptStatus.CONVERGED
