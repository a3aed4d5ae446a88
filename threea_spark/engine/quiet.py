"""Handling of failed queries: which to retry, and how to keep pyspark from printing their traces.

Traces contain query plans, and may contain values of rows.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

_PRINTED_BY = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")
_CONFLICT = re.compile(
    r"DELTA_(CONCURRENT|METADATA_CHANGED|PROTOCOL_CHANGED)|Concurrent\w*Exception|(Metadata|Protocol)ChangedException"
)
"""Delta's own names only, because any Java trace mentions `java.util.concurrent`."""


@contextmanager
def unprinted_query_errors() -> Iterator[None]:
    """Silences pyspark's loggers of failed queries, unless this library logs at DEBUG; errors still propagate."""
    from pyspark.logger import PySparkLogger

    if logging.getLogger("threea_spark").isEnabledFor(logging.DEBUG):
        yield
        return
    loggers = [PySparkLogger.getLogger(name) for name in _PRINTED_BY]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def is_conflict(error: Exception) -> bool:
    """Tells whether Delta refused a commit because of a concurrent one; the commit may then be retried."""
    return _CONFLICT.search(str(error)) is not None
