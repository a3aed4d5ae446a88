"""The sum of clipped, quantised gradients of kernel regression's row losses: the one quantity private KIP asks for.

One row's loss is ||k M^-1 y_s - y_t||^2, k its kernel with the points, M = K_ss + diag_reg tr(K_ss) / s I. With
a = M^-1 k, residual r, dual = M^-1 y_s and v = dual r its differential is 2 v . dk + 2 (a . dy_s) r - 2 a . dM v.
dM has rank one in (a, v), so nothing of size s x s is made for a row, and the solve is shared by all rows of a step.
Source: chain rule on arXiv 2011.00050, eq. 6; `tests/jax/test_inducing.py` holds it against automatic differentiation.

Rows are the last axis of all that is computed, so each is a lane of the same vector code.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import jax  # noqa: TID253  # adapt/ is imported on the driver only
import jax.numpy as jnp  # noqa: TID253
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve  # noqa: TID253
from numpy.typing import DTypeLike

from threea_spark.adapt.kernel import diagonal_slope, input_products, kernel_of_products, slopes, x64
from threea_spark.adapt.settings import KipSettings
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.model.ntk import Architecture
from threea_spark.privacy.query import SumQuery
from threea_spark.privacy.terms import Stage

_SHRINK = 1.0 - 2.0**-20  # room for float32 rounding of the scaled gradient; the bound itself is checked in integers
_TILE = 128  # rows whose gradients stay in a CPU's cache; chunks are whole multiples, so all rows meet the same code
_GROUP = 5  # points whose gradients a CPU computes at a time

Chunk = tuple[jax.Array, jax.Array, jax.Array]
"""Rows (t, d), their labels (t, c), and which of them are rows and not padding (t,)."""


class _Shared(NamedTuple):
    """What all rows of one step share, made from public numbers only; the w points of `moving` are those that move."""

    x_support: jax.Array  # (s, d)
    moving: jax.Array  # (w,)
    inverse: jax.Array  # (s, s): M^-1
    dual: jax.Array  # (s, c)
    x_moving: jax.Array  # (w, d) float32
    pulls: jax.Array  # (w, d, s) float32: by_q[i, j] x_j, the pull of point j on point i; 0 for i = j
    dual_pulls: jax.Array  # (w, d, c) float32: the pulls, summed over j with the weights dual[j]
    by_norm: jax.Array  # (w, s): derivative of k(x_i, x_j) by x_i's squared norm over d; 0 for i = j
    diagonal: jax.Array  # (w,): derivative of k(x_i, x_i) by x_i's squared norm over d


class _Coefficients(NamedTuple):
    """What t rows' gradients are put together from, float32. PRIVATE."""

    x: jax.Array  # (d, t)
    a: jax.Array  # (s, t)
    residual: jax.Array  # (c, t)
    of_row: jax.Array  # (w, t)
    of_pulls: jax.Array  # (w, t)
    of_dual_pulls: jax.Array  # (w, t)
    of_point: jax.Array  # (w, t)


def gradient_query(
    x_support: Float64Array, y_support: Float64Array, moving: Int64Array, settings: KipSettings, step: int
) -> SumQuery[list[Chunk]] | None:
    """The sum of the rows' clipped gradients by the moving points and, where labels are learned, by all scaled labels.

    Args:
      x_support: Shape (s, d). RELEASED.
      y_support: Shape (s, c). RELEASED.
      moving: Which points, shape (w,).
      settings: Public.
      step: Names the query.

    Returns:
      Of length w d [+ s c]; None if the solve, which reads no row, is not finite.

    Guarantee:
      Each row adds an integer vector of L2 norm <= norm_bound. It is a function of the row and of public numbers:
      rows share no reduction but the integer sum, and all chunks run the same code, so order, chunking and threads
      leave no trace in it.
    """
    network, diag_reg = settings.architecture, settings.diag_reg
    shared = _shared(jnp.asarray(x_support), jnp.asarray(y_support), jnp.asarray(moving), diag_reg, network)
    if not all(bool(jnp.isfinite(part).all()) for part in shared):
        return None
    own = replace(settings, moving_points=len(moving))
    bound = own.bound(len(x_support), x_support.shape[1], y_support.shape[1])
    return SumQuery(
        stage=Stage.ADAPT,
        name=f"points-{step}",
        bound=bound,
        size=bound.moved,
        contribution=lambda chunks: _clipped_sum(shared, chunks, bound.moved, settings),
    )


