"""The neural tangent kernel in jax: the only file that names neural_tangents.

Its last release (0.6.5) does not import as a package on current jax, while `neural_tangents.stax` alone does. So the
package's `__init__` is passed over: a bare module with its search path is registered, and stax is imported below it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp

from threea_spark.adapt.closed_form import Architecture
from threea_spark.errors import EnvironmentNotReadyError

_PACKAGE = "neural_tangents"
_INSTALL = "pip install --no-deps neural-tangents==0.6.5"

KernelFn = Callable[[jax.Array, jax.Array], jax.Array]


def x64() -> AbstractContextManager[Any]:
    """Switches float64 on for this thread and this block only, never for the user's process."""
    home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")  # there before jax 0.8
    block: AbstractContextManager[Any] = home.enable_x64(True)
    return block


@functools.cache
def kernel_fn(architecture: Architecture) -> KernelFn:
    """Gives the kernel of two sets of rows: (a, d), (b, d) -> (a, b), differentiable, also where rows coincide.

    Raises:
      EnvironmentNotReadyError: if neural-tangents is not installed.
    """
    network = _network(architecture)

    def kernel(x1: jax.Array, x2: jax.Array) -> jax.Array:
        return jnp.asarray(network(x1, x2, "ntk"))

    return kernel


def input_products(x1: jax.Array, x2: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Gives all the kernel reads of its inputs: x1 . x2 / d (a, b), |x1|^2 / d (a,) and |x2|^2 / d (b,)."""
    width = x1.shape[1]
    return x1 @ x2.T / width, jnp.sum(x1 * x1, axis=1) / width, jnp.sum(x2 * x2, axis=1) / width


def kernel_and_slopes(
    architecture: Architecture, q: jax.Array, p1: jax.Array, p2: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Gives the kernel and its derivatives by q and by p2, elementwise, each of shape (a, b).

    Args:
      architecture: Of the network.
      q: Inner products over the width, shape (a, b), of `input_products`.
      p1: Squared norms over the width, shape (a,).
      p2: Squared norms over the width, shape (b,).

    With them d k(x1, x2) / d x2 = (by_q * x1 + 2 * by_p2 * x2) / d, without a pass through the network for each row.
    """
    kernel = _of_products(architecture)
    value, by_q = jax.jvp(lambda q_: kernel(q_, p1, p2), (q,), (jnp.ones_like(q),))
    _, by_p2 = jax.jvp(lambda p_: kernel(q, p1, p_), (p2,), (jnp.ones_like(p2),))
    return value, by_q, by_p2


def diagonal_slope(architecture: Architecture, p: jax.Array) -> jax.Array:
    """Gives the derivative of k(x, x) by |x|^2 / d at each p, shape (n,); `by_q` alone is infinite there for ReLU."""
    kernel = _of_products(architecture)

    def at(value: jax.Array) -> jax.Array:
        return kernel(value[None, None], value[None], value[None])[0, 0]

    slope: jax.Array = jax.vmap(jax.grad(at))(p)
    return slope


def _of_products(architecture: Architecture) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
    """The kernel as a function of `input_products`: the network's recursion, entered behind its first product."""
    network, inputs = _network(architecture), _stax().Identity()[2]

    def kernel(q: jax.Array, p1: jax.Array, p2: jax.Array) -> jax.Array:
        shaped = inputs(jnp.zeros((q.shape[0], 1), q.dtype), jnp.zeros((q.shape[1], 1), q.dtype))
        return jnp.asarray(network(shaped.replace(nngp=q, cov1=p1, cov2=p2)).ntk)

    return kernel


@functools.cache
def _network(architecture: Architecture) -> Callable[..., Any]:
    stax = _stax()
    activation = {"relu": stax.Relu, "erf": stax.Erf}[architecture.activation]
    dense = functools.partial(stax.Dense, 1, W_std=architecture.weight_std, b_std=architecture.bias_std)
    hidden = [layer for _ in range(architecture.depth) for layer in (dense(), activation())]
    network: Callable[..., Any] = stax.serial(*hidden, dense())[2]
    return network


@functools.cache
def _stax() -> types.ModuleType:
    """Imports `neural_tangents.stax` without the package's `__init__`, and leaves an imported package as it is."""
    if _PACKAGE in sys.modules:
        return importlib.import_module(f"{_PACKAGE}.stax")
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise EnvironmentNotReadyError(f"adapting with a kernel needs neural-tangents: {_INSTALL}")
    if not hasattr(jax.random, "KeyArray"):
        jax.random.KeyArray = jax.Array  # type: ignore[attr-defined]  # a name stax uses in annotations only
    bare = types.ModuleType(_PACKAGE)
    bare.__path__ = list(spec.submodule_search_locations)
    lent = [] if importlib.util.find_spec("frozendict") else ["frozendict"]
    sys.modules[_PACKAGE] = bare
    try:
        for name in lent:  # its one other dependency; stax only wants a mapping by that name
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].frozendict = dict  # type: ignore[attr-defined]
        return importlib.import_module(f"{_PACKAGE}.stax")
    except ImportError as err:
        for name in [name for name in sys.modules if name.split(".")[0] == _PACKAGE]:
            del sys.modules[name]
        raise EnvironmentNotReadyError(f"neural-tangents is installed but does not import: {_INSTALL}") from err
    finally:
        for name in lent:
            del sys.modules[name]
