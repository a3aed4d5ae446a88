"""How many rows Spark hands to a Python task at a time.

Sessions that this package configures limit batches in bytes, so that Python works on some blocks of staged rows while
the JVM reads the next. But Spark adds up a batch's bytes anew before each row: where a row is a block of thousands that
costs nothing, where it is a row of the source a third of the JVM's work. There, batches are limited in rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MOST_BYTES, MOST_ROWS = "spark.sql.execution.arrow.maxBytesPerBatch", "spark.sql.execution.arrow.maxRecordsPerBatch"
BATCH_BYTES, BATCH_ROWS = 1 << 22, 1 << 14
"""Limits of the sessions that this package configures."""
_NO_LIMIT = str((1 << 31) - 1)  # Spark's default
_TEXT_BYTES, _OTHER_BYTES = 64, 8  # guessed, of a cell


@contextmanager
def limited_in_rows(rows: DataFrame) -> Iterator[None]:
    """Limits batches in rows alone while these are read, in sessions whose limit in bytes is this package's own.

    Args:
      rows: Of the source.
    """
    conf = rows.sparkSession.conf
    if not _has_own_limits(rows.sparkSession):
        yield
        return
    row_bytes = sum(_TEXT_BYTES if kind == "string" else _OTHER_BYTES for _, kind in rows.dtypes)
    before = str(conf.get(MOST_ROWS))
    try:
        conf.set(MOST_BYTES, _NO_LIMIT)  # first: a pass that another thread begins now leaves both alone
        conf.set(MOST_ROWS, str(max(1, min(int(before), BATCH_BYTES // row_bytes))))
        yield
    finally:
        conf.set(MOST_ROWS, before)
        conf.set(MOST_BYTES, str(BATCH_BYTES))


def _has_own_limits(spark: SparkSession) -> bool:
    from pyspark.errors import PySparkException

    try:
        return spark.conf.get(MOST_BYTES, None) == str(BATCH_BYTES)
    except PySparkException:  # a service that hides its settings
        return False
