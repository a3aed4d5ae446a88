"""The device that the fits will run on, and a check of the kernel itself. Reads no data."""

from __future__ import annotations

from threea_spark.approximate.device import choose, computing


def chosen_device() -> tuple[str, str]:
    """Names what jax will compute on, as platform and kind, and says why no GPU is used; empty where one is."""
    choice = choose()
    return choice.name, choice.why_no_gpu


def try_kernel() -> float:
    """Computes one entry of the kernel, k(x, x) of the row (1,), on the device that is chosen."""
    import jax.numpy as jnp

    from threea_spark.adapt.kernel import kernel_fn
    from threea_spark.model.ntk import Architecture

    with computing():
        row = jnp.ones((1, 1))
        return float(kernel_fn(Architecture())(row, row)[0, 0])
