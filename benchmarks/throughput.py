"""Throughput of every stage, and of one Approximate pass beside Spark ML and beside numpy without Spark.

    python benchmarks/throughput.py --json out.json [--only pass stages adapt] [--folder DIR]
    python benchmarks/throughput.py --only pass --widths 24 --components 16 64 --peers    # beside numpy alone

Every ratio is the median over rounds that run ours and the others in turns, in one tree of processes. What stands in
the JSON is not run again. GaussianMixture of Spark ML has full covariances only, and runs where k is 16 or width 24.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from throughput_pass import (  # beside this file
    N_PROCESSES,
    PEER_COORDINATES,
    PEER_WORK,
    measure,
    stage_rows,
    vectors_of,
)
from throughput_stages import measure_adapt, measure_stages  # beside this file

from threea_spark.session import build_session

Record = dict[str, Any]
PASS_ROWS = {24: 8_000_000, 100: 2_000_000, 600: 300_000}
COMPONENTS = (16, 64, 256, 1024)
STAGE_ROWS = {24: 2_000_000, 100: 400_000, 600: 40_000}
ADAPT = [(50, 20_000, 60), (50, 100_000, 60), (200, 20_000, 60), (200, 100_000, 60)]
MIXTURE_WORK = 100.0  # Spark ML's mixture has matrices: its iteration costs about so much more than KMeans'
SECTIONS = {"approximate_pass": ("k", "width"), "stages": ("width",), "adapt": ("support", "rows", "steps")}


class Store:
    """The JSON file: sections of records, whole at any moment."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.content: dict[str, list[Record]] = {section: [] for section in SECTIONS}
        if path is not None and path.exists():
            self.content.update(json.loads(path.read_text()))

    def holds(self, section: str, **key: Any) -> bool:
        """Tells whether a record has these values."""
        return any(all(row[name] == value for name, value in key.items()) for row in self.content[section])

    def add(self, section: str, records: Sequence[Record]) -> None:
        """Stores records."""
        self.content[section] += records
        if self._path is not None:
            part = self._path.with_name(f"{self._path.name}.part")
            part.write_text(json.dumps(self.content, indent=1))
            part.replace(self._path)


def peers_of(spark: Any, staged: Any, k: int, width: int, asked: Sequence[str]) -> dict[str, tuple[Any, int]]:
    """Cached input of each peer that runs at this size, and its rows."""
    peers: dict[str, tuple[Any, int]] = {}
    work = {"KMeans": 1.0}
    if k == 16 or width == 24:
        work["GaussianMixture"] = MIXTURE_WORK * width / 24
    for kind, factor in [(kind, factor) for kind, factor in work.items() if kind in asked]:
        most = min(staged.n_rows, PEER_COORDINATES / width)
        n_rows = int(min(most, max(PEER_WORK / (k * width * factor), 4 * k)))
        peers[kind] = vectors_of(spark, staged, n_rows)
    return peers


def run_passes(spark: Any, pool: ProcessPoolExecutor, store: Store, given: argparse.Namespace) -> None:
    """Measures a pass at every k and width."""
    for width in given.widths:
        staged = stage_rows(spark, given.folder / f"staged_{width}", width, int(PASS_ROWS[width] * given.scale), 8)
        for k in given.components:
            if not store.holds("approximate_pass", k=k, width=width):
                peers = peers_of(spark, staged, k, width, given.peers)
                store.add("approximate_pass", measure(spark, pool, staged, peers, k, given.repeat))
                for rows, _ in peers.values():
                    rows.unpersist()


def shown(store: Store) -> None:
    """Prints a table for each section."""
    for section, records in store.content.items():
        table = Table(title=section)
        for name in records[0] if records else ():
            table.add_column(name, justify="right")
        for row in records:
            table.add_row(*[f"{v:,.3g}" if isinstance(v, float) and v < 1e3 else _plain(v) for v in row.values()])
        Console().print(table)


def _plain(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else str(value if value is not None else "-")


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="*", default=["pass", "stages", "adapt"])
    parser.add_argument("--widths", nargs="*", type=int, default=list(PASS_ROWS), help="of the pass")
    parser.add_argument("--components", nargs="*", type=int, default=list(COMPONENTS), help="of the pass")
    parser.add_argument("--peers", nargs="*", default=["KMeans", "GaussianMixture"], help="of Spark ML, of the pass")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.mkdtemp(prefix="threea-throughput-")))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of rows")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    store = Store(given.json)
    with ProcessPoolExecutor(N_PROCESSES) as pool:
        list(pool.map(abs, range(N_PROCESSES)))  # the processes start before the JVM does
        extra = {"spark.driver.memory": "8g"}  # for the rows that Spark ML wants cached
        spark = build_session("throughput", master=f"local[{N_PROCESSES}]", extra=extra)
        sections: dict[str, Callable[[], None]] = {
            "adapt": lambda: _run_adapt(store, given.scale),
            "stages": lambda: _run_stages(spark, given.folder, store, given.repeat, given.scale),
            "pass": lambda: run_passes(spark, pool, store, given),
        }
        for name, run in sections.items():
            if name in given.only:
                run()
    shown(store)


def _run_adapt(store: Store, scale: float) -> None:
    for support, rows, steps in ADAPT:
        n_rows = int(rows * scale)
        if not store.holds("adapt", support=support, rows=n_rows, steps=steps):
            store.add("adapt", [measure_adapt(support, n_rows, steps)])


def _run_stages(spark: Any, folder: Path, store: Store, repeat: int, scale: float) -> None:
    for width, n_rows in STAGE_ROWS.items():
        if not store.holds("stages", width=width):
            store.add("stages", measure_stages(spark, folder, width, int(n_rows * scale), repeat))


if __name__ == "__main__":
    main()
