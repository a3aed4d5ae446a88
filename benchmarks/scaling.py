"""Whole releases of growing tables: seconds, memory and bytes, and how they grow; and the same on fewer cores.

    python benchmarks/scaling.py [--rows 1e6 4e6] [--cores 2] [--strong-rows 4e6] [--strong-cores 1 2] [--folder DIR]

Tables are warehouse.py's: 24 mixed columns, flights replicated. A release runs in a process of its own, epsilon 1, all
stages on. Before it is timed, that process releases and rewrites a table of few rows with the same settings, so that
the JVM's start and the compilers' work do not weigh on small runs. Right before and right after the release it times
the yardstick: Spark reads the same table, casts numbers to double and all else but points in time to string, and writes
that to Delta. The ratio is the release's seconds over the mean of both.

Memory is PSS at its highest during the release: of the Python process that calls it, of the JVM (with what its heap
kept from before), of all Python workers together. Staged bytes are the private staging table's on disk. Cores are
Spark's, local[N]: the driver's own numpy and the JVM's collector may use more. A megabyte is 10^6 bytes.
Core-seconds are the processor time of driver, JVM and Python workers in each step.
Results are stored in the JSON as they come; what stands there is not run again, unless --again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import process_memory as watch  # beside this file
from scaling_tables import exponent_of, show  # beside this file
from stage_clock import StageClock  # beside this file
from warehouse import DOMAIN, write_table  # beside this file

from threea_spark import ReleaseConfig, release
from threea_spark.session import build_session

Record = dict[str, Any]
FEW_ROWS, N_WARM_REWRITES = 50_000, 3  # of the warm-up
FLAG, RECORD = "releasing", "record.json"
SETTINGS: Record = {
    "privacy": {"epsilon": 1.0, "delta": 1e-8, "unit": "row"},
    "approximate": {"iterations": 4},
    "anonymize": {"generator": "sample", "rows": "match"},
}
STRONG_FIELDS = ("cores", "rows", "seconds", "stages")


class Results:
    """The JSON file: runs of growing tables, runs of one table on more cores, and the exponent on so many `cores`."""

    def __init__(self, path: Path, cores: int) -> None:
        self._path, self.cores = path, cores
        stored: Record = json.loads(path.read_text()) if path.exists() else {}
        self._series: dict[str, list[Record]] = {name: stored.get(name, []) for name in ("runs", "strong")}

    def find(self, series: str, rows: int | None = None, cores: int | None = None) -> list[Record]:
        """Finds the runs of a series, of all sizes and cores where none are given."""
        found = self._series[series]
        return [run for run in found if rows in (None, run["rows"]) and cores in (None, run["cores"])]

    def put(self, series: str, rows: int, cores: int, runs: Sequence[Record]) -> None:
        """Replaces the runs of so many rows on so many cores; the file is whole at any moment."""
        others = [run for run in self._series[series] if (run["rows"], run["cores"]) != (rows, cores)]
        self._series[series] = sorted([*others, *runs], key=lambda run: (run["rows"], run["cores"]))
        exponent = exponent_of(self.find("runs", cores=self.cores))
        content = {**self._series, "exponent": exponent, "machine": watch.machine()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f"{self._path.name}.part")
        part.write_text(json.dumps(content, indent=1))
        part.replace(self._path)


def main() -> None:
    """Runs what is missing, then prints the tables."""
    arguments = _parser().parse_args()
    if arguments.one:
        _one(json.loads(arguments.one))
        return
    results = Results(arguments.json, arguments.cores)
    given = arguments.folder
    with contextlib.nullcontext(given) if given else tempfile.TemporaryDirectory(prefix="threea-scaling-") as folder:
        complete = _measure_all(arguments, Path(folder).absolute(), results)
    show(results.find("runs"), results.find("strong"), results.cores)
    if not complete:
        raise SystemExit("some runs failed; they are run again by the next call")


def _measure_all(arguments: argparse.Namespace, folder: Path, results: Results) -> bool:
    """Runs and stores what is missing; says whether nothing failed."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = [(int(rows), arguments.cores) for rows in arguments.rows]
    complete = [_measure("runs", *pair, arguments, folder, results) for pair in asked]
    for pair in [(int(arguments.strong_rows), cores) for cores in arguments.strong_cores]:
        if pair in asked:  # the very same run
            same = [{name: run[name] for name in STRONG_FIELDS} for run in results.find("runs", *pair)]
            results.put("strong", *pair, same or results.find("strong", *pair))
        else:
            complete.append(_measure("strong", *pair, arguments, folder, results))
    return all(complete)


