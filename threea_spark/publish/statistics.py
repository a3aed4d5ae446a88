"""Writes the noisy statistics of a model: as Delta tables, or as Parquet files without Spark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.engine.delta import Place, exists
from threea_spark.errors import ConfigError, TargetExistsError
from threea_spark.model.statistics import statistics_of
from threea_spark.model.statistics_schemas import SCHEMAS
from threea_spark.publish.receipt import PROPERTY_DELTA, PROPERTY_EPSILON
from threea_spark.publish.write import write_new
from threea_spark.source.files import write_file

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from threea_spark.model.released import ReleaseModel


def export_statistics(spark: SparkSession, model: ReleaseModel, target: str) -> tuple[str, ...]:
    """Writes the noisy counts of a model, with their standard errors, as Delta tables. Post-processing: it is free.

    Args:
      spark: A session, classic or Connect.
      model: Fitted or loaded.
      target: A folder (it contains a slash or a scheme), in which the tables are called release, columns, histograms,
        categories and pairs; or the beginning of the names of catalog tables, to which `_release` and such are added.

    Returns:
      The tables' places.

    Raises:
      ModelError: if the model keeps no noisy counts.
      TargetExistsError: if one of the tables exists; none is written then.
    """
    tables, places = statistics_of(model), dict(_places(target))
    for place in places.values():
        if exists(spark, place):
            raise TargetExistsError(f"--target: {place} exists and is never overwritten; choose another")
    statement = model.privacy
    properties = {PROPERTY_EPSILON: f"{statement.epsilon:g}", PROPERTY_DELTA: f"{statement.delta:g}"}
    for name, table in tables.items():
        rows, text = spark.createDataFrame(table), json.dumps(statement.as_dict())
        write_new(rows, places[name], text, release_id=f"statistics-{name}", properties=properties)
    return tuple(map(str, places.values()))


def write_statistics(model: ReleaseModel, folder: Path) -> tuple[str, ...]:
    """Writes the tables of `export_statistics` as Parquet files, without Spark; returns their paths.

    Raises:
      ModelError, TargetExistsError: As in `export_statistics`.
      ConfigError: if the folder cannot be written.
    """
    paths = {name: folder / f"{name}.parquet" for name in SCHEMAS}
    for path in paths.values():
        if path.exists():
            raise TargetExistsError(f"--out: {path} exists and is never overwritten; choose another folder")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out: {folder} is a file; choose a folder")
    for name, table in statistics_of(model).items():
        write_file(table, paths[name])
    return tuple(map(str, paths.values()))


def _places(target: str) -> Iterator[tuple[str, Place]]:
    whole = Place.named(target)
    for name in SCHEMAS:
        yield name, replace(whole, name=f"{whole.name.rstrip('/')}/{name}" if whole.is_path else f"{whole.name}_{name}")
