"""Probes a cluster: Python on driver and workers, a temporary Delta table, and jax. Reads no other table."""

from __future__ import annotations

import importlib
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import pyarrow as pa

from threea_spark.doctor import checks
from threea_spark.doctor.checks import Finding, Level, Machine, brief
from threea_spark.engine.delta import Place
from threea_spark.errors import EnvironmentNotReadyError
from threea_spark.session import MASTER_VARIABLE, delta_coordinate

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from pyspark.sql import SparkSession

SMOKE = "threea_smoke_"
"""Prefix of the names of temporary tables."""
_FACTS = "facts string, n bigint, total bigint"
_ROWS_PER_TASK, _MIN_TASKS, _MAX_TASKS = 1000, 4, 512
_CONNECT_PORT, _TIMEOUT_S = 15002, 10.0


def require_answer(master: str | None) -> None:
    """Checks once that a Connect server is reachable; pyspark itself would retry for many minutes.

    Raises:
      EnvironmentNotReadyError: if nothing answers at a sc:// address within ten seconds.
    """
    address = urlparse(master or os.environ.get(MASTER_VARIABLE) or "")
    if address.scheme != "sc":
        return
    try:
        socket.create_connection((address.hostname or "", address.port or _CONNECT_PORT), timeout=_TIMEOUT_S).close()
    except OSError as error:
        raise EnvironmentNotReadyError(
            f"no Spark Connect server answers at sc://{address.netloc} ({brief(error)}); check --master and "
            f"{MASTER_VARIABLE}"
        ) from None


def diagnose(spark: SparkSession, write_to: str | None) -> list[Finding]:
    """Runs every check; a problem becomes a finding, never an error.

    Args:
      spark: The session in which releases will run.
      write_to: A schema, or a folder for Delta tables by path; if None, the current schema.
    """
    import pyspark

    driver = read_machine()
    found = [*checks.check_driver(driver), *checks.check_spark(spark.version, pyspark.__version__)]
    found += _look_at_workers(spark, driver)
    found += _look_at_delta(spark, write_to)
    return [*found, _look_at_jax(), _look_at_neural_tangents(), _look_at_lightgbm()]


def read_machine() -> Machine:
    """Probes this process."""
    return Machine.from_json(_reader()())


def _reader() -> Callable[[], str]:
    """Returns a function that needs only Python, so that it can be sent by value to where threea_spark is missing."""
    names, modules = [*checks.DRIVER_ONLY, *checks.ON_WORKERS], list(checks.TASKS)
    version_of, source = _version_reader(checks.MISSING), _source_reader(checks.MISSING)

    def read() -> str:
        import importlib
        import json
        import platform

        failed = {}
        for module in modules:
            try:
                importlib.import_module(module)
            except Exception as error:  # whatever stops this import would stop a task
                failed[module] = f"{type(error).__name__}: {error}"
        versions = {name: version_of(name) for name in names}
        facts = {"host": platform.node(), "python": platform.python_version(), "versions": versions}
        return json.dumps({**facts, "source": source(), "failed": failed}, sort_keys=True)

    return read


def _version_reader(missing: str) -> Callable[[str], str]:
    def version_of(name: str) -> str:
        import importlib
        import importlib.metadata

        try:
            module = importlib.import_module(name)
            return str(getattr(module, "__version__", None) or importlib.metadata.version(name))
        except ModuleNotFoundError:
            return missing
        except Exception as error:  # a package that is installed but broken
            return f"{type(error).__name__}: {error}"

    return version_of


def _source_reader(missing: str) -> Callable[[], str]:
    def files(folder: Traversable) -> Iterator[Traversable]:
        for item in sorted(folder.iterdir(), key=lambda item: item.name):
            if item.is_dir():
                yield from files(item)
            elif item.name.endswith(".py"):
                yield item

    def source() -> str:
        import hashlib
        import importlib.resources

        digest = hashlib.sha256()
        try:
            for file in files(importlib.resources.files("threea_spark")):
                digest.update(file.read_bytes())
        except Exception as error:  # an import may fail in any way
            return missing if isinstance(error, ModuleNotFoundError) else f"{type(error).__name__}: {error}"
        return f"source {digest.hexdigest()[:12]}"

    return source


