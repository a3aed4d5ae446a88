"""Selects the rows of a growing table that a release reads: all, or those of units absent from an earlier version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from threea_spark.config.release import ReleaseConfig
from threea_spark.engine import delta
from threea_spark.engine.delta import Place
from threea_spark.engine.history import first_that_takes_rows
from threea_spark.errors import ConfigError, SchemaError, SourceError
from threea_spark.source import rows as table
from threea_spark.source.schema import unit_problem

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def rows_to_read(spark: SparkSession, source: Place, rows: DataFrame, config: ReleaseConfig, version: int) -> DataFrame:
    """Returns the rows that a release reads, as a lazy frame; reads none itself.

    Args:
      spark: A session.
      source: The table.
      rows: Rows of the version to read. PRIVATE.
      config: Names the earlier version, if any.
      version: The version to read.

    Raises:
      ConfigError: if the earlier version is not below the one to read.
      SourceError: if it no longer exists, or if each row is a unit and rows were changed or removed since.
      SchemaError: if it lacks the unit's column.
    """
    since, unit = config.source.since, config.privacy.privacy_unit
    if since is None:
        return rows
    if since >= version:
        raise ConfigError(
            f"source.since: version {since} must be below version {version}, the one to read; no row would be new"
        )
    delta.latest_version(spark, source, since)  # raises if there is no such version
    earlier = delta.read_version(spark, source, since)
    if unit.column is None:
        broken = first_that_takes_rows(delta.history_of(spark, source), since, version)
        if broken is not None:
            raise SourceError(
                f"source.since: if each row is a unit, there may only be appends between versions {since} and "
                f"{version}, unlike {broken}. Name a unit column, or release the whole table"
            )
    elif unit.column not in earlier.columns:
        raise SchemaError(f"  {unit.column!r}: not a column of version {since}; name a later version in source.since")
    elif problem := unit_problem(unit.column, table.schema_of(earlier)):
        raise SchemaError(f"version {since} of the source does not fit:\n{problem}, and name a later version")
    return table.only_new(rows, earlier, config.domain, unit)