def _measure(series: str, rows: int, cores: int, arguments: argparse.Namespace, folder: Path, results: Results) -> bool:
    runs = [] if arguments.again else results.find(series, rows, cores)
    while len(runs) < arguments.repeat:
        work = {"few": str(_source(folder, FEW_ROWS)), "source": str(_source(folder, rows))}
        if (run := _in_own_process({**work, "rows": rows, "cores": cores}, folder)) is None:
            return False
        print(f"{rows:,} rows, {cores} cores: {run['seconds']:.1f} s", file=sys.stderr)
        runs.append(run if series == "runs" else {name: run[name] for name in STRONG_FIELDS})
        results.put(series, rows, cores, runs)
    return True


def _source(folder: Path, rows: int) -> Path:
    """The table of so many rows, written unless it is there; none is left half written under its name."""
    place, part = folder / f"flights-{rows}", folder / f"flights-{rows}.part"
    if not place.exists():
        shutil.rmtree(part, ignore_errors=True)
        if _in_own_process({"write": str(part), "rows": rows, "cores": os.cpu_count()}, folder) is None:
            raise SystemExit(f"the table of {rows:,} rows could not be written")
        part.rename(place)
    return place


def _in_own_process(work: Record, folder: Path) -> Record | None:
    """Has a process of its own do the work while its memory is watched; None where it failed."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=folder) as scratch:
        command = [sys.executable, __file__, "--one", json.dumps({**work, "scratch": scratch})]
        status, peaks = watch.watched(command, Path(scratch) / "warehouse", Path(scratch) / FLAG)
        if not status:
            return {**json.loads((Path(scratch) / RECORD).read_text()), **peaks}
    print(f"{work.get('source', work.get('write'))}: the process ended with {status}", file=sys.stderr)
    return None


def _one(work: Record) -> None:
    """What the process of its own does: writes a source, or times a release."""
    scratch = Path(work["scratch"])
    master, extra = f"local[{work['cores']}]", watch.event_log(scratch / "events")
    spark = build_session("scaling", master=master, scratch=scratch, extra=extra)
    outcome = {"rows": work["rows"], "cores": work["cores"]}
    try:
        if "write" in work:
            write_table(spark, Path(work["write"]), work["rows"])
        else:
            outcome |= _timed(spark, Path(work["few"]), Path(work["source"]), scratch)
    finally:
        spark.stop()
    window = outcome.pop("window", (0.0, 0.0))
    outcome["shuffled_mb"] = watch.megabytes(watch.shuffled_bytes(scratch / "events", *window))
    (scratch / RECORD).write_text(json.dumps(outcome))


def _timed(spark: Any, few: Path, source: Path, scratch: Path) -> Record:
    """Times a release between two rewrites, after a warm-up of both; its window is when it started and ended."""
    target, copy = scratch / "released", scratch / "copy"
    _release(spark, few, target)
    shutil.rmtree(target)
    for _ in range(N_WARM_REWRITES):
        watch.rewrite_seconds(spark, few, copy)
    before = watch.rewrite_seconds(spark, source, copy)
    with watch.counted(scratch / FLAG) as window:
        clock = _release(spark, source, target)
    released = watch.table_bytes(spark, target)
    shutil.rmtree(target)
    after, seconds = watch.rewrite_seconds(spark, source, copy), sum(clock.seconds.values())
    return {
        "seconds": round(seconds, 2),
        "stages": clock.seconds,
        "core_seconds": clock.cores,
        "rewrite_seconds": [before, after],
        "ratio_to_rewrite": round(2.0 * seconds / (before + after), 3),
        "source_mb": watch.megabytes(watch.table_bytes(spark, source)),
        "released_mb": watch.megabytes(released),
        "window": window,
    }


def _release(spark: Any, source: Path, target: Path) -> StageClock:
    """Releases a table, and times each step."""
    content = {"source": {"path": str(source)}, "target": {"path": str(target)}, "domain": DOMAIN, **SETTINGS}
    config, clock = ReleaseConfig.from_dict(content), StageClock("plan and check")
    release(spark, config, listener=clock)
    clock.close()
    return clock


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, nargs="*", default=[1e6, 4e6, 16e6, 64e6])
    parser.add_argument("--cores", type=int, default=2, help="of the runs of growing tables")
    parser.add_argument("--strong-rows", type=float, default=4e6)
    parser.add_argument("--strong-cores", type=int, nargs="*", default=[1, 2], help="none: no strong scaling")
    parser.add_argument("--folder", type=Path, help="keeps the tables for the next call; else a temporary one")
    parser.add_argument("--json", type=Path, default=Path("out/scaling.json"))
    parser.add_argument("--repeat", type=int, default=1, help="releases of each size")
    parser.add_argument("--again", action="store_true", help="also what stands in the JSON")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
