"""Setup that every Python task on an executor runs before its own work."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator

import pyarrow as pa
from threadpoolctl import threadpool_limits

ArrowTask = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

_known_modules = 0


def as_task(work: ArrowTask) -> ArrowTask:
    """Limits `work` to one thread, since a task has one core, and keeps imported modules out of garbage collection.

    Args:
      work: Maps batches to batches; for `DataFrame.mapInArrow`.
    """

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        _freeze_modules()
        with threadpool_limits(1):  # more threads would take cores from other tasks
            yield from work(batches)

    return task


def _freeze_modules() -> None:
    """Freezes modules: Spark collects garbage after each task, and scanning them takes longer than a small task."""
    global _known_modules
    if len(sys.modules) != _known_modules:
        gc.freeze()
        _known_modules = len(sys.modules)
