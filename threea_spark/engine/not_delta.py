"""Says what a place is that cannot be read as a Delta table with versions, and what to do about it. Reads no row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from threea_spark.config.table_names import quoted_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BY_CATALOG = "CATALOG_MANAGED"
_VIEWS = ("VIEW", "TEMPORARY", "MATERIALIZED_VIEW", "METRIC_VIEW")
_STORED = (
    "a release reads a version of a Delta table: store the rows as one, by CREATE TABLE ... USING delta AS SELECT * "
)


@dataclass(frozen=True)
class NoDelta:
    """A place whose history Delta does not show.

    Attributes:
      what: What it is, beginning with `is`.
      fix: How a release can read its rows.
      is_there: Whether something is there, for sure.
    """

    what: str
    fix: str
    is_there: bool = True


def why_no_delta(spark: SparkSession, name: str, *, is_path: bool, error: Exception) -> NoDelta:
    """Finds out what a place is whose history Delta refused to show.

    Args:
      spark: A session.
      name: A catalog name, or a path.
      is_path: Which of the two it is.
      error: What Delta raised.
    """
    if _BY_CATALOG in str(error):
        return NoDelta("is managed by its catalog, which alone may open it", "name it as `table`, not by its path")
    return _at_path(spark, name) if is_path else _in_catalog(spark, name)


def _at_path(spark: SparkSession, path: str) -> NoDelta:
    if not _holds_parquet(spark, path):
        return NoDelta("is not a readable Delta table", "check the path", is_there=False)
    parquet = f"parquet.{quoted_name(path)}"
    return NoDelta(
        "holds Parquet files, but is no Delta table", f"{_STORED}FROM {parquet}, or by CONVERT TO DELTA {parquet}"
    )


def _holds_parquet(spark: SparkSession, path: str) -> bool:
    """Reads a footer, which holds the schema."""
    from pyspark.errors import PySparkException

    try:
        spark.read.format("parquet").load(path).schema  # noqa: B018 - Connect reads it only when it is asked for
    except PySparkException:
        return False
    return True


def _in_catalog(spark: SparkSession, name: str) -> NoDelta:
    from pyspark.errors import AnalysisException

    try:
        found = spark.catalog.getTable(name)
    except AnalysisException:
        return NoDelta("is not a readable Delta table", "check the table", is_there=False)
    if found.isTemporary:
        what = "is a temporary view"
    elif str(found.tableType).upper() in _VIEWS:
        what = "is a view"
    else:
        what = f"is a table of format {_format_of(spark, name)}"
    return NoDelta(what, f"{_STORED}FROM {name}")


def _format_of(spark: SparkSession, name: str) -> str:
    lines = spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()  # bounded: columns and properties
    return next((str(line["data_type"]) for line in lines if line["col_name"] == "Provider"), "unknown")
