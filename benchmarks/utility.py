"""Utility of releases on a folder of tables: train on released rows, test on real ones, beside what others reach.

    python benchmarks/utility.py --data folder --json out.json [--tables a b] [--seeds 0 1 2] [--adapt none]

The folder holds CATALOG.json and one Parquet file a table; beside it lies a protocol.py with load, split and score
(given by --protocol, or found as ../bench/protocol.py): the split and the score are the protocol's, never ours. Results
are stored in the JSON as they come, real rows and the dp-nb baseline among them. What stands there is not run again,
unless it failed. Figures of other methods come from --peers, or from ../bench/peers.json where there is one.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import yaml
from baseline import draw_baseline  # beside this file
from rich.console import Console
from rich.table import Table
from source import load_protocol, write_source  # beside this file

from threea_spark import ReleaseConfig, release
from threea_spark.errors import ThreeAError
from threea_spark.session import build_session

Record = dict[str, Any]
PEER_SLACK = 1.15  # peers that spent a little more than asked still count: some bin on top of their budget
MIN_DISTANCE = 0.05  # below it real rows teach a model nothing, so that a share of the distance says nothing
DELTA = 1e-5
HEADER = ("table", "runs", "ours", "real", "dp-nb", "best peer lgbm", "best peer linear", "ahead", "of real", "seconds")


class Results:
    """The records of a JSON file; a run that failed counts as missing, and is replaced when it has run again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: list[Record] = json.loads(path.read_text()) if path.exists() else []

    def find(self, key: Mapping[str, Any]) -> Record | None:
        """Finds the record of a run that did not fail."""
        return next((row for row in self._records if _matches(row, key) and "failed" not in row), None)

    def add(self, key: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
        """Stores what a run gave; the file is whole at any moment."""
        plain = {name: None if value != value else value for name, value in outcome.items()}  # JSON knows no NaN
        self._records = [row for row in self._records if not _matches(row, key)] + [{**key, **plain}]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f"{self._path.name}.part")
        part.write_text(json.dumps(self._records, indent=1))
        part.replace(self._path)


def main() -> None:
    """Runs what is missing, then prints the table."""
    arguments = _parser().parse_args()
    bench = arguments.data.parent / "bench"
    protocol = load_protocol(arguments.protocol or bench / "protocol.py")
    peers_file = arguments.peers or bench / "peers.json"
    peers = json.loads(peers_file.read_text())["tables"] if arguments.peers or peers_file.exists() else {}
    known = sorted(json.loads((arguments.data / "CATALOG.json").read_text()))
    tables = arguments.tables or known
    if unknown := sorted(set(tables) - set(known)):
        raise SystemExit(f"{arguments.data} holds no table {unknown}; there are {known}")
    results = Results(arguments.json)
    for table in tables:
        _run_table(table, arguments, protocol, results)
    rows = [summary_row(table, arguments, results, peers.get(table, [])) for table in tables]
    show(rows)
    if arguments.markdown:
        arguments.markdown.write_text(markdown(rows))


def keys_of(arguments: argparse.Namespace, table: str, seed: int) -> dict[str, Record]:
    """Says which runs are asked for, by the role of each: real, dp-nb and ours. Real rows know no epsilon."""
    plain = {"table": table, "seed": seed, **dict.fromkeys(("epsilon", "delta", "adapt", "override"))}
    spent = {**plain, "epsilon": arguments.epsilon, "delta": arguments.delta}
    keys: dict[str, Record] = {}
    if arguments.baselines:
        keys = {"real": {**plain, "generator": "real"}, "dp-nb": {**spent, "generator": "dp-nb"}}
    if arguments.generator != "none":
        keys["ours"] = {**spent, **{name: getattr(arguments, name) for name in ("generator", "adapt", "override")}}
    return keys


def best_peer(rows: Iterable[Record], epsilon: float, figure: str) -> tuple[float, str] | None:
    """Finds the best figure among the peers that finished and spent at most about epsilon, with the method's name."""
    spent = [row for row in rows if row["runs"] and row["epsilon"] and row["epsilon"] <= PEER_SLACK * epsilon]
    found = [(row[figure], row["method"]) for row in spent if row.get(figure) is not None]
    return max(found, default=None)


def summary_row(table: str, arguments: argparse.Namespace, results: Results, peers: Sequence[Record]) -> list[str]:
    """Makes the table's line: ours beside the others, means over the seeds that ran, lgbm / linear."""
    found: dict[str, list[Record]] = {"real": [], "dp-nb": [], "ours": []}
    for seed in arguments.seeds:
        for role, key in keys_of(arguments, table, seed).items():
            found[role] += [record] if (record := results.find(key)) else []
    metric = "r2" if any("r2_lgbm" in record for records in found.values() for record in records) else "auc"
    figures = [f"{metric}_lgbm", f"{metric}_linear"]
    ours, real, base = ([_mean(found[role], figure) for figure in figures] for role in ("ours", "real", "dp-nb"))
    best = [best_peer(peers, arguments.epsilon, figure) for figure in figures]
    dp_nb = {"method": "dp-nb", "epsilon": arguments.epsilon, "runs": 1, **dict(zip(figures, base, strict=True))}
    rivals = [best_peer([*peers, dp_nb], arguments.epsilon, figure) for figure in figures]
    leads = [own - rival[0] for own, rival in zip(ours, rivals, strict=True) if own is not None and rival]
    shares = [_share(*pair, 0.0 if metric == "r2" else 0.5) for pair in zip(ours, real, strict=True)]
    return [
        table if metric == "auc" else f"{table} (R2)",
        f"{len(found['ours'])} of {len(arguments.seeds)}" if arguments.generator != "none" else "-",
        *(" / ".join(_text(value) for value in pair) for pair in (ours, real, base)),
        *(f"{peer[0]:.3f} ({peer[1]})" if peer else "-" for peer in best),
        "-" if len(leads) < len(figures) else "yes" if min(leads) > 0.0 else "no",
        " / ".join(_text(share, ".0%") for share in shares),
        _text(_mean(found["ours"], "seconds"), ".0f"),
    ]


