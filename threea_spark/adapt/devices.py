"""The devices that adapt will run on, and a check of the kernel itself. Reads no data."""

from __future__ import annotations


def found_devices() -> list[str]:
    """Names what jax will compute on, as platform and kind; the first is used."""
    import jax

    return [f"{device.platform} ({device.device_kind})" for device in jax.devices()]


def try_kernel() -> float:
    """Computes one entry of the kernel, k(x, x) of the row (1,), on the first device."""
    import jax.numpy as jnp

    from threea_spark.adapt.kernel import kernel_fn
    from threea_spark.model.ntk import Architecture

    row = jnp.ones((1, 1))
    return float(kernel_fn(Architecture())(row, row)[0, 0])
