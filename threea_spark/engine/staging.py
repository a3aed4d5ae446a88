"""The private staging table: written once, read back, and dropped in any case."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from threea_spark.engine.delta import STAGING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


SCRATCH = "threea-spark-"
"""Prefix of a local session's folder, which holds its warehouse."""


@contextmanager
def staging(spark: SparkSession, release_id: str, schema: str) -> Iterator[str]:
    """Names a private staging table in a schema (quoted; the session's own where empty), and drops it in any case."""
    name = f"{STAGING}{release_id.replace('-', '_')}_{secrets.token_hex(4)}"  # no two runs share one
    name = f"{schema}.{name}" if schema else name
    try:
        yield name
    finally:
        spark.sql(f"DROP TABLE IF EXISTS {name}")


def stage(rows: DataFrame, name: str) -> DataFrame:
    """Writes private rows once, and reads them back: random tokens are drawn in this write and nowhere else.

    Delta keeps no minima and maxima of it: its log may live longer than the table.
    """
    rows.write.format("delta").mode("error").option("delta.dataSkippingNumIndexedCols", "0").saveAsTable(name)
    return rows.sparkSession.table(name)