def show(rows: Sequence[Sequence[str]]) -> None:
    """Prints the table, wide where the output is a file."""
    table = Table(*HEADER, title="trained on released rows, tested on real ones: lgbm / linear", box=None)
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else 200).print(table)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Writes the table as Markdown."""
    lines = [HEADER, ["---", *["---:"] * (len(HEADER) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _run_table(table: str, arguments: argparse.Namespace, protocol: ModuleType, results: Results) -> None:
    """Runs and stores what is missing of a table; reads it only then."""
    keys = {seed: keys_of(arguments, table, seed).values() for seed in arguments.seeds}
    missing = {seed: [key for key in wanted if not results.find(key)] for seed, wanted in keys.items()}
    if not any(missing.values()):
        return
    frame, domain = protocol.load(table, arguments.data)
    for seed, wanted in missing.items():
        train, test = protocol.split(frame, domain, seed)
        for key in wanted:
            try:
                rows, seconds = _rows(key, arguments, train, domain)
                outcome = {**protocol.score(rows, test, domain), "seconds": round(seconds, 1)}
            except ThreeAError as error:
                outcome = {"failed": f"{type(error).__name__}: {error}"[:300]}
            results.add(key, outcome)
            print(f"{table} seed {seed} {key['generator']}: {outcome}", flush=True)


def _rows(key: Record, arguments: argparse.Namespace, train: pd.DataFrame, domain: Any) -> tuple[pd.DataFrame, float]:
    """Gives the rows that the run trains on, and the seconds it took to make them."""
    if key["generator"] == "real":
        return train, 0.0
    if key["generator"] != "dp-nb":
        return _release(_session(arguments.master), arguments, train, domain)
    start = time.monotonic()
    rows = draw_baseline(train, domain, epsilon=key["epsilon"], delta=key["delta"], seed=key["seed"])
    return rows, time.monotonic() - start


@functools.cache
def _session(master: str) -> Any:
    return build_session("threea-utility", master=master)


def _release(spark: Any, arguments: argparse.Namespace, train: pd.DataFrame, domain: Any) -> tuple[pd.DataFrame, float]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/source", f"{folder}/target"
        write_source(spark, train, source)
        content: dict[str, Any] = {
            "source": {"path": source},
            "target": {"path": target},
            "privacy": {
                "epsilon": arguments.epsilon,
                "delta": arguments.delta,
                "allow_large_delta": True,  # one delta for all tables, as for the peers: some hold 100,000 rows
                "unit": "row",
            },
            "domain": {name: domain[name] for name in ("label", "task", "columns")},
            "adapt": {"method": arguments.adapt},
            "anonymize": {"generator": arguments.generator},
        }
        if arguments.generator == "sample":
            content["anonymize"]["rows"] = len(train)
        for section, fields in yaml.safe_load(arguments.override or "{}").items():
            content.setdefault(section, {}).update(fields)
        start = time.monotonic()
        release(spark, ReleaseConfig.from_dict(content))
        seconds = time.monotonic() - start
        return spark.read.format("delta").load(target).toPandas(), seconds


def _matches(row: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    return all(row.get(name, DELTA if name == "delta" else None) == value for name, value in key.items())


def _mean(records: Sequence[Record], figure: str) -> float | None:
    values = [record[figure] for record in records if record.get(figure) is not None]
    return math.fsum(values) / len(values) if values else None


def _share(own: float | None, real: float | None, floor: float) -> float | None:
    """The share of the distance from `floor`, which guessing reaches, to the real rows' figure."""
    if own is None or real is None or real - floor < MIN_DISTANCE:
        return None
    return (own - floor) / (real - floor)


def _text(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--protocol", type=Path)
    parser.add_argument("--peers", type=Path, help="figures of other methods")
    parser.add_argument("--json", type=Path, default=Path("out/utility.json"))
    parser.add_argument("--markdown", type=Path, help="where the printed table is written as Markdown")
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=DELTA)
    parser.add_argument("--generator", default="sample", choices=["sample", "mix", "random", "none"])
    parser.add_argument("--adapt", default="kip", choices=["kip", "none"])
    parser.add_argument("--override", help="YAML of configuration sections, such as '{approximate: {components: 4}}'")
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True, help="real rows and dp-nb")
    parser.add_argument("--master", default="local[2]")
    return parser


if __name__ == "__main__":
    main()