def _look_at_workers(spark: SparkSession, driver: Machine) -> list[Finding]:
    from pyspark.sql import functions as F

    read = _reader()

    def probe(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as arrow
        import pyarrow.compute as compute

        ids = [batch.column(0) for batch in batches]
        n_rows = sum(len(column) for column in ids)
        total = sum(compute.sum(column).as_py() or 0 for column in ids)
        names = ["facts", "n", "total"]
        yield arrow.RecordBatch.from_arrays([arrow.array([cell]) for cell in (read(), n_rows, total)], names)

    try:
        parts = spark.range(_MAX_TASKS).select(F.spark_partition_id().alias("part"))
        last = parts.agg(F.max("part")).collect()[0][0]  # bounded: one row
        n_tasks = min(max(2 * (last + 1), _MIN_TASKS), _MAX_TASKS)  # two for each core that Spark has so far
        numbers = spark.range(0, n_tasks * _ROWS_PER_TASK, 1, n_tasks)
        rows = numbers.mapInArrow(probe, _FACTS).collect()  # bounded: one row a task
    except Exception as error:  # workers without Python or pyarrow, or with another Python, all fail the job
        fix = "set PYSPARK_PYTHON (spark.pyspark.python) to a Python with this wheel on all workers, or use --archives"
        return [Finding("mapInArrow on workers", brief(error), Level.WRONG, fix)]
    n_rows, total = sum(row["n"] for row in rows), sum(row["total"] for row in rows)
    workers = [Machine.from_json(text) for text in sorted({row["facts"] for row in rows})]
    arrow = checks.check_arrow(n_rows, total, expected_rows=n_tasks * _ROWS_PER_TASK)
    return [arrow, *checks.check_workers(driver, workers)]


def _look_at_delta(spark: SparkSession, write_to: str | None) -> list[Finding]:
    place, where = temporary_place(write_to), write_to or "the current schema"
    coordinate = delta_coordinate(spark.version)
    try:
        engine = _write_and_read(spark, place)
    except Exception as error:  # Spark, the catalog and the storage each have their own classes
        found = [checks.delta_failed(where, brief(error), coordinate)]
    else:
        written = Finding(f"delta table in {where}", f"{_ROWS_PER_TASK:,} rows written and read")
        found = [checks.check_delta(engine, coordinate.rpartition(":")[2]), written]
    left = _remove(spark, place)
    if left and found[-1].level is Level.OK:
        found.append(Finding("temporary table", f"{place} is still there: {left}", Level.WARN, "remove it"))
    return found


def temporary_place(write_to: str | None) -> Place:
    """Returns a name for a table that cannot exist yet, in a schema or in a folder.

    A table in a folder gets a folder of its own around it, which can be dropped as a schema.
    """
    name = SMOKE + secrets.token_hex(6)
    if write_to is None:
        return Place(name, is_path=False)
    if not Place.named(write_to).is_path:
        return Place(f"{write_to}.{name}", is_path=False)
    return Place.named(f"{write_to.rstrip('/')}/{name}/{name}")


def _write_and_read(spark: SparkSession, place: Place) -> str:
    """Writes a table, reads it back, and returns Delta's `engineInfo` of the write."""
    writer = spark.range(_ROWS_PER_TASK).write.format("delta").mode("error")
    if place.is_path:
        writer.save(place.name)
    else:
        writer.saveAsTable(place.name)
    read = spark.read.format("delta").load(place.name) if place.is_path else spark.read.table(place.name)
    if read.count() != _ROWS_PER_TASK:
        raise EnvironmentNotReadyError("the table that was read back does not have the rows that were written")
    history = spark.sql(f"DESCRIBE HISTORY {place.identifier}").select("engineInfo")
    return str(history.collect()[0]["engineInfo"])  # bounded: one commit


def _remove(spark: SparkSession, place: Place) -> str:
    """Drops the temporary table; returns the error that prevented it, or an empty string."""
    folder, _, name = place.name.rpartition("/")
    try:
        if place.is_path:  # Spark has no other way to delete a folder in any store
            location = folder.replace("\\", "\\\\").replace("'", "\\'")
            spark.sql(f"CREATE SCHEMA {name} LOCATION '{location}'")
            spark.sql(f"DROP SCHEMA {name} CASCADE")
        else:
            spark.sql(f"DROP TABLE IF EXISTS {place.name}")
    except Exception as error:  # as above
        return brief(error)
    return ""


def _look_at_jax() -> Finding:
    from threea_spark.adapt import devices

    try:
        devices.try_kernel()
        return checks.check_device(*devices.chosen_device())
    except Exception as error:  # a missing package, or one that does not compute
        return checks.no_jax(brief(error))


def _look_at_neural_tangents() -> Finding:
    from threea_spark.adapt.reference_kernel import INSTALL, import_stax

    try:
        import_stax()
    except Exception as error:
        return Finding(
            "neural_tangents", brief(error), Level.WARN, f"for `adapt.kernel: neural_tangents` only: {INSTALL}"
        )
    return Finding("neural_tangents", "imports; used for `adapt.kernel: neural_tangents` only")


def _look_at_lightgbm() -> Finding:
    try:
        return Finding("lightgbm", str(importlib.import_module("lightgbm").__version__))
    except Exception as error:  # also if its system library libgomp is missing
        fix = "for `threea evaluate` only: pip install 'threea-spark[evaluate]', and libgomp1 on Linux"
        return Finding("lightgbm", brief(error), Level.WARN, fix)
