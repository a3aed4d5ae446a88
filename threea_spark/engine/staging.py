"""The private staging tables, of packed and of kept rows: written once, read back, and always dropped."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from threea_spark.engine.delta import STAGING
from threea_spark.engine.packed import MAX_FILE_BLOCKS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameWriter, SparkSession


SCRATCH = "threea-spark-"
"""Prefix of a local session's folder, which contains its warehouse."""


@contextmanager
def staging(spark: SparkSession, release_id: str, schema: str) -> Iterator[str]:
    """Yields the name of a private staging table, and drops the table and the kept rows at the end in any case.

    Args:
      spark: A session.
      release_id: Becomes part of the name.
      schema: Quoted schema to stage in; the session's own if empty.
    """
    name = f"{STAGING}{release_id.replace('-', '_')}_{secrets.token_hex(4)}"  # unique to this run
    name = f"{schema}.{name}" if schema else name
    with _dropped_after(spark, name), _dropped_after(spark, kept_name(name)):
        yield name


@contextmanager
def cached(rows: DataFrame, name: str) -> Iterator[DataFrame]:
    """Caches private rows while the block runs: on the executors where Spark allows it, else in a private table.

    A pass over a table costs Spark a second of planning, and executors hand over what they hold three times as fast.
    What a lost executor held is made again, so each of the rows must be a function of staged rows alone.

    Args:
      rows: PRIVATE.
      name: Of the table.
    """
    held = _on_executors(rows)
    if held is None:
        with _dropped_after(rows.sparkSession, name):
            yield stage(rows, name)
    else:
        try:
            yield held
        finally:
            held.unpersist()


def _on_executors(rows: DataFrame) -> DataFrame | None:
    """Has executors keep rows from the first pass on, in memory or on their disks; None where they keep nothing."""
    from pyspark.errors import PySparkException

    try:
        return rows.persist()
    except PySparkException:  # serverless compute
        return None


@contextmanager
def _dropped_after(spark: SparkSession, name: str) -> Iterator[None]:
    """Drops a private table at the end in any case."""
    try:
        yield
    finally:
        spark.sql(f"DROP TABLE IF EXISTS {name}")


def kept_name(staging: str) -> str:
    """The name of the table of kept rows beside a staging table."""
    return f"{staging}_rows"


def stage(rows: DataFrame, name: str, max_file_blocks: int = MAX_FILE_BLOCKS) -> DataFrame:
    """Writes private rows once and reads them back: random tokens are drawn in this write and nowhere else.

    Delta records no minima and maxima of the rows, because its log may outlive the table.

    Args:
      rows: Blocks. PRIVATE.
      name: Of the new table.
      max_file_blocks: Most blocks of a file, all of which Spark's reader holds at once.
    """
    writer = writer_of_blocks(rows, max_file_blocks).option("delta.dataSkippingNumIndexedCols", "0")
    writer.mode("error").saveAsTable(name)
    return rows.sparkSession.table(name)


def writer_of_blocks(rows: DataFrame, max_file_blocks: int = MAX_FILE_BLOCKS) -> DataFrameWriter:
    """Writes blocks of rows, which are compressed as they are."""
    return rows.write.format("delta").option("compression", "none").option("maxRecordsPerFile", max_file_blocks)
