"""Finds the receipt of a release that was written before, in the history of its target. Reads no row."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from threea_spark.config.release import ReleaseConfig
from threea_spark.engine.delta import Place, commit_metadata, latest_version, no_delta
from threea_spark.errors import ConfigError
from threea_spark.publish.if_exists import IfExists
from threea_spark.publish.receipt import Receipt, receipt_in

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def receipt_before(spark: SparkSession, config: ReleaseConfig, if_exists: IfExists) -> Receipt | None:
    """Returns the receipt of this very release, of the same source version, if it was written and is to be skipped.

    None if it is not to be skipped, was not written, or Delta has cut its receipt off the target's history.

    Raises:
      ConfigError: if `if_exists` is neither error nor skip.
      SourceError: see `release`.
    """
    if if_exists not in get_args(IfExists):
        raise ConfigError(f"if_exists: must be 'error' or 'skip', got {if_exists!r}; choose one of them")
    if if_exists == "error":
        return None
    source, target = (Place.of(place.table, place.path) for place in (config.source, config.target))
    release_id = f"{config.digest}-v{latest_version(spark, source, config.source.version)}"
    if no_delta(spark, target) is not None:
        return None
    found = filter(None, map(receipt_in, commit_metadata(spark, target)))
    return next((receipt for receipt in found if receipt.release_id == release_id), None)
