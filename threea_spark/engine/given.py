"""Refuses what is no session and no table before anything is asked of it."""

from __future__ import annotations

from threea_spark.errors import ConfigError


def require_session(given: object) -> None:
    """Checks that this is a Spark session, classic or Connect, by what it can do: the two have no common class.

    Raises:
      ConfigError: if it is not.
    """
    if not (hasattr(given, "sql") and hasattr(given, "createDataFrame")):
        raise ConfigError(
            f"spark: must be a SparkSession, got {type(given).__name__}; threea_spark.build_session() starts one, and "
            "a notebook of a cluster has one"
        )


def require_spark_rows(given: object, name: str, others: str) -> None:
    """Checks that this is a Spark DataFrame, classic or Connect, by what it can do.

    Args:
      given: What a caller passed.
      name: The parameter.
      others: What it may be as well, with its article.

    Raises:
      ConfigError: if it is not.
    """
    if not (hasattr(given, "sparkSession") and hasattr(given, "schema")):
        raise ConfigError(f"{name}: must be a Spark DataFrame, {others}, got {type(given).__name__}; pass one of these")
