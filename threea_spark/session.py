"""The only builder of Spark sessions, classic or Connect, for jobs, the command line and tests.

On a cluster or in a Databricks notebook the existing session is used as it is; nothing is configured there.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.engine.batches import BATCH_BYTES, BATCH_ROWS, MOST_BYTES, MOST_ROWS
from threea_spark.engine.staging import SCRATCH
from threea_spark.errors import EnvironmentNotReadyError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("threea_spark.session")

LOG_FILE = "spark.log"
"""Collects what the JVM prints, in the folder of a local session."""
MASTER_VARIABLE = "THREEA_MASTER"
_LOCAL_MASTER = "local[*]"
_DRIVER_MEMORY = "2g"
# the jars of delta-spark 4.4.1 do not resolve; 4.4.0 is the newest version that does
_DELTA_BY_SPARK = {"4.0": "4.0.1", "4.1": "4.1.0", "4.2": "4.4.0"}

# Delta's jars ask for these, which every Spark has in a newer version. pyspark puts all that is fetched on Python's
# search path: driver and workers would read the directories of these large ones, .6 s and 60 MB, for any import.
_IN_SPARK_ITSELF = (
    "org.apache.hadoop:*",
    "org.apache.parquet:*",
    "org.apache.logging.log4j:*",
    "com.fasterxml.jackson.core:*",
)

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# Spark asks for null before each cell; Arrow's own check would double the cost of that.
_ARROW_UNCHECKED = "-Darrow.enable_unsafe_memory_access=true -Darrow.enable_null_check_for_get=false"
_COLLECTOR = "-XX:+UseParallelGC"  # pauses harm no pass, and Java's default takes a tenth more of the JVM's time
_JAVA_VARIABLES = "SPARK_SUBMIT_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"
_QUIET_AND_SMALL = {
    "spark.ui.enabled": "false",  # the UI shows the literals in query plans
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "2",  # as in Delta's own tests; the default is 50 tasks per commit
    MOST_ROWS: str(BATCH_ROWS),
    MOST_BYTES: str(BATCH_BYTES),
    "spark.executor.extraJavaOptions": _ARROW_UNCHECKED,
    "spark.hadoop.parquet.dictionary.page.size": "4096",  # numbers that hardly repeat are soon written as they are
    "spark.python.worker.faulthandler.enabled": "true",
    "spark.sql.legacy.charVarcharAsString": "true",
}


def build_session(
    app: str = "threea", *, master: str | None = None, scratch: Path | None = None, extra: dict[str, str] | None = None
) -> SparkSession:
    """Returns the active session, or starts one with Delta.

    Args:
      app: Name of the application.
      master: A Spark master such as local[2] or yarn, or a Connect address such as sc://host:15002 or
        connect:local[2]; if None, the environment variable THREEA_MASTER, or local[*].
      scratch: Folder for the warehouse and Spark's own files; if None, a temporary folder that goes when Python ends.
      extra: Additional Spark configuration; ignored for an existing session.

    Raises:
      EnvironmentNotReadyError: if pyspark, its Connect packages, Java or Delta's jars are missing.
    """
    if importlib.util.find_spec("pyspark") is None:
        raise EnvironmentNotReadyError("pyspark is missing; pip install 'threea-spark[spark]', or run on a cluster")
    if (active := _active_session()) is not None:
        return active
    log.info("starting Spark ...")
    from pyspark.sql import SparkSession

    if "DATABRICKS_RUNTIME_VERSION" in os.environ or "PYSPARK_GATEWAY_PORT" in os.environ:
        return SparkSession.builder.appName(app).getOrCreate()  # Databricks or spark-submit has configured it
    folder = scratch or _folder_until_exit()
    chosen = master or os.environ.get(MASTER_VARIABLE) or _LOCAL_MASTER
    remote = chosen.startswith("sc://") or chosen.startswith("connect:")
    builder = SparkSession.builder.appName(app)
    if not chosen.startswith("sc://"):  # a running Connect server is configured already
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers need this same environment
        for name, value in {**_local_settings(folder), **(extra or {})}.items():
            builder = builder.config(name, value)
    try:
        with _starting_quietly(folder), warnings.catch_warnings():
            # a local Connect server starts with these settings; the client then fails to set them again, and warns
            warnings.filterwarnings("ignore", message="Failed to set spark")
            if remote:
                return builder.remote(chosen.removeprefix("connect:")).getOrCreate()
            return builder.master(chosen).getOrCreate()
    except Exception as error:  # the JVM fails to start in many ways; each has one of these three causes
        log.debug("Spark did not start", exc_info=True)
        raise EnvironmentNotReadyError(
            f"Spark did not start on {chosen!r} ({type(error).__name__}); check that Java 17 is installed, that "
            f"{delta_coordinate()} can be downloaded from a Maven repository (or lies in ~/.ivy2), and, for Connect, "
            f"that pyspark[connect] is installed; see {folder / LOG_FILE if scratch else _kept_log(folder)}"
        ) from None


def _active_session() -> SparkSession | None:
    """The active session; without importing pyspark, which takes a while, where nobody has."""
    sql = sys.modules.get("pyspark.sql")
    active: SparkSession | None = None if sql is None else sql.SparkSession.getActiveSession()
    return active


def _folder_until_exit() -> Path:
    """A new temporary folder, which may come to hold values of rows; it is removed when Python ends.

    The session is stopped first: pyspark, which was imported before, ends the JVM only after this.
    """
    folder, owner = Path(tempfile.mkdtemp(prefix=SCRATCH)), os.getpid()

    def remove() -> None:
        if os.getpid() != owner:  # a fork of this process
            return
        with suppress(Exception):  # whatever state the session is in, the folder goes
            if (active := _active_session()) is not None:
                active.stop()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _kept_log(folder: Path) -> Path:
    """Copies the log of a session that did not start, so holds no row, to where it is not removed."""
    kept = Path(tempfile.mkdtemp(prefix="threea-log-")) / LOG_FILE
    with suppress(OSError):  # there is none if the folder could not be written
        shutil.copyfile(folder / LOG_FILE, kept)
    return kept


@contextmanager
def _starting_quietly(folder: Path) -> Iterator[None]:
    """Redirects everything that a new JVM prints on standard error to a file of its own.

    Its log lines may contain values of rows, which must not reach a terminal or a job's log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    saved = os.dup(2)
    log = os.open(folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.dup2(log, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(log)


def delta_coordinate(spark_version: str | None = None) -> str:
    """Returns the Maven coordinate of Delta for a version of Spark; if None, for the installed pyspark."""
    try:
        spark_line = ".".join((spark_version or version("pyspark")).split(".")[:2])
    except PackageNotFoundError:
        raise EnvironmentNotReadyError("pyspark is missing; pip install 'threea-spark[spark]'") from None
    return f"io.delta:delta-spark_2.13:{_DELTA_BY_SPARK.get(spark_line, _DELTA_BY_SPARK['4.2'])}"


def _local_settings(folder: Path) -> dict[str, str]:
    return {
        "spark.jars.packages": delta_coordinate(),
        "spark.jars.excludes": ",".join(_IN_SPARK_ITSELF),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "local"),
        "spark.driver.memory": _DRIVER_MEMORY,
        "spark.driver.extraJavaOptions": _java_options(),
        **_DELTA,
        **_QUIET_AND_SMALL,
    }


def _java_options() -> str:
    """Options of a local session's JVM; it does not start with two collectors, so one of the environment goes first."""
    has_collector = any(re.search(r"-XX:\+Use\w+GC\b", os.environ.get(name, "")) for name in _JAVA_VARIABLES)
    return _ARROW_UNCHECKED if has_collector else f"{_ARROW_UNCHECKED} {_COLLECTOR}"
