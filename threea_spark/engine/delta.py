"""Delta tables by name or by path: whether they exist, their versions and their metadata. Reads no row itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from threea_spark.config.table_names import PlaceKey, quoted_name
from threea_spark.engine.history import Commit
from threea_spark.engine.not_delta import NoDelta, why_no_delta
from threea_spark.engine.quiet import unprinted_query_errors
from threea_spark.errors import SourceError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STAGING = "threea_staging_"
"""Prefix of the names of private staging tables."""


@dataclass(frozen=True)
class Place:
    """A Delta table, by catalog name or by path."""

    name: str
    is_path: bool

    @property
    def identifier(self) -> str:
        """The table's name in SQL."""
        if self.is_path:
            return f"delta.{quoted_name(self.name)}"
        return self.name

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, table: str | None, path: str | None) -> Place:
        """Returns the place that a configuration names; a relative path is resolved on this machine."""
        if path is None:
            return cls(str(table), is_path=False)
        return cls(path if urlparse(path).scheme else str(Path(path).absolute()), is_path=True)

    @classmethod
    def named(cls, text: str) -> Place:
        """Returns the place that a user names in one word: a path if it contains a slash or a scheme, else a table."""
        return cls.of(None, text) if "/" in text or ":" in text else cls.of(text, None)


@unprinted_query_errors()
def exists(spark: SparkSession, place: Place) -> bool:
    """Tells whether there is a table at this place; reads no row."""
    from pyspark.errors import AnalysisException

    if not place.is_path:
        return bool(spark.catalog.tableExists(place.name))
    try:
        spark.sql(f"DESCRIBE DETAIL {place.identifier}").collect()  # bounded: one row
    except AnalysisException:
        return False
    return True


@unprinted_query_errors()
def latest_version(spark: SparkSession, place: Place, wanted: int | None) -> int:
    """Resolves the version to read; reads no row.

    Raises:
      SourceError: if there is no such Delta table, or no such version of it.
    """
    from pyspark.errors import AnalysisException

    try:
        history = spark.sql(f"DESCRIBE HISTORY {place.identifier}").select("version").collect()  # bounded: commits
    except AnalysisException as error:
        found = why_no_delta(spark, place.name, is_path=place.is_path, error=error)
        kind = "path" if place.is_path else "table"
        raise SourceError(f"source.{kind}: {place} {found.what}; {found.fix}") from None
    versions = [int(row["version"]) for row in history]
    if wanted is None:
        return max(versions)
    if wanted not in versions:
        raise SourceError(
            f"source.version: {place} has versions {min(versions)} to {max(versions)}, not {wanted}; name one of them"
        )
    return wanted


@unprinted_query_errors()
def no_delta(spark: SparkSession, place: Place) -> NoDelta | None:
    """Says what a place is that is no Delta table, or that nothing is there; None for a Delta table. Reads no row."""
    from pyspark.errors import AnalysisException

    try:
        spark.sql(f"DESCRIBE HISTORY {place.identifier}").columns  # noqa: B018 - Connect fails only now
    except AnalysisException as error:
        return why_no_delta(spark, place.name, is_path=place.is_path, error=error)
    return None


@unprinted_query_errors()
def history_of(spark: SparkSession, place: Place) -> tuple[Commit, ...]:
    """Returns what each commit did, as far back as Delta remembers; empty if there is no such table. Reads no row."""
    from pyspark.errors import AnalysisException

    try:
        history = spark.sql(f"DESCRIBE HISTORY {place.identifier}").select(
            "version", "operation", "operationParameters"
        )
        rows = history.collect()  # bounded: commits
    except AnalysisException:
        return ()
    return tuple(
        Commit(int(row["version"]), str(row["operation"]), dict(row["operationParameters"] or {})) for row in rows
    )


def read_version(spark: SparkSession, place: Place, version: int) -> DataFrame:
    """Reads a Delta table as of one version."""
    reader = spark.read.format("delta").option("versionAsOf", version)
    return reader.load(place.name) if place.is_path else reader.table(place.name)


@unprinted_query_errors()
def read_latest(spark: SparkSession, place: Place) -> DataFrame:
    """Reads the newest version of a table.

    Raises:
      SourceError: if there is no such table.
    """
    from pyspark.errors import AnalysisException

    try:
        rows = spark.read.format("delta").load(place.name) if place.is_path else spark.read.table(place.name)
        rows.columns  # noqa: B018 - Connect reports a missing table only when it analyses the query
    except AnalysisException:
        found = no_delta(spark, place)
        why = "is not a readable table; check its name or path" if found is None else f"{found.what}; {found.fix}"
        raise SourceError(f"{place} {why}") from None
    return rows


def table_id(spark: SparkSession, place: Place) -> str:
    """Returns Delta's own identifier of a table, the same under all its names; empty if there is no such table."""
    return identity(spark, place)[0]


@unprinted_query_errors()
def identity(spark: SparkSession, place: Place) -> tuple[str, PlaceKey | None]:
    """Returns Delta's own identifier of a table and the folder of its files; an empty identifier if there is none."""
    from pyspark.errors import AnalysisException

    try:
        found = spark.sql(f"DESCRIBE DETAIL {place.identifier}").select("id", "location").collect()  # bounded: one row
    except AnalysisException:
        return "", PlaceKey.of(None, place.name) if place.is_path else None
    return str(found[0]["id"] or ""), PlaceKey.of(None, found[0]["location"]) if found[0]["location"] else None


def created_at(spark: SparkSession, place: Place) -> float:
    """Returns when a table was created, in seconds since 1970; reads no row."""
    detail = spark.sql(f"DESCRIBE DETAIL {place.identifier}").selectExpr("unix_millis(createdAt) AS at")
    return float(detail.collect()[0]["at"]) / 1000.0  # bounded: one row


def properties_of(spark: SparkSession, place: Place) -> dict[str, str]:
    """Returns a table's properties; reads no row."""
    rows = spark.sql(f"SHOW TBLPROPERTIES {place.identifier}").collect()  # bounded: one row a property
    return {row["key"]: row["value"] for row in rows}


def commit_metadata(spark: SparkSession, place: Place) -> list[str]:
    """Returns the user metadata of each commit, empty where there is none; reads no row."""
    history = spark.sql(f"DESCRIBE HISTORY {place.identifier}").select("userMetadata").collect()  # bounded: commits
    return [row["userMetadata"] or "" for row in history]
