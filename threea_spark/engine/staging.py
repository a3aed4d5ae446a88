"""The private staging tables, of packed and of kept rows: written once, read back, and always dropped."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from threea_spark.engine.delta import STAGING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


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
    try:
        yield name
    finally:
        try:
            spark.sql(f"DROP TABLE IF EXISTS {kept_name(name)}")
        finally:
            spark.sql(f"DROP TABLE IF EXISTS {name}")


def kept_name(staging: str) -> str:
    """The name of the table of kept rows beside a staging table."""
    return f"{staging}_rows"


def stage(rows: DataFrame, name: str) -> DataFrame:
    """Writes private rows once and reads them back: random tokens are drawn in this write and nowhere else.

    Delta records no minima and maxima of the rows, because its log may outlive the table.
    """
    rows.write.format("delta").mode("error").option("delta.dataSkippingNumIndexedCols", "0").saveAsTable(name)
    return rows.sparkSession.table(name)
