"""What every Python task on an executor does before its own work."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator

import pyarrow as pa
from threadpoolctl import threadpool_limits

ArrowTask = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

_known_modules = 0


def as_task(work: ArrowTask) -> ArrowTask:
    """Gives `work` one core, which is what Spark gives a task, and keeps imported modules out of its garbage.

    Args:
      work: Batches to batches; for `DataFrame.mapInArrow`.
    """

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        _set_modules_aside()
        with threadpool_limits(1):  # more threads would take the cores of the neighbours
            yield from work(batches)

    return task


def _set_modules_aside() -> None:
    """Spark collects garbage after every task; walking through all imported modules takes longer than a small task."""
    global _known_modules
    if len(sys.modules) != _known_modules:
        gc.freeze()
        _known_modules = len(sys.modules)
