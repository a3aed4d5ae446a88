"""Handling of failed queries: which to retry, and how to keep pyspark from printing their traces.

Traces contain query plans, and may contain values of rows.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_PRINTED_BY = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")
_CONFLICT = re.compile(
    r"DELTA_(CONCURRENT|METADATA_CHANGED|PROTOCOL_CHANGED)|Concurrent\w*Exception|(Metadata|Protocol)ChangedException"
)
"""Delta's own names only, because any Java trace mentions `java.util.concurrent`."""


_unprinted: ContextVar[bool] = ContextVar("unprinted", default=False)  # of one thread: others may print meanwhile


def _is_printed(record: logging.LogRecord) -> bool:
    return not _unprinted.get() or logging.getLogger("threea_spark").isEnabledFor(logging.DEBUG)


@contextmanager
def unprinted_query_errors() -> Iterator[None]:
    """Silences pyspark's loggers of failed queries, unless this library logs at DEBUG; errors still propagate."""
    from pyspark.logger import PySparkLogger

    for name in _PRINTED_BY:
        PySparkLogger.getLogger(name).addFilter(_is_printed)  # of equals, a logger keeps one
    before = _unprinted.set(True)
    try:
        yield
    finally:
        _unprinted.reset(before)


def is_conflict(error: Exception) -> bool:
    """Tells whether Delta refused a commit because of a concurrent one; the commit may then be retried."""
    return _CONFLICT.search(str(error)) is not None
