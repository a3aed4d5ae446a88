"""What to do with failed queries: which to try again, and how to keep pyspark from printing their traces.

Traces hold plans, and may hold values of rows.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

_PRINTED_BY = "DataFrameQueryContextLogger"
_CONFLICT = re.compile(
    r"DELTA_(CONCURRENT|METADATA_CHANGED|PROTOCOL_CHANGED)|Concurrent\w*Exception|(Metadata|Protocol)ChangedException"
)
"""Delta's own names, for traces of Java hold `java.util.concurrent` whatever went wrong."""


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


def is_conflict(error: Exception) -> bool:
    """Whether Delta refused a commit because another one came in between; it may then be tried again."""
    return _CONFLICT.search(str(error)) is not None
