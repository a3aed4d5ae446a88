"""Setup that every Python task on an executor runs before its own work."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Iterator

import pyarrow as pa

from threea_spark.engine.threads import one_thread

ArrowTask = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

_known_modules = 0
_MMAP_THRESHOLD, _TRIM_THRESHOLD = (-3, 1 << 25), (-1, 1 << 26)  # of glibc's mallopt: 32 and 64 MB


def as_task(work: ArrowTask) -> ArrowTask:
    """Prepares a worker for numpy: one thread, since a task has one core, and memory that is used again.

    Args:
      work: Maps batches to batches; for `DataFrame.mapInArrow`.
    """

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        _freeze_modules()
        _keep_freed_memory()
        with one_thread():  # more threads would take cores from other tasks
            yield from work(batches)

    return task


def _freeze_modules() -> None:
    """Freezes modules: Spark collects garbage after each task, and scanning them takes longer than a small task."""
    global _known_modules
    if len(sys.modules) != _known_modules:
        gc.freeze()
        _known_modules = len(sys.modules)


def _keep_freed_memory() -> None:
    """Lets glibc keep what numpy frees: clearing new pages for every batch takes as long as some sums do."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
        mallopt(*option)
