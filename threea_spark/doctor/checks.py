"""Judges whether a cluster can run a release: every check is a pure function of what was found. Reads no table.

`doctor/probe.py` collects the facts, this module judges them, and `cli/doctor.py` shows the findings.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

DRIVER_ONLY = ("pandas",)
ON_WORKERS = ("numpy", "scipy", "pyarrow", "pydantic", "dp_accounting", "threadpoolctl", "ruamel.yaml")
"""Packages that the tasks of a release import, by import name."""
TASKS = ("threea_spark.engine.spark", "threea_spark.source.rows", "threea_spark.encode.packing",
         "threea_spark.approximate.components", "threea_spark.anonymize.mixed_rows")  # fmt: skip
"""Modules whose functions and classes are sent to executors."""

NEEDED = {
    "python": ("3.10", "3.14"), "pyspark": ("4.0", "4.3"), "numpy": ("1.26", None), "scipy": ("1.11", None),
    "pandas": ("2.0", "4"), "pyarrow": ("15", None), "pydantic": ("2.7", "3"), "dp_accounting": ("0.6", "0.7"),
    "threadpoolctl": ("3.1", None), "ruamel.yaml": ("0.18", None),
}  # fmt: skip
"""The first supported version and the first that is too new, as in pyproject.toml."""

MISSING = "missing"
_FIX_KEY = "mend"  # as in the JSON of 0.1.0
_BRIEF_LENGTH = 300
_NAMED = re.compile(r"(?:: |Caused by: )?([\w.$]*(?:Error|Exception): .+)")


class Level(enum.Enum):
    """Severity of a finding; only WRONG stops a release."""

    OK = "ok"
    WARN = "warn"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """The result of one check: its name, what was found, the severity, and how to fix it."""

    check: str
    found: str
    level: Level = Level.OK
    fix: str = ""


@dataclass(frozen=True)
class Machine:
    """The environment of one Python process.

    Attributes:
      host: Name of the machine.
      python: Full version of Python.
      versions: Version of each package by import name, or MISSING, or the error of the import.
      source: Digest of the source files of threea_spark, or MISSING.
      failed: Errors of the modules in TASKS that could not be imported.
    """

    host: str
    python: str
    versions: Mapping[str, str]
    source: str
    failed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Machine:
        """Parses the output of a probe."""
        return cls(**json.loads(text))


def as_json(findings: Sequence[Finding]) -> str:
    """Returns all findings as JSON."""
    checks = [{"check": f.check, "found": f.found, "level": f.level.value, _FIX_KEY: f.fix} for f in findings]
    return json.dumps({"ok": not wrong(findings), "checks": checks}, indent=1)


def wrong(findings: Sequence[Finding]) -> list[str]:
    """Returns the names of the checks that stop a release."""
    return [finding.check for finding in findings if finding.level is Level.WRONG]


def brief(error: BaseException) -> str:
    """Returns one line of an error: the last that names one, as Python and Java put the cause there, or the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    named = [found.group(1) for line in lines if (found := _NAMED.match(line))]
    text = named[-1] if named else f"{type(error).__name__}: {lines[0]}"
    return text if len(text) <= _BRIEF_LENGTH else text[: _BRIEF_LENGTH - 3] + "..."


def check_version(name: str, found: str, *, where: str = "on the driver") -> Finding:
    """Compares a version with NEEDED."""
    low, high = NEEDED[name]
    wanted = f"{name} {low} or newer" if high is None else f"{name} from {low} to below {high}"
    number = _number(found)
    fits = number is not None and number >= _bound(low) and (high is None or number < _bound(high))
    if fits:
        return Finding(f"{name} {where}", found)
    return Finding(f"{name} {where}", found, Level.WRONG, f"{wanted} is needed {where}")


def check_driver(driver: Machine) -> list[Finding]:
    """Judges the driver's own Python and packages."""
    found = [check_version("python", driver.python)]
    found += [check_version(name, driver.versions[name]) for name in (*DRIVER_ONLY, *ON_WORKERS)]
    return found


def check_spark(server: str, client: str) -> list[Finding]:
    """Judges the version of Spark's server, and of the pyspark that connects to it."""
    found = [check_version("pyspark", server, where="of the cluster")]
    if _line(server) != _line(client):
        fix = f"install the cluster's version of pyspark, {_line(server)}"
        found.append(Finding("pyspark on the driver", f"{client}, and Spark {server}", Level.WARN, fix))
    return found


