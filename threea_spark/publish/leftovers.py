"""Finds and drops private staging that a killed driver left behind. Reads no row."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.errors import SourceError
from threea_spark.places import STAGING, Place, created_at
from threea_spark.session import SCRATCH

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_HOUR_S = 3600.0


@dataclass(frozen=True)
class Leftover:
    """One staging table or folder that no running release should own.

    Attributes:
      name: Of the table, or the folder's path.
      hours: Its age.
      is_folder: Whether it is a folder of a local session that is gone.
    """

    name: str
    hours: float
    is_folder: bool


def leftovers(spark: SparkSession, schema: str, *, hours: float) -> list[Leftover]:
    """Lists staging older than `hours`: tables of the schema that releases stage in, and folders of local sessions.

    A release that still runs has staging too: choose more hours than your longest release takes.

    Args:
      spark: A session.
      schema: Quoted; the session's own where empty.
      hours: Least age.

    Raises:
      SourceError: if there is no such schema.
    """
    if schema and not spark.catalog.databaseExists(schema):
        raise SourceError(f"source: there is no schema {schema} in this session to look for staging in; check its name")
    tables = spark.catalog.listTables(schema) if schema else spark.catalog.listTables()
    names = [f"{schema}.{t.name}" if schema else t.name for t in tables if t.name.startswith(STAGING)]
    found = [Leftover(name, _age(created_at(spark, Place(name, is_path=False))), False) for name in names]
    folders = Path(tempfile.gettempdir()).glob(f"{SCRATCH}*/warehouse/{STAGING}*")
    found += [Leftover(str(folder), _age(folder.stat().st_mtime), True) for folder in folders]
    return sorted((item for item in found if item.hours >= hours), key=lambda item: item.name)


def drop(spark: SparkSession, leftover: Leftover) -> None:
    """Removes one."""
    if leftover.is_folder:
        shutil.rmtree(leftover.name, ignore_errors=True)
    else:
        spark.sql(f"DROP TABLE IF EXISTS {leftover.name}")


def _age(created: float) -> float:
    return max(0.0, time.time() - created) / _HOUR_S
