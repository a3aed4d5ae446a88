"""The tables that scaling.py prints: figures of each run, seconds of its steps, core-seconds, and how they grow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

Record = dict[str, Any]
HEADER = "rows cores seconds ratio rewrite driver workers jvm shuffled staged source released".split()
BYTES = ("driver_mb", "worker_mb", "jvm_mb", "shuffled_mb", "staged_mb", "source_mb", "released_mb")
MILLION = 1e6


def exponent_of(runs: Sequence[Record]) -> float | None:
    """The slope of the least-squares line of log seconds on log rows; None where all runs have as many rows."""
    rows, seconds = ([run[name] for run in runs] for name in ("rows", "seconds"))
    return round(float(np.polyfit(np.log(rows), np.log(seconds), 1)[0]), 3) if len(set(rows)) > 1 else None


def show(runs: Sequence[Record], strong: Sequence[Record], cores: int) -> None:
    """Prints all runs, the seconds of their stages, and what they say of growth; wide where the output is a file."""
    console = Console(width=None if Console().is_terminal else 200)
    if runs:
        console.print(_figures(runs), "", _stages(runs), "", _cores(runs), sep="\n")
    if strong:
        console.print("\nthe same table on more cores", _stages(strong), sep="\n")
    runs = [run for run in runs if run["cores"] == cores]
    if (exponent := exponent_of(runs)) is not None:
        moved = runs[-1]["driver_mb"] - runs[0]["driver_mb"]
        console.print(
            f"\nFrom {runs[0]['rows']:,} to {runs[-1]['rows']:,} rows seconds grow as rows^{exponent:.2f}, and the "
            f"driver's memory moves by {moved:+,.0f} MB, {moved / max(runs[0]['driver_mb'], 1.0):+.0%}"
        )


def _figures(runs: Sequence[Record]) -> Table:
    table = Table(*HEADER, title="releases of growing tables, memory and bytes in MB", box=None)
    for run in runs:
        rewrites = ", ".join(f"{seconds:.1f}" for seconds in run["rewrite_seconds"])
        times = [f"{run['seconds']:.1f}", f"{run['ratio_to_rewrite']:.2f}", rewrites]
        sizes = [f"{run[name]:,.1f}" for name in BYTES]
        table.add_row(f"{run['rows']:,}", str(run["cores"]), *times, *sizes)
    return table


def _stages(runs: Sequence[Record]) -> Table:
    """Seconds of stages, one line a stage and one column a run."""
    table = Table("seconds on cores", *[f"{run['rows']:,} on {run['cores']}" for run in runs], box=None)
    for name in dict.fromkeys(name for run in runs for name in run["stages"]):
        table.add_row(name, *[f"{run['stages'][name]:.1f}" if name in run["stages"] else "-" for run in runs])
    table.add_row("all", *[f"{run['seconds']:.1f}" for run in runs])
    first = {run["rows"]: run["seconds"] for run in reversed(runs)}  # on the fewest cores
    if len({run["cores"] for run in runs}) > 1:
        table.add_row("speed-up", *[f"{first[run['rows']] / run['seconds']:.2f}" for run in runs])
    return table


def _cores(runs: Sequence[Record]) -> Table:
    """Core-seconds a million rows of each step of each run: of the Python workers, the JVM and the driver."""
    title = "core-seconds a million rows: workers, jvm, driver"
    table = Table("step", *[f"{run['rows']:,} on {run['cores']}" for run in runs], title=title, box=None)
    steps = dict.fromkeys(name for run in runs for name in run.get("core_seconds", {}))
    for name in steps:
        table.add_row(name, *[_in_parts(run, [name]) for run in runs])
    table.add_row("all", *[_in_parts(run, steps) for run in runs])
    return table


def _in_parts(run: Record, steps: Iterable[str]) -> str:
    own = [run.get("core_seconds", {}).get(name, {}) for name in steps]
    sums = [sum(step.get(part, 0.0) for step in own) for part in ("worker", "jvm", "driver")]
    return ", ".join(f"{MILLION * used / run['rows']:.2f}" for used in sums)
