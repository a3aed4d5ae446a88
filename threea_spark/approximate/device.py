"""The device that jax computes on, on the driver: a GPU where one works and has room, else the CPU. Reads no data.

A GPU's memory is taken as it is needed (`XLA_PYTHON_CLIENT_PREALLOCATE=false`), not three quarters of the card at once
as is jax's way, unless the user has chosen a way. Where no GPU can be used although jax is set up for one, one warning
says why.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax

log = logging.getLogger("threea_spark")

ROOM_BYTES = 2 << 30
"""Memory that a GPU must have free, or it is left alone: more than the widest fits take (`benchmarks/gpu.py`)."""
_PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"
_CHOICES_OF_MEMORY = (_PREALLOCATE, "XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_ALLOCATOR")
_JAX_LOG = "jax._src.xla_bridge"
_used: ContextVar[set[str] | None] = ContextVar("used", default=None)


@dataclass(frozen=True)
class Choice:
    """What jax computes on.

    Attributes:
      device: The device.
      why_no_gpu: Why a GPU that jax is set up for is not used; empty where one is, or where there is none.
    """

    device: jax.Device
    why_no_gpu: str = ""

    @property
    def name(self) -> str:
        """Its platform, and the kind of a GPU."""
        platform, kind = self.device.platform, self.device.device_kind
        return platform if kind == platform else f"{platform} ({kind})"


def choose() -> Choice:
    """Chooses the first GPU that works and has room, else the CPU; whoever set jax's default device has chosen."""
    import jax

    config: Any = jax.config  # whose fields jax does not type
    if (given := config.jax_default_device) is not None:
        return Choice(jax.local_devices(backend=given)[0] if isinstance(given, str) else given)
    first, error = _first_device()
    if first is not None and first.platform == "gpu":
        error = _trial(first, ROOM_BYTES)
        if not error:
            return Choice(first)
    return Choice(jax.local_devices(backend="cpu")[0], error)


@contextmanager
def computing() -> Iterator[jax.Device]:
    """Has jax compute on the chosen device, in this thread and block only, and notes that it did."""
    import jax

    chosen = choose()
    if chosen.why_no_gpu:
        _warn(chosen.why_no_gpu)
    if (used := _used.get()) is not None:
        used.add(chosen.name)
    with jax.default_device(chosen.device):
        yield chosen.device


@contextmanager
def noting_devices() -> Iterator[set[str]]:
    """Collects the names of the devices that are computed on meanwhile."""
    used = set[str]()
    before = _used.set(used)
    try:
        yield used
    finally:
        _used.reset(before)


@functools.cache
def _warn(reason: str) -> None:
    log.warning("no GPU is used: %s; computing on the CPU", reason)


@functools.cache
def _first_device() -> tuple[jax.Device | None, str]:
    """The device that jax would take; None where what it was told to take is not there. And what went wrong."""
    import jax

    config: Any = jax.config
    with _memory_as_needed(), _heard_quietly() as heard:
        try:
            first: jax.Device | None = jax.local_devices()[0]
        except (RuntimeError, AssertionError) as error:  # JAX_PLATFORMS names what does not work here
            heard.append(_first_line(error) or f"jax has no {config.jax_platforms}")
            config.update("jax_platforms", "cpu")
            first = None
    return first, "" if first is not None and first.platform == "gpu" else next(iter(heard), "")


def _trial(device: jax.Device, n_bytes: int) -> str:
    """Takes memory, gives it back and solves a small system; returns what failed, if anything did."""
    import jax
    import jax.numpy as jnp

    try:
        with jax.default_device(device):
            held = jnp.zeros((n_bytes >> 20, 1 << 20), jnp.uint8).block_until_ready()
            solved = jnp.linalg.solve(2.0 * jnp.eye(8), jnp.ones(8))
            held.delete()
            return "" if bool((solved == 0.5).all()) else f"{device.device_kind} does not compute correctly"
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            return f"{device.device_kind} has less than {n_bytes / 2**30:,.0f} GB free"
        return f"{device.device_kind} does not compute: {_first_line(error)}"


@contextmanager
def _memory_as_needed() -> Iterator[None]:
    """Has a backend that starts meanwhile take memory as needed, unless the user has chosen otherwise."""
    if any(name in os.environ for name in _CHOICES_OF_MEMORY):
        yield
        return
    os.environ[_PREALLOCATE] = "false"
    try:
        yield
    finally:
        del os.environ[_PREALLOCATE]


@contextmanager
def _heard_quietly() -> Iterator[list[str]]:
    """Collects what jax's plugins report while they start, in place of the traces that they print."""
    heard = list[str]()

    def hear(record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        failed = record.exc_info[1] if record.exc_info else None
        heard.append(_first_line(failed) if failed else record.getMessage().splitlines()[0])
        return False

    logger = logging.getLogger(_JAX_LOG)
    logger.addFilter(hear)
    try:
        yield heard
    finally:
        logger.removeFilter(hear)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")
