"""The kernel of the neural-tangents library: the reference of `kernel`, and a choice. The only file that names it.

Its last release (0.6.5) does not import as a package on current jax, while `neural_tangents.stax` alone does. So the
package's `__init__` is passed over: a bare module with its search path is registered, and stax is imported below it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import sys
import types
from typing import TYPE_CHECKING, Any

from threea_spark.adapt.settings import KipSettings
from threea_spark.config.adapt import AdaptConfig
from threea_spark.errors import EnvironmentNotReadyError
from threea_spark.model.ntk import Architecture

if TYPE_CHECKING:
    import jax

    from threea_spark.adapt.kernel import KernelFn

log = logging.getLogger("threea_spark")

INSTALL = "pip install --no-deps neural-tangents==0.6.5"
_PACKAGE = "neural_tangents"


@functools.cache
def reference_kernel_fn(architecture: Architecture) -> KernelFn:
    """Returns what `kernel.kernel_fn` does, as computed by neural_tangents.

    Raises:
      EnvironmentNotReadyError: if neural-tangents is not installed.
    """
    import jax.numpy as jnp

    stax = import_stax()
    activation = {"relu": stax.Relu, "erf": stax.Erf}[architecture.activation]
    dense = functools.partial(stax.Dense, 1, W_std=architecture.weight_std, b_std=architecture.bias_std)
    hidden = [layer for _ in range(architecture.depth) for layer in (dense(), activation())]
    network: Any = stax.serial(*hidden, dense())[2]

    def kernel(x1: jax.Array, x2: jax.Array) -> jax.Array:
        return jnp.asarray(network(x1, x2, "ntk"))

    return kernel


def chosen_kernel(settings: KipSettings) -> KernelFn:
    """The kernel that steps without noise differentiate: the closed form, or the library's if that is asked for."""
    from threea_spark.adapt.kernel import kernel_fn

    return (kernel_fn if settings.kernel == "closed_form" else reference_kernel_fn)(settings.architecture)


def check_kernel(config: AdaptConfig) -> None:
    """Imports the library where a release will need it, before a row is read.

    Raises:
      EnvironmentNotReadyError: if `kernel: neural_tangents` is asked for and it does not import.
    """
    if config.kernel == "neural_tangents":
        import_stax()


@functools.cache
def import_stax() -> types.ModuleType:
    """Imports `neural_tangents.stax` without the package's `__init__`, and leaves an imported package as it is.

    Raises:
      EnvironmentNotReadyError: if neural-tangents is not installed, or does not import.
    """
    import jax

    if _PACKAGE in sys.modules:
        return importlib.import_module(f"{_PACKAGE}.stax")
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise EnvironmentNotReadyError(
            f"adapt.kernel: neural_tangents needs the library: {INSTALL}, or use closed_form, the same kernel"
        )
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
    except ImportError:
        log.debug("neural-tangents does not import", exc_info=True)
        for name in [name for name in sys.modules if name.split(".")[0] == _PACKAGE]:
            del sys.modules[name]
        raise EnvironmentNotReadyError(
            f"adapt.kernel: neural_tangents is installed but does not import here: {INSTALL}, or use closed_form"
        ) from None
    finally:
        for name in lent:
            del sys.modules[name]