def check_arrow(n_rows: int, total: int, *, expected_rows: int) -> Finding:
    """Judges the sum that the tasks computed of the numbers below `expected_rows`."""
    found = f"{n_rows:,} rows in Arrow batches"
    if (n_rows, total) == (expected_rows, expected_rows * (expected_rows - 1) // 2):
        return Finding("mapInArrow on workers", found)
    fix = "rows were lost or duplicated on their way through Python; do not release on this cluster"
    return Finding("mapInArrow on workers", f"{found}, of {expected_rows:,}", Level.WRONG, fix)


def check_workers(driver: Machine, workers: Sequence[Machine]) -> list[Finding]:
    """Compares the Python environments of all workers with the driver's.

    A task that is retried elsewhere must draw the same noise, and what the driver pickles must mean the same on the
    workers, so versions and the source of threea_spark have to be the same everywhere.
    """
    found = [Finding("workers seen", f"hosts: {len({w.host for w in workers})}, environments: {len(workers)}")]
    found.append(_same_python(driver, workers))
    for name in ON_WORKERS:
        found.append(_same(f"{name} on workers", driver.versions[name], [w.versions[name] for w in workers], name))
    found.append(_same("threea_spark on workers", driver.source, [w.source for w in workers], "this wheel"))
    failed = sorted({f"{module}: {error}" for w in workers for module, error in w.failed.items()})
    if failed:
        fix = "install the wheel and its dependencies on the workers, or ship them with --archives"
        found.append(Finding("tasks import on workers", failed[0], Level.WRONG, fix))
    else:
        found.append(Finding("tasks import on workers", f"{len(TASKS)} modules"))
    return found


def check_delta(engine: str, tried: str) -> Finding:
    """Judges the version of Delta that wrote the temporary table.

    Args:
      engine: Delta's `engineInfo`, such as Apache-Spark/4.2.0 Delta-Lake/4.4.0.
      tried: The version of Delta with which this library is tested on this Spark.
    """
    version = re.search(r"Delta-Lake/([\d.]+)", engine)
    if version is None or version.group(1) == tried:  # a platform's own Delta is versioned by the platform
        return Finding("delta", engine)
    return Finding("delta", engine, Level.WARN, f"this library was tested with Delta {tried} on this Spark")


def delta_failed(place: str, error: str, coordinate: str) -> Finding:
    """Explains how to fix that a temporary table could not be written, read or counted."""
    if "DATA_SOURCE_NOT_FOUND" in error or "CONFIGURE_SPARK_SESSION" in error or "ClassNotFound" in error:
        fix = (
            f"start Spark with --packages {coordinate}, spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension "
            "and spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog"
        )
    else:
        fix = "grant this user the right to create tables there, or choose another place with --write-to"
    return Finding(f"delta table in {place}", error, Level.WRONG, fix)


def check_device(name: str, why_no_gpu: str) -> Finding:
    """Judges the device that jax computes on, on the driver; all fits also run on a CPU, only more slowly."""
    if not name.startswith("cpu"):
        return Finding("jax on the driver", name)
    if why_no_gpu:
        fix = f"no GPU is used: {why_no_gpu}; look at nvidia-smi on the driver"
    else:
        fix = "no GPU: fits run on the CPU, slower; to use one, pip install 'threea-spark[gpu]' on a driver with a GPU"
    return Finding("jax on the driver", name, Level.WARN, fix)


def no_jax(error: str) -> Finding:
    """What to do where jax does not compute at all."""
    return Finding("jax on the driver", error, Level.WRONG, "pip install 'jax>=0.5.3', or set adapt.method: none")


def _same_python(driver: Machine, workers: Sequence[Machine]) -> Finding:
    others = sorted({w.python for w in workers} - {driver.python})
    if not others:
        return Finding("python on workers", driver.python)
    level = Level.WRONG if any(_line(other) != _line(driver.python) for other in others) else Level.WARN
    fix = "set PYSPARK_PYTHON (spark.pyspark.python) to the driver's version of Python"
    return Finding("python on workers", f"{', '.join(others)}, and {driver.python} on the driver", level, fix)


def _same(check: str, own: str, theirs: Sequence[str], what: str) -> Finding:
    others = sorted(set(theirs) - {own})
    if not others and own != MISSING:
        return Finding(check, own)
    found = f"{', '.join(others) or MISSING}, and {own} on the driver"
    return Finding(check, found, Level.WRONG, f"install the same version of {what} on workers and driver")


def _number(version: str) -> tuple[int, ...] | None:
    matched = re.match(r"\d+(\.\d+)*", version)
    return None if matched is None else tuple(int(part) for part in matched.group().split("."))


def _bound(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _line(version: str) -> str:
    return ".".join(version.split(".")[:2])