def _clipped_sum(shared: _Shared, chunks: Sequence[Chunk], size: int, settings: KipSettings) -> Int64Array:
    """Exact sums in grid units, shape (size,). PRIVATE: no noise has been added."""
    network, diag_reg, limits = settings.architecture, settings.diag_reg, (settings.clip_norm, settings.norm_bound)
    label_scale = settings.label_scale if settings.learn_labels else None
    (device,) = shared.dual.devices()
    on_cpu = device.platform == "cpu"  # a GPU has cores for a whole chunk, and no use for threads

    def sum_of(some: Sequence[Chunk]) -> Int64Array:
        with x64(), jax.default_device(device):  # both hold for one thread
            total = jnp.zeros(size, jnp.int64)
            for chunk in some:
                total = _add_clipped(total, shared, chunk, diag_reg, *limits, label_scale, network, on_cpu)
            return np.asarray(total)

    total = sum_of(chunks[:1])  # compiles, which threads would all do
    n_threads = (os.cpu_count() or 1) if on_cpu else 1
    with ThreadPoolExecutor(n_threads) as pool:
        return sum(pool.map(sum_of, [chunks[1 + at :: n_threads] for at in range(n_threads)]), start=total)


def to_chunks(x: Float64Array, y: Float64Array, chunk_rows: int, dtype: DTypeLike) -> Iterator[Chunk]:
    """Puts rows (n, d) and labels (n, c) on the device in chunks of one shape, the last one padded. PRIVATE."""
    size = -(-chunk_rows // _TILE) * _TILE
    for at in range(0, len(x), size):
        n_rows = min(size, len(x) - at)
        pad = ((0, size - n_rows), (0, 0))
        with np.errstate(over="ignore"):  # beyond float32 a value becomes inf, and its row adds nothing
            rows, labels = (np.pad(np.asarray(part[at : at + size], dtype), pad) for part in (x, y))
        yield jnp.asarray(rows), jnp.asarray(labels), jnp.arange(size) < n_rows


@functools.partial(jax.jit, static_argnames="network")
def _shared(x: jax.Array, y: jax.Array, moving: jax.Array, diag_reg: float, network: Architecture) -> _Shared:
    q, p, _ = input_products(x, x)
    k_ss = kernel_of_products(network, q, p, p)
    ridge = diag_reg * jnp.trace(k_ss) / len(x)
    identity = jnp.eye(len(x), dtype=x.dtype)
    inverse = cho_solve(cho_factor(k_ss + ridge * identity, lower=True), identity)
    dual = inverse @ y
    own = identity[moving] > 0.0  # left out, not weighed by zero: the slope there may be infinite
    by_q, by_norm = (jnp.where(own, 0.0, slope) for slope in slopes(network, q[moving], p[moving], p))
    pulls = by_q[:, None, :] * x.T
    return _Shared(
        x_support=x,
        moving=moving,
        inverse=inverse,
        dual=dual,
        x_moving=_f32(x[moving]),
        pulls=_f32(pulls),
        dual_pulls=_f32(pulls @ dual),
        by_norm=by_norm,
        diagonal=diagonal_slope(network, p)[moving],
    )


@functools.partial(jax.jit, static_argnames=("network", "in_tiles"))
def _add_clipped(
    total: jax.Array,
    shared: _Shared,
    chunk: Chunk,
    diag_reg: float,
    clip_norm: float,
    norm_bound: int,
    label_scale: float | None,
    network: Architecture,
    in_tiles: bool,
) -> jax.Array:
    """Adds a chunk's clipped gradients, tile by tile. PRIVATE."""
    tile = _TILE if in_tiles else len(chunk[0])
    group = max(size for size in range(1, _GROUP + 1) if len(shared.moving) % size == 0)

    def add(total: jax.Array, rows: Chunk) -> tuple[jax.Array, None]:
        coefficients = _coefficients(shared, rows[0], rows[1], diag_reg, network)
        parts = [_by_points(shared, coefficients, group if in_tiles else len(shared.moving))]
        if label_scale is not None:
            parts.append(2.0 * jnp.float32(label_scale) * coefficients.a[:, None] * coefficients.residual)
        quantised = _quantised(parts, rows[2], clip_norm, norm_bound)
        return total + jnp.concatenate([part.sum(axis=2, dtype=jnp.int64).ravel() for part in quantised]), None

    tiles = jax.tree.map(lambda part: part.reshape(-1, tile, *part.shape[1:]), chunk)
    return jax.lax.scan(add, total, tiles)[0]


def _coefficients(shared: _Shared, x: jax.Array, y: jax.Array, diag_reg: float, network: Architecture) -> _Coefficients:
    """Solves for rows x (t, d) with labels y (t, c) in float64: all of the gradient but sums over points by inputs."""
    points, at, dual = shared.x_support, shared.moving, shared.dual
    q, p1, p2 = input_products(points, x.astype(points.dtype))
    k = kernel_of_products(network, q, p1, p2)
    by_q, by_norm = slopes(network, q[at], p1[at], p2)
    a = shared.inverse @ k
    residual = dual.T @ k - y.T
    a_i, v_i = a[at], dual[at] @ residual
    a_v = jnp.sum((dual.T @ a) * residual, axis=0)  # a . v
    along = v_i * (by_norm - shared.by_norm @ a) - a_i * ((shared.by_norm @ dual) @ residual)
    along = along - (a_i * v_i + diag_reg / len(points) * a_v) * shared.diagonal[:, None]
    scale = 2.0 / x.shape[1]
    of_row, of_pulls, of_dual_pulls, of_point = (_f32(scale * part) for part in (v_i * by_q, -v_i, -a_i, 2.0 * along))
    return _Coefficients(_f32(x.T), _f32(a), _f32(residual), of_row, of_pulls, of_dual_pulls, of_point)


def _by_points(shared: _Shared, coefficients: _Coefficients, group: int) -> jax.Array:
    """Differentiates each row's loss by the moving points, (w, d, t) float32, `group` points at a time. PRIVATE.

    By x_i, times d / 2, with K_ss split off its diagonal (j != i) and on it:
    v_i by_q_it x_t - v_i sum_j a_j by_q_ij x_j - a_i sum_j v_j by_q_ij x_j + x_i times a number of the row.

    The loop also keeps XLA from computing the coefficients anew for each input, and the gradients for each pass.
    """
    x, a, residual, *of_points = coefficients

    def one_group(_: None, parts: tuple[jax.Array, ...]) -> tuple[None, jax.Array]:
        pulls, dual_pulls, x_moving, of_row, of_pulls, of_dual_pulls, of_point = parts
        by_a = _matmul(pulls.reshape(-1, len(a)), a).reshape(*pulls.shape[:2], -1)
        by_v = sum(dual_pulls[:, :, at, None] * residual[at] for at in range(len(residual)))
        gradient = of_row[:, None] * x + of_pulls[:, None] * by_a + of_dual_pulls[:, None] * by_v
        return None, gradient + of_point[:, None] * x_moving[:, :, None]

    parts = (shared.pulls, shared.dual_pulls, shared.x_moving, *of_points)
    groups = tuple(part.reshape(-1, group, *part.shape[1:]) for part in parts)
    return jax.lax.scan(one_group, None, groups)[1].reshape(*shared.x_moving.shape, -1)


def _quantised(parts: list[jax.Array], is_row: jax.Array, clip_norm: float, norm_bound: int) -> list[jax.Array]:
    """Clips each row, over all its parts, to integers of L2 norm <= norm_bound; int32 (..., t) like the parts.

    The rule of `privacy.mechanism.clip_rows`, from floats: rounded toward zero, and a row still too long adds nothing.
    That check is exact, although float64 makes it, faster than int64: integers up to 2^24 have exact squares, sums of
    them are exact below 2^53, and a sum that has come so far stays above norm_bound^2 <= 2^48.
    """
    squared = sum(jnp.sum(jnp.square(part.astype(jnp.float64)), axis=(0, 1)) for part in parts)
    norm = jnp.sqrt(jnp.asarray(squared))
    fits = is_row & jnp.isfinite(norm)
    scale = _f32(_SHRINK * norm_bound / jnp.maximum(jnp.where(fits, norm, 1.0), clip_norm))
    whole = [jnp.trunc(jnp.clip(jnp.where(fits, part, 0.0) * scale, -norm_bound, norm_bound)) for part in parts]
    within = sum(jnp.sum(jnp.square(part.astype(jnp.float64)), axis=(0, 1)) for part in whole) <= norm_bound**2
    return [jnp.where(jnp.asarray(within), part, 0.0).astype(jnp.int32) for part in whole]


def _f32(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32)


def _matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)  # no TF32: a GPU agrees with a CPU
