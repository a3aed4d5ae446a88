"""Watches a release: memory of its processes, bytes staged and bytes shuffled, and a yardstick.

A thread of the process that started the run looks every half second, and keeps the highest it saw. Linux only, for it
reads /proc; elsewhere no process is seen and the peaks of memory stay 0. Shuffles are read from Spark's event log.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

INTERVAL_SECONDS = 0.5
PARTS = ("driver", "worker", "jvm")
MEGABYTE = 1e6
_PROC = Path("/proc")
_TASK_END = '{"Event":"SparkListenerTaskEnd"'
_PAGE = os.sysconf("SC_PAGE_SIZE")


def memory_of(pid: int) -> int:
    """Bytes that a process holds, pages it shares counted by its share of them (PSS); RSS where PSS is not readable.

    Returns:
      0 where there is no such process any more.
    """
    try:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def processes_of(root: int) -> dict[int, str]:
    """Finds a process and all below it, each with its part: `driver`, `jvm`, or `worker` for what a JVM started."""
    children: dict[int, list[tuple[int, bool]]] = {}
    for pid, parent, name in _all_processes():
        children.setdefault(parent, []).append((pid, name == "java"))
    parts, waiting = {root: "driver"}, [root]
    while waiting:
        parent = waiting.pop()
        for pid, is_java in children.get(parent, []):
            parts[pid] = "jvm" if is_java else "driver" if parts[parent] == "driver" else "worker"
            waiting.append(pid)
    return parts


def bytes_below(folders: Iterable[Path], pattern: str = "*.parquet") -> int:
    """Sums the sizes of the files below folders, leaving out those that vanish meanwhile."""
    total = 0
    for folder in folders:
        for file in folder.rglob(pattern):
            try:
                total += file.stat().st_size
            except OSError:
                continue
    return total


def shuffled_bytes(log_folder: Path, start: float, end: float) -> int:
    """Sums what tasks launched between two times wrote for shuffles, from Spark's uncompressed event logs.

    Args:
      log_folder: Where the logs lie, one file each or in folders of their own.
      start, end: Seconds since the epoch.
    """
    total = 0
    for file in log_folder.rglob("[!.]*"):
        if not file.is_file():
            continue
        with file.open() as lines:
            ends = [json.loads(line) for line in lines if line.startswith(_TASK_END)]
        for event in ends:
            if start <= event["Task Info"]["Launch Time"] / 1000 <= end:
                metrics = event.get("Task Metrics") or {}  # a task that failed may have none
                total += metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
    return total


def rewrite_seconds(spark: Any, source: Path, copy: Path) -> float:
    """The yardstick: seconds to read a Delta table, cast its columns and write them; the copy is removed."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import NumericType

    rows, cast = spark.read.format("delta").load(str(source)), {}
    for field in rows.schema.fields:
        if not field.dataType.typeName().startswith("timestamp"):
            cast[field.name] = F.col(field.name).cast("double" if isinstance(field.dataType, NumericType) else "string")
    rows.inputFiles()  # the first look at a table's log is not the yardstick's
    start = time.monotonic()
    rows.withColumns(cast).write.format("delta").save(str(copy))
    seconds = time.monotonic() - start
    shutil.rmtree(copy)
    return round(seconds, 2)


def table_bytes(spark: Any, place: Path) -> int:
    """The size of a Delta table's current files."""
    return int(spark.sql(f"DESCRIBE DETAIL delta.`{place}`").collect()[0]["sizeInBytes"])  # bounded: one row


class PeakSampler(threading.Thread):
    """Keeps the highest memory of each part of a run's processes, and the highest size of its staging table.

    Attributes:
      peaks: Bytes by part, and `staged`.

    Args:
      root: The process that runs the release.
      warehouse: Folder where its session keeps tables.
      flag: A file that the process keeps for as long as its peaks count.
    """

    def __init__(self, root: int, warehouse: Path, flag: Path) -> None:
        super().__init__(daemon=True)
        self.peaks = dict.fromkeys((*PARTS, "staged"), 0)
        self._root, self._warehouse, self._flag = root, warehouse, flag
        self._over = threading.Event()

    def run(self) -> None:
        """Looks until told to stop."""
        while not self._over.wait(INTERVAL_SECONDS):
            if self._flag.exists():
                self.look()

    def look(self) -> None:
        """Looks once."""
        now = dict.fromkeys(self.peaks, 0)
        for pid, part in processes_of(self._root).items():
            now[part] += memory_of(pid)
        now["staged"] = bytes_below(self._warehouse.glob("threea_staging_*"))
        self.peaks = {part: max(peak, now[part]) for part, peak in self.peaks.items()}

    def stop(self) -> dict[str, int]:
        """Stops looking, and gives the peaks."""
        self._over.set()
        self.join()
        return self.peaks


def watched(command: Sequence[str], warehouse: Path, flag: Path) -> tuple[int, dict[str, float]]:
    """Runs a command to its end, and gives its exit status and the peaks, in megabytes.

    Args:
      command: Of the process that runs the release.
      warehouse, flag: See `PeakSampler`.
    """
    process = subprocess.Popen(command)
    sampler = PeakSampler(process.pid, warehouse, flag)
    sampler.start()
    status = process.wait()
    peaks = sampler.stop()
    return status, {f"{name}_mb": megabytes(peak) for name, peak in peaks.items()}


@contextmanager
def counted(flag: Path) -> Iterator[list[float]]:
    """Keeps a flag while it lasts, and fills in when it started and ended, in seconds since the epoch."""
    window = [time.time()]
    flag.touch()
    try:
        yield window
    finally:
        flag.unlink()
        window.append(time.time())


def event_log(folder: Path) -> dict[str, str]:
    """Spark settings that write an event log into a folder, which is made."""
    folder.mkdir()
    settings = {"enabled": "true", "compress": "false", "dir": folder.as_uri()}
    return {f"spark.eventLog.{name}": value for name, value in settings.items()}


def megabytes(size: float) -> float:
    """Bytes as megabytes, to a tenth."""
    return round(size / MEGABYTE, 1)


def machine() -> str:
    """What ran it, without names."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    pythons = f"Python {platform.python_version()}, Spark {version('pyspark')}, threea-spark {version('threea-spark')}"
    return f"{os.cpu_count()} cores, {memory:.0f} GiB memory, {platform.system()} {platform.machine()}, {pythons}"


def _all_processes() -> Iterator[tuple[int, int, str]]:
    """All processes: pid, parent and name."""
    for folder in _PROC.glob("[0-9]*"):
        try:
            before, _, after = (folder / "stat").read_text().rpartition(")")
            yield int(folder.name), int(after.split()[1]), before.partition("(")[2]
        except (OSError, IndexError):
            continue
