"""Cleans up after a failed first write to a local folder, and private staging that a killed driver left behind.

Nothing of another release that writes to the same folder is removed, and a commit never is. Files without a commit are
removed, unless another process has announced that it writes there too.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.engine.delta import STAGING, Place, created_at
from threea_spark.engine.staging import SCRATCH
from threea_spark.errors import SourceError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_HOUR_S = 3600.0


@dataclass(frozen=True)
class Leftover:
    """One staging table or folder that no running release should own.

    Attributes:
      name: The table's name, or the folder's path.
      hours: Its age in hours.
      is_folder: Whether it is a folder of a local session that has ended.
    """

    name: str
    hours: float
    is_folder: bool


def leftovers(spark: SparkSession, schema: str, *, hours: float) -> list[Leftover]:
    """Lists staging older than `hours`: tables in the schema that releases stage in, and folders of local sessions.

    A running release has staging too: choose more hours than your longest release takes.

    Args:
      spark: A session.
      schema: Quoted name; the session's own schema if empty.
      hours: Minimum age.

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
    """Removes a leftover table or folder."""
    if leftover.is_folder:
        shutil.rmtree(leftover.name, ignore_errors=True)
    else:
        spark.sql(f"DROP TABLE IF EXISTS {leftover.name}")


def _age(created: float) -> float:
    return max(0.0, time.time() - created) / _HOUR_S


_MARK = ".threea-writing"

_QUIET_S = 3.0
"""Late tasks of a failed write may re-create the folder: it is gone for good once it is absent for this long."""

_PATIENCE_S = 30.0

_POLL_S = 0.05


@contextmanager
def claimed(folder: Path | None) -> Iterator[None]:
    """Announces a write next to the folder; if it fails and nothing was committed, removes the folder again.

    Args:
      folder: The folder of the new table; None for a table that is not a local folder, for which nothing is done.
    """
    if folder is None:
        yield
        return
    existed_before = folder.exists()
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = folder.with_name(f".{folder.name}.{os.getpid()}.{secrets.token_hex(4)}{_MARK}")
    mark.touch()
    try:
        yield
    except BaseException:
        mark.unlink(missing_ok=True)
        if not existed_before:
            _remove_for_good(folder)
        raise
    finally:
        mark.unlink(missing_ok=True)


def _remove_for_good(folder: Path) -> None:
    """Removes what a failed write left behind, and what its last tasks still write: Spark does not wait for them."""
    start = removed = time.monotonic()
    while time.monotonic() < min(removed + _QUIET_S, start + _PATIENCE_S):
        if folder.exists():
            if is_committed(folder) or _others(folder):
                return
            shutil.rmtree(folder, ignore_errors=True)
            removed = time.monotonic()
        time.sleep(_POLL_S)


def is_committed(folder: Path) -> bool:
    """Tells whether a local folder contains a Delta table."""
    return any((folder / "_delta_log").glob("*.json"))


def _others(folder: Path) -> bool:
    """Tells whether a running process has announced a write; removes the marks of dead processes."""
    alive = False
    for mark in folder.parent.glob(f".{folder.name}.*{_MARK}"):
        if _is_alive(int(mark.name.removeprefix(f".{folder.name}.").split(".")[0])):
            alive = True
        else:
            mark.unlink(missing_ok=True)
    return alive


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
