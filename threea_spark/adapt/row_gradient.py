"""The sum of clipped, quantised gradients of kernel regression's row losses: the one quantity private KIP asks for.

One row's loss is ||k M^-1 y_s - y_t||^2, k its kernel with the points, M = K_ss + diag_reg tr(K_ss) / s I. With
a = M^-1 k, residual r, dual = M^-1 y_s and v = dual r its differential is 2 v . dk + 2 (a . dy_s) r - 2 a . dM v.
dM has rank one in (a, v), so nothing of size s x s is made for a row, and the solve is shared by all rows of a step.
Source: chain rule on arXiv 2011.00050, eq. 6; `tests/jax/test_inducing.py` holds it against automatic differentiation.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax  # noqa: TID253  # adapt/ is imported on the driver only
import jax.numpy as jnp  # noqa: TID253
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve  # noqa: TID253
from numpy.typing import DTypeLike

from threea_spark.adapt.closed_form import Architecture
from threea_spark.adapt.kernel import diagonal_slope, input_products, kernel_and_slopes
from threea_spark.adapt.settings import Float64Array, Int64Array, KipSettings

_SHRINK = 1.0 - 2.0**-20  # room for float32 rounding of the scaled gradient; the bound itself is checked in integers
_TILE = 64  # chunks are whole multiples of it, so that every row meets the same vector code

Chunk = tuple[jax.Array, jax.Array, jax.Array]
"""Rows (t, d), their labels (t, c), and which of them are rows and not padding (t,)."""


class _Shared(NamedTuple):
    """What all rows of one step share, made from public numbers only; the w points of `moving` are those that move."""

    x_support: jax.Array  # (s, d)
    moving: jax.Array  # (w,)
    inverse: jax.Array  # (s, s): M^-1
    dual: jax.Array  # (s, c)
    pulls: jax.Array  # (s, w d) float32: by_q[i, j] x_j, the pull of point j on point i; 0 for i = j
    dual_pulls: jax.Array  # (c, w d) float32: the pulls, summed over j with the weights dual[j]
    by_norm: jax.Array  # (s, w): derivative of k(x_j, x_i) by x_i's squared norm over d; 0 for i = j
    diagonal: jax.Array  # (w,): derivative of k(x_i, x_i) by x_i's squared norm over d


def clipped_sum(
    x_support: Float64Array,
    y_support: Float64Array,
    moving: Int64Array,
    chunks: Sequence[Chunk],
    settings: KipSettings,
) -> Int64Array | None:
    """Sums the rows' clipped gradients by the moving points and, where labels are learned, by all scaled labels.

    Args:
      x_support: Shape (s, d). RELEASED.
      y_support: Shape (s, c). RELEASED.
      moving: Which points, shape (w,).
      chunks: Rows and labels. PRIVATE.
      settings: Public.

    Returns:
      Exact sums in grid units, shape (w d [+ s c],). PRIVATE: no noise has been added. None if the solve, which reads
      no row, is not finite.

    Guarantee:
      Each row adds an integer vector of L2 norm <= norm_bound. It is a function of the row and of public numbers:
      rows share no reduction but the integer sum, and all chunks run the same code, so order and chunking leave
      no trace in it.
    """
    network, diag_reg, clip_norm = settings.architecture, settings.diag_reg, settings.clip_norm
    shared = _shared(jnp.asarray(x_support), jnp.asarray(y_support), jnp.asarray(moving), diag_reg, network)
    if not all(bool(jnp.isfinite(part).all()) for part in shared):
        return None
    n_labels = y_support.size if settings.learn_labels else 0
    label_scale = settings.label_scale if settings.learn_labels else None
    total = jnp.zeros(moving.size * x_support.shape[1] + n_labels, jnp.int64)
    for x_target, y_target, is_row in chunks:
        gradients = _gradients(shared, x_target, y_target, diag_reg, network)
        total = _add_clipped(total, gradients, is_row, clip_norm, settings.norm_bound, label_scale)
    return np.asarray(total)


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
    n_points, width = x.shape
    q, p1, p2 = input_products(x, x)
    k_ss, by_q, by_p2 = kernel_and_slopes(network, q, p1, p2)
    ridge = diag_reg * jnp.trace(k_ss) / n_points
    identity = jnp.eye(n_points, dtype=x.dtype)
    inverse = cho_solve(cho_factor(k_ss + ridge * identity, lower=True), identity)
    dual = inverse @ y
    on_others = 1.0 - identity
    pulls = (by_q * on_others)[:, moving, None] * x[:, None, :]
    dual_pulls = jnp.einsum("jc,jid->cid", dual, pulls)
    return _Shared(
        x_support=x,
        moving=moving,
        inverse=inverse,
        dual=dual,
        pulls=pulls.reshape(n_points, -1).astype(jnp.float32),
        dual_pulls=dual_pulls.reshape(y.shape[1], moving.size * width).astype(jnp.float32),
        by_norm=(by_p2 * on_others)[:, moving],
        diagonal=diagonal_slope(network, p1)[moving],
    )


@functools.partial(jax.jit, static_argnames="network")
def _gradients(
    shared: _Shared, x: jax.Array, y: jax.Array, diag_reg: float, network: Architecture
) -> tuple[jax.Array, jax.Array]:
    """Differentiates each row's loss by the moving points (t, w d) and by the labels (t, s c), both float32. PRIVATE.

    By x_i, times d / 2, with K_ss split off its diagonal (j != i) and on it:
    v_i by_q_ti x_t - v_i sum_j a_j by_q_ij x_j - a_i sum_j v_j by_q_ij x_j + x_i times a number of the row.
    """
    points, at, width = shared.x_support, shared.moving, x.shape[1]
    k_ts, by_q, by_p2 = kernel_and_slopes(network, *input_products(x.astype(points.dtype), points))
    a = k_ts @ shared.inverse
    residual = k_ts @ shared.dual - y
    v = residual @ shared.dual.T
    a_i, v_i = a[:, at], v[:, at]
    on_diagonal = a_i * v_i + diag_reg / len(points) * jnp.sum(a * v, axis=1, keepdims=True)
    along = v_i * by_p2[:, at] - a_i * (v @ shared.by_norm) - v_i * (a @ shared.by_norm) - on_diagonal * shared.diagonal

    a_i, v_i, pull, along, r = (_f32(part) for part in (a_i, v_i, v_i * by_q[:, at], 2.0 * along, residual))
    shape = (len(x), at.size, width)
    a_pulls = _matmul(_f32(a), shared.pulls).reshape(shape)
    v_pulls = _matmul(r, shared.dual_pulls).reshape(shape)
    half = pull[:, :, None] * x[:, None, :] - v_i[:, :, None] * a_pulls - a_i[:, :, None] * v_pulls
    half = half + along[:, :, None] * _f32(points[at])
    by_labels = 2.0 * _f32(a)[:, :, None] * r[:, None, :]
    return (half * np.float32(2.0 / width)).reshape(len(x), -1), by_labels.reshape(len(x), -1)


@jax.jit
def _add_clipped(
    total: jax.Array,
    gradients: tuple[jax.Array, jax.Array],
    is_row: jax.Array,
    clip_norm: float,
    norm_bound: int,
    label_scale: float | None,
) -> jax.Array:
    """Adds a chunk's clipped gradients; compiled apart from them, or each pass computes them anew."""
    by_points, by_labels = gradients
    parts = [by_points] if label_scale is None else [by_points, by_labels * jnp.float32(label_scale)]
    quantised = _quantised(parts, is_row, clip_norm, norm_bound)
    return total + jnp.concatenate([part.sum(axis=0, dtype=jnp.int64) for part in quantised])


