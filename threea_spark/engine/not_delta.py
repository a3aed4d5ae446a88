"""Says what a place is that cannot be read as a Delta table with versions, and what to do about it. Reads no row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from threea_spark.config.near_names import near_name
from threea_spark.config.table_names import parts_of, quoted_chain, quoted_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BY_CATALOG = "CATALOG_MANAGED"
_HALF_CONFIGURED = "DELTA_CONFIGURE_SPARK_SESSION"
_VIEWS = ("VIEW", "TEMPORARY", "MATERIALIZED_VIEW", "METRIC_VIEW")
_STORED = (
    "a release reads a version of a Delta table: store the rows as one, by CREATE TABLE ... USING delta AS SELECT * "
)
_NO_DELTA = (
    "cannot be looked up, since this session has no Delta",
    "stop it and take that of threea_spark.build_session(), or start it with Delta's package and "
    "spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension, "
    "spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog",
)


@dataclass(frozen=True)
class NoDelta:
    """A place whose history Delta does not show.

    Attributes:
      what: What it is, as a predicate.
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
      error: What Spark raised on DESCRIBE HISTORY.
    """
    if _lacks_delta(error, name):
        return NoDelta(*_NO_DELTA, is_there=False)
    if _BY_CATALOG in str(error):
        return NoDelta("is managed by its catalog, which alone may open it", "name it as `table`, not by its path")
    return _at_path(spark, name) if is_path else _in_catalog(spark, name)


def _lacks_delta(error: Any, name: str) -> bool:  # noqa: ANN401 - pyspark's errors have no common type for this
    """Without Delta's extension Spark takes DESCRIBE HISTORY for a look at a table of the name HISTORY."""
    if _HALF_CONFIGURED in str(error):
        return True
    is_unknown = error.getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    return is_unknown and "`HISTORY`" in str(error) and name.strip("`") != "HISTORY"


def _at_path(spark: SparkSession, path: str) -> NoDelta:
    if _holds_parquet(spark, path):
        parquet = f"parquet.{quoted_name(path)}"
        return NoDelta(
            "holds Parquet files, but is no Delta table", f"{_STORED}FROM {parquet}, or by CONVERT TO DELTA {parquet}"
        )
    folder = _local_folder(path)
    near = None if folder is None else near_name(folder.name, _tables_beside(folder))
    return NoDelta("is not a readable Delta table", _did_you_mean(near, "the path"), is_there=False)


def _holds_parquet(spark: SparkSession, path: str) -> bool:
    """Reads a footer, which holds the schema."""
    try:
        found = spark.read.format("parquet").option("pathGlobFilter", "*.parquet").load(path)
        return bool(found.columns)  # Connect looks only when it is asked for
    except Exception:  # no such path, no right to it, or files that are no Parquet: Java's own errors among them
        return False


def _local_folder(path: str) -> Path | None:
    parsed = urlparse(path)
    return Path(parsed.path) if parsed.scheme in ("", "file") else None


def _tables_beside(folder: Path) -> Iterator[str]:
    """Names of the Delta tables in the folder that would hold this one, where this machine sees it."""
    try:
        yield from (other.name for other in folder.parent.iterdir() if (other / "_delta_log").is_dir())
    except OSError:
        return


def _did_you_mean(near: str | None, what: str) -> str:
    return f"check {what}" if near is None else f"did you mean {near!r}?"


def _in_catalog(spark: SparkSession, name: str) -> NoDelta:
    from pyspark.errors import AnalysisException

    try:
        found = spark.catalog.getTable(name)
    except AnalysisException:
        return _not_in_catalog(spark, name)
    if found.isTemporary:
        what = "is a temporary view"
    elif str(found.tableType).upper() in _VIEWS:
        what = "is a view"
    else:
        what = f"is a table of format {_format_of(spark, name)}"
    return NoDelta(what, f"{_STORED}FROM {name}")


def _not_in_catalog(spark: SparkSession, name: str) -> NoDelta:
    *above, own = parts_of(name.strip()) or (name,)
    schema = quoted_chain(tuple(above))
    try:
        if schema and not spark.catalog.databaseExists(schema):
            return NoDelta("is not found", f"there is no schema {schema} in this session", is_there=False)
        tables = spark.sql(f"SHOW TABLES IN {schema}" if schema else "SHOW TABLES").collect()  # bounded: names
        names = [str(table["tableName"]) for table in tables]
    except Exception:  # a catalog that does not exist, or may not be listed
        names = []
    near = near_name(own, names)
    whole = None if near is None else ".".join([*above, near])
    return NoDelta("is not found", _did_you_mean(whole, "the name of the table"), is_there=False)


def _format_of(spark: SparkSession, name: str) -> str:
    lines = spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()  # bounded: columns and properties
    return next((str(line["data_type"]) for line in lines if line["col_name"] == "Provider"), "unknown")
