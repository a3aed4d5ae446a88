"""The neural tangent kernel in jax, in closed form; `reference_kernel` has the library's."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp

from threea_spark.model.ntk import Architecture

_TINY = 1e-30  # as in neural_tangents
_COINCIDE = 1e-7  # below it a root is rounding alone, and its slope is taken as 0
_ABOVE = (-8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1,
          -1.228866684490136173410e2, -6.485021904942025371773e1)  # fmt: skip
_BELOW = (1.0, 2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2,
          4.853903996359136964868e2, 1.945506571482613964425e2)  # fmt: skip

KernelFn = Callable[[jax.Array, jax.Array], jax.Array]


def x64() -> AbstractContextManager[Any]:
    """Switches float64 on for this thread and this block only, never for the user's process."""
    home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")  # there before jax 0.8
    block: AbstractContextManager[Any] = home.enable_x64(True)
    return block


@functools.cache
def kernel_fn(architecture: Architecture) -> KernelFn:
    """Returns the kernel of two sets of rows: (a, d), (b, d) -> (a, b), differentiable, also where rows coincide."""

    def kernel(x1: jax.Array, x2: jax.Array) -> jax.Array:
        return kernel_of_products(architecture, *input_products(x1, x2))

    return kernel


def input_products(x1: jax.Array, x2: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns all that the kernel reads of its inputs: x1 . x2 / d (a, b), |x1|^2 / d (a,) and |x2|^2 / d (b,)."""
    width = x1.shape[1]
    return x1 @ x2.T / width, jnp.sum(x1 * x1, axis=1) / width, jnp.sum(x2 * x2, axis=1) / width


def kernel_of_products(architecture: Architecture, q: jax.Array, p1: jax.Array, p2: jax.Array) -> jax.Array:
    """Returns the kernel of two sets of rows from their `input_products`: q (a, b), p1 (a,) and p2 (b,) -> (a, b).

    The recursion of `closed_form.ntk`, written out for jax: XLA calls the scalar arc tangent of neural_tangents once
    for each element, which takes five times as long as the vector code of `_arctan2` below.
    """
    weight, bias = architecture.weight_std**2, architecture.bias_std**2
    layer = _relu if architecture.activation == "relu" else _erf
    q, p1, p2 = q * weight + bias, p1 * weight + bias, p2 * weight + bias
    tangent = q
    for _ in range(architecture.depth):
        q, slope, p1, p2 = layer(q, p1, p2)
        q, p1, p2 = q * weight + bias, p1 * weight + bias, p2 * weight + bias
        tangent = tangent * (slope * weight) + q
    return tangent


def slopes(architecture: Architecture, q: jax.Array, p1: jax.Array, p2: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the derivatives of `kernel_of_products` by q and by p1, elementwise, each of shape (a, b).

    With them d k(x1, x2) / d x1 = (by_q * x2 + 2 * by_p1 * x1) / d, without a pass through the network for each row.
    """
    _, by_q = jax.jvp(lambda q_: kernel_of_products(architecture, q_, p1, p2), (q,), (jnp.ones_like(q),))
    _, by_p1 = jax.jvp(lambda p_: kernel_of_products(architecture, q, p_, p2), (p1,), (jnp.ones_like(p1),))
    return by_q, by_p1


def diagonal_slope(architecture: Architecture, p: jax.Array) -> jax.Array:
    """Returns the derivative of k(x, x) by |x|^2 / d at each p, shape (n,); `by_q` alone is infinite there for ReLU."""

    def at(value: jax.Array) -> jax.Array:
        return kernel_of_products(architecture, value[None, None], value[None], value[None])[0, 0]

    slope: jax.Array = jax.vmap(jax.grad(at))(p)
    return slope


def _relu(q: jax.Array, p1: jax.Array, p2: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """As `closed_form._relu`."""
    root = _sqrt(p1[:, None] * p2 - q * q)
    slope = 0.5 - _arctan2(root, q) / (2.0 * math.pi)
    return root / (2.0 * math.pi) + slope * q, slope, p1 / 2.0, p2 / 2.0


def _erf(q: jax.Array, p1: jax.Array, p2: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """As `closed_form._erf`."""
    root = _sqrt((1.0 + 2.0 * p1)[:, None] * (1.0 + 2.0 * p2) - 4.0 * q * q)
    on_diagonal = [2.0 / math.pi * _arctan2(2.0 * p, _sqrt(1.0 + 4.0 * p)) for p in (p1, p2)]
    return 2.0 / math.pi * _arctan2(2.0 * q, root), 4.0 / math.pi / root, on_diagonal[0], on_diagonal[1]


@jax.custom_jvp
def _sqrt(x: jax.Array) -> jax.Array:
    """The root, 0 below 0, with slope 0 where rows coincide; finite, though XLA may round x twice in two ways."""
    return jnp.sqrt(jnp.maximum(x, 0.0))


@_sqrt.defjvp
def _sqrt_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    root = _sqrt(primals[0])
    return root, jnp.where(root > _COINCIDE, tangents[0] / (2.0 * jnp.maximum(root, _COINCIDE)), 0.0)


@jax.custom_jvp
def _arctan2(y: jax.Array, x: jax.Array) -> jax.Array:
    """The angle of (x, y) to one or two units in the last place, from operations that XLA turns into vector code.

    Source: Cephes `atan.c`: a rational function of the tangent below 0.66, pi / 4 off from there to 1.
    """
    low, high = jnp.minimum(jnp.abs(x), jnp.abs(y)), jnp.maximum(jnp.abs(x), jnp.abs(y))
    far = low > 0.66 * high
    tangent = jnp.where(far, low - high, low) / jnp.where(far, low + high, jnp.where(high == 0.0, 1.0, high))
    squared = tangent * tangent
    above, below = (functools.reduce(lambda sum_, k: sum_ * squared + k, poly) for poly in (_ABOVE, _BELOW))
    angle = tangent + tangent * (squared * above / below) + jnp.where(far, math.pi / 4.0, 0.0)
    angle = jnp.where(jnp.abs(y) > jnp.abs(x), math.pi / 2.0 - angle, angle)
    angle = jnp.where(x < 0.0, math.pi - angle, angle)
    return jnp.where(y < 0.0, -angle, angle)


@_arctan2.defjvp
def _arctan2_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (y, x), (y_dot, x_dot) = primals, tangents
    squared = jnp.maximum(x * x + y * y, _TINY)
    return _arctan2(y, x), y_dot * (x / squared) - x_dot * (y / squared)
