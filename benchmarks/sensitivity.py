"""Searches for neighbouring tables that move a noisy sum further than its price covers; there must be none.

    python benchmarks/sensitivity.py --json out/sensitivity.json [--only mixing] [--starts 12] [--steps 60]

Each start draws public parameters, a base table (empty, one row, many) and a unit's rows, and climbs: the rows change
cell by cell, and a change stays where the sum that is aimed at moves further. The code is the library's own, the whole
release of every mode, and distances are exact integers (sensitivity_sums.py). A bound that the search fills shows
that it would find a breach; where none fills it, the most that was found says how loose the bound is.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as Report
from sensitivity_rows import MODES, Row, hard_cell, hard_row, plain_table, release_config  # beside this file
from sensitivity_sums import Moved, Release, Sums, moved  # beside this file

from threea_spark import ReleaseConfig
from threea_spark.config.domain import Domain

Found = dict[str, Moved]
Pair = tuple[list[Row], list[Row]]
RELATIONS = ("add_or_remove_one", "replace_one")
UNITS = (1, 3)
BASE_ROWS = (40, 0, 1)
N_PROCESSES = 2
_CLIP_NORMS: tuple[Any, ...] = ("auto", 0.3, 2.0)
_MIX_SIZES = (1, 4, 30)
_COMPONENTS = (1, 2, 4)


def main() -> None:
    """Searches all modes, writes and prints the most that was found for each sum."""
    given = _parser().parse_args()
    cases = [(mode, relation, m) for mode in MODES if given.only in mode for relation in RELATIONS for m in UNITS]
    records: list[dict[str, Any]] = []
    with ProcessPoolExecutor(N_PROCESSES) as pool:
        for found in pool.map(partial(_searched, starts=given.starts, steps=given.steps), cases):
            records += found
            Console().print(f"{found[0]['mode']}, {found[0]['relation']}, {found[0]['max_rows']} rows a unit: done")
            if given.json:
                given.json.parent.mkdir(parents=True, exist_ok=True)
                given.json.write_text(json.dumps({"runs": records}, indent=1))
    show(records)


def _searched(case: tuple[str, str, int], starts: int, steps: int) -> list[dict[str, Any]]:
    mode, relation, max_rows = case
    found = search(mode, relation, max_rows, starts=starts, steps=steps, rng=np.random.default_rng(0))
    about = {"mode": mode, "relation": relation, "max_rows": max_rows}
    return [
        {**about, "sum": name, "ratio": own.ratio, "squared": str(own.squared), "bound": str(own.bound)}
        for name, own in found.items()
    ]


def search(
    mode: str, relation: str, max_rows: int, *, starts: int, steps: int, rng: np.random.Generator, aim: str = ""
) -> Found:
    """Gives the furthest that any pair of neighbours moved each sum of a mode.

    Args:
      mode, relation, max_rows: Of the releases.
      starts: Releases, each with public parameters of its own.
      steps: Changes tried in each.
      rng: Of the search; the releases draw their own noise.
      aim: The sum to climb on; each start chooses the one that was moved least so far where none is given.
    """
    best: Found = {}
    for start in range(starts):
        own = parameters(mode, rng) if start else {}
        config = release_config(mode, relation=relation, max_rows=max_rows, **own)
        release = Release(plain_table(config.domain, BASE_ROWS[start % len(BASE_ROWS)], rng), config)
        _climb(release, config, best, aim, steps, rng)
    return best


def _climb(
    release: Release, config: ReleaseConfig, best: Found, aim: str, steps: int, rng: np.random.Generator
) -> None:
    replaces, size = config.privacy.relation == "replace_one", config.privacy.privacy_unit.max_rows
    domain = config.domain
    pair: Pair = [hard_row(domain, rng) for _ in range(size)], [hard_row(domain, rng) for _ in range(size * replaces)]
    reached = furthest(moved_by(release, pair))
    for _ in range(steps):
        _keep(best, reached)
        target = aim if aim in reached else min(reached, key=lambda name: best[name].ratio)
        tried = _changed(pair, domain, rng)
        again = furthest(moved_by(release, tried))
        _keep(best, again)
        if again[target].ratio >= reached[target].ratio:
            pair, reached = tried, again


def moved_by(release: Release, pair: Pair, place: int = 0) -> list[Moved]:
    """Compares the two tables that the units of a pair make of a release's base; one may own no row."""
    one, other = (_sums(release, rows, place) for rows in pair)
    return moved(one, other)


def _sums(release: Release, rows: list[Row], place: int) -> Sums:
    return release.sums(release.base.joined_by(rows, place) if rows else release.base)


def furthest(sums: Iterable[Moved]) -> Found:
    """The furthest of the sums of a kind: steps and passes are numbered."""
    found: Found = {}
    for own in sums:
        _keep(found, {re.sub(r"-\d+$", "", own.name): own})
    return found


def _keep(best: Found, found: Mapping[str, Moved]) -> None:
    for name, own in found.items():
        if name not in best or own.ratio > best[name].ratio:
            best[name] = own


def _changed(pair: Pair, domain: Domain, rng: np.random.Generator) -> Pair:
    """Another pair: one or two cells of one row, or of all rows of the unit, are drawn anew, or all rows made equal."""
    sides = [list(rows) for rows in pair]
    side = sides[rng.integers(len([rows for rows in sides if rows]))]
    which = rng.integers(len(side))
    row = list(side[which])
    for place in rng.integers(0, len(row), rng.integers(1, 3)).tolist():
        row[place] = hard_cell(list(domain.columns.values())[place], rng)
    everywhere = rng.random() < 0.5
    side[:] = [tuple(row) if everywhere or at == which else old for at, old in enumerate(side)]
    return sides[0], sides[1]


def parameters(mode: str, rng: np.random.Generator) -> dict[str, Any]:
    """Public parameters to try; where adaptation is sampled none, since each would be calibrated for seconds."""
    wanted = MODES[mode]
    if "source" in wanted:
        return {}
    own: dict[str, Any] = {"encode": {"clip_norm": _pick(_CLIP_NORMS, rng)}}
    if wanted.get("anonymize", {}).get("generator") == "mix":
        own["anonymize"] = {"mix_size": _pick(_MIX_SIZES, rng)}
        own["approximate"] = {"components": _pick(_COMPONENTS, rng)}
    return own


def _pick(options: tuple[Any, ...], rng: np.random.Generator) -> Any:
    return options[rng.integers(len(options))]


def show(records: list[dict[str, Any]]) -> None:
    """Prints the most that was found for each sum; more than 1 is a breach."""
    table = Report(
        "sum", "relation", "rows a unit", "mode", "most of its bound", "holds", title="sensitivity", box=None
    )
    best: dict[tuple[str, str, int], dict[str, Any]] = {}
    for record in records:
        key = record["sum"], record["relation"], record["max_rows"]
        if key not in best or record["ratio"] > best[key]["ratio"]:
            best[key] = record
    for (name, relation, max_rows), record in sorted(best.items()):
        holds = "yes" if int(record["squared"]) <= int(record["bound"]) else "NO"
        table.add_row(name, relation, str(max_rows), record["mode"], f"{record['ratio']:.4f}", holds)
    Console(width=None if Console().is_terminal else 160).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="", help="modes whose name holds this")
    parser.add_argument("--starts", type=int, default=12, help="releases a mode, relation and unit")
    parser.add_argument("--steps", type=int, default=60, help="changes tried on each")
    return parser


if __name__ == "__main__":
    main()