def _quantised(parts: list[jax.Array], is_row: jax.Array, clip_norm: float, norm_bound: int) -> list[jax.Array]:
    """Clips each row, over all its parts, to integers of L2 norm <= norm_bound, checked in integers; int32 (t, ...).

    The rule of `privacy.mechanism.clip_rows`, from floats: rounded toward zero, and a row still too long adds nothing.
    """
    squared = sum(jnp.sum(jnp.square(part.astype(jnp.float64)), axis=1) for part in parts)
    norm = jnp.sqrt(jnp.asarray(squared))
    fits = is_row & jnp.isfinite(norm)
    scale = _SHRINK * norm_bound / jnp.maximum(jnp.where(fits, norm, 1.0), clip_norm)
    scaled = [jnp.where(fits[:, None], part, 0.0) * _f32(scale)[:, None] for part in parts]
    whole = [jnp.trunc(jnp.clip(part, -norm_bound, norm_bound)).astype(jnp.int32) for part in scaled]
    within = sum(jnp.sum(jnp.square(part.astype(jnp.int64)), axis=1) for part in whole) <= norm_bound**2
    return [jnp.where(jnp.asarray(within)[:, None], part, 0) for part in whole]


def _f32(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32)


def _matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)  # no TF32: a GPU agrees with a CPU
