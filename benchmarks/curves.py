"""Measures what `threea plan` expects of models: released against real rows, by table, number of rows and epsilon.

    python benchmarks/curves.py --data folder --json out/curves.json [--tables a b] [--passes 1 2 3]

The folder and its protocol are those of utility.py. Training rows are thinned to each size, released in this process,
and scored on the held-out rows, beside the same number of real rows. Runs that the JSON holds are not repeated. Passes
go over all tables, so that a run that is cut short has measured each of them. curve_fit.py fits the curves.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from source import load_protocol  # this and the next are beside this file
from trained_rows import trained_rows
from utility import DELTA, Results

from threea_spark.errors import ThreeAError

MOST_ROWS, LEAST_ROWS = 20_000, 400
PASSES = {
    1: ((1.0, 1.0), (0.25, 0.25)),
    2: ((0.0625, 2.0), (0.25, 4.0), (1.0, 0.25)),
    3: ((1.0, 4.0), (0.25, 1.0), (0.0625, 8.0)),
    4: ((1.0, 8.0), (0.25, 0.5)),
    5: ((5.0, 1.0), (5.0, 0.25)),
}
"""By pass, parts of a table's rows (of 20,000 at most) with an epsilon; the last takes what large tables hold."""


def main() -> None:
    """Runs what is missing."""
    arguments = _parser().parse_args()
    protocol = load_protocol(arguments.protocol or arguments.data.parent / "bench" / "protocol.py")
    results = Results(arguments.json)
    tables = arguments.tables or sorted(json.loads((arguments.data / "CATALOG.json").read_text()))
    for number in arguments.passes:
        for table in tables:
            _measure(table, PASSES[number], arguments, protocol, results)


def points(n_train: int, parts: tuple[tuple[float, float], ...]) -> Iterator[tuple[int, float]]:
    """Numbers of rows that a table has, each with the epsilon that they are released under."""
    for part, epsilon in parts:
        n_rows = round(part * min(n_train, MOST_ROWS))
        if LEAST_ROWS <= n_rows <= n_train:
            yield n_rows, epsilon


def _measure(
    table: str,
    parts: tuple[tuple[float, float], ...],
    arguments: argparse.Namespace,
    protocol: ModuleType,
    results: Results,
) -> None:
    frame, domain = protocol.load(table, arguments.data)
    train, test = protocol.split(frame, domain, 0)
    for n_rows, epsilon in points(len(train), parts):
        thinned = train.sample(n_rows, random_state=0).reset_index(drop=True)
        plain = {"table": table, "rows": n_rows, "columns": len(domain["columns"]), "seed": 0}
        keys = [{**plain, "generator": "real"}, {**plain, "generator": "sample", "epsilon": epsilon}]
        for key in keys:
            if results.find(key) is None:
                results.add(key, _outcome(key, thinned, test, domain, protocol))


def _outcome(
    key: dict[str, Any], train: pd.DataFrame, test: pd.DataFrame, domain: dict[str, Any], protocol: ModuleType
) -> dict[str, Any]:
    settings = {"delta": DELTA, "adapt": "kip", "generator": "sample", "override": None}
    asked = argparse.Namespace(epsilon=key.get("epsilon"), **settings)
    try:
        rows, seconds = trained_rows({**key, "engine": "memory"}, asked, train, domain)
        return {**protocol.score(rows, test, domain), "seconds": round(seconds, 1)}
    except (ThreeAError, ValueError) as error:  # a table without any row of a class has no AUC
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--protocol", type=Path)
    parser.add_argument("--json", type=Path, default=Path("out/curves.json"))
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--passes", nargs="*", type=int, default=sorted(PASSES))
    return parser


if __name__ == "__main__":
    main()
