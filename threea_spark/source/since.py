"""Which rows of a table that grew a release reads: all, or those of units that an earlier version did not hold."""

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
    """Gives the rows that a release reads; reads none.

    Args:
      spark: A session.
      source: The table.
      rows: Of the version to read. PRIVATE.
      config: Names the earlier version, if any.
      version: Which one is read.

    Raises:
      ConfigError: if the earlier version is not earlier.
      SourceError: if it is gone, or rows that are units of their own were changed or removed since.
      SchemaError: if it lacks the column of the unit.
    """
    since, unit = config.source.since, config.privacy.privacy_unit
    if since is None:
        return rows
    if since >= version:
        raise ConfigError(
            f"source.since: version {since} is not below version {version}, which is read; nothing is new"
        )
    delta.latest_version(spark, source, since)  # or it says which versions there are
    earlier = delta.read_version(spark, source, since)
    if unit.column is None:
        broken = first_that_takes_rows(delta.history_of(spark, source), since, version)
        if broken is not None:
            raise SourceError(
                f"source.since: where each row is a unit, nothing but appends may lie between versions {since} and "
                f"{version}; {broken} is none. Name a unit column, or release the whole table"
            )
    elif unit.column not in earlier.columns:
        raise SchemaError(f"  {unit.column!r}: is no column of version {since}; name a later version in source.since")
    elif problem := unit_problem(unit.column, table.schema_of(earlier)):
        raise SchemaError(f"version {since} of the source does not fit:\n{problem}, and name a later version")
    return table.only_new(rows, earlier, config.domain, unit)
