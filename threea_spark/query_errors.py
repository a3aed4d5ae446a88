"""Keeps pyspark from printing failed queries: their traces hold plans, and may hold values of rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_PRINTED_BY = "DataFrameQueryContextLogger"


@contextmanager
def unprinted_query_errors() -> Iterator[None]:
    """Silences pyspark's own logger of failed queries, unless this library's log is at DEBUG; errors pass through."""
    from pyspark.logger import PySparkLogger

    if logging.getLogger("threea_spark").isEnabledFor(logging.DEBUG):
        yield
        return
    logger = PySparkLogger.getLogger(_PRINTED_BY)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
