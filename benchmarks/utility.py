"""Utility of releases on a folder of tables: train on released rows, test on real ones, beside what others reach.

    python benchmarks/utility.py --data folder --json out.json [--tables a b] [--seeds 0 1 2] [--adapt none]
        [--fidelity] [--in-memory] [--undeclared]

The folder holds CATALOG.json and one Parquet file a table; beside it lies a protocol.py with load, split and score
(given by --protocol, or found as ../bench/protocol.py): the split and the score are the protocol's, never ours. Results
are stored in the JSON as they come, real rows and the dp-nb baseline among them. What stands there is not run again,
unless it failed. Figures of other methods come from --peers, or from ../bench/peers.json where there is one.

With --fidelity each record also holds the figures of fidelity.py and any_label.py: whether the rows are right as a
table, and for every column as the label (real rows: of the held-out rows, and of the training rows). With --in-memory
releases run in this process, without Spark; the rows follow the same distribution. With --undeclared the release is
told types and the label's values alone, as `threea init` writes it: bounds are found, and categories are open.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from fidelity import Yardstick  # this and the next are beside this file
from rich.console import Console
from rich.table import Table
from source import load_protocol
from trained_rows import trained_rows

from threea_spark.errors import ThreeAError

Record = dict[str, Any]
PEER_SLACK = 1.15  # peers that spent a little more than asked still count: some bin on top of their budget
MIN_DISTANCE = 0.05  # below it real rows teach a model nothing, so that a share of the distance says nothing
DELTA = 1e-5
FORMER = {"delta": DELTA, "engine": "spark", "declared": True}  # of records from before these were part of the key
HEADER = ("table", "runs", "ours", "real", "dp-nb", "best peer lgbm", "best peer linear", "ahead", "of real", "seconds")
FIDELITY = {"tv2_q": min, "sd_pairs": max, "any_share": max}  # by figure: which of two is better
FIDELITY_HEADER = ("table", *(name for figure in FIDELITY for name in (figure, "best peer")))
NO_PEERS = {"real", "test", "ours", "dp-nb"}


class Results:
    """The records of a JSON file; a run that failed counts as missing, and is replaced when it has run again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: list[Record] = json.loads(path.read_text()) if path.exists() else []

    def find(self, key: Mapping[str, Any], *, figure: str | None = None) -> Record | None:
        """Finds the record of a run that did not fail, and that measured a figure if one is named."""
        found = (row for row in self._records if _matches(row, key) and "failed" not in row)
        return next((row for row in found if figure is None or figure in row), None)

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
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.in_memory and arguments.generator in ("mix", "random"):
        parser.error(f"--in-memory: a release in memory draws rows; --generator {arguments.generator} needs Spark")
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
    show(HEADER, rows, "trained on released rows, tested on real ones: lgbm / linear")
    lines = markdown(HEADER, rows)
    if arguments.fidelity:
        others = json.loads((bench / "fidelity.json").read_text()) if (bench / "fidelity.json").exists() else []
        rows = [fidelity_row(table, arguments, results, others) for table in tables]
        show(FIDELITY_HEADER, rows, "right as a table: ours / real rows / dp-nb")
        lines += "\n" + markdown(FIDELITY_HEADER, rows)
    if arguments.markdown:
        arguments.markdown.write_text(lines)


def keys_of(arguments: argparse.Namespace, table: str, seed: int) -> dict[str, Record]:
    """Says which runs are asked for, by the role of each: real, dp-nb and ours. Real rows know no epsilon."""
    plain = {"table": table, "seed": seed, **dict.fromkeys(("epsilon", "delta", "adapt", "override"))}
    spent = {**plain, "epsilon": arguments.epsilon, "delta": arguments.delta}
    keys: dict[str, Record] = {}
    if arguments.baselines:
        keys = {"real": {**plain, "generator": "real"}, "dp-nb": {**spent, "generator": "dp-nb"}}
    if arguments.generator != "none":
        asked = {name: getattr(arguments, name) for name in ("generator", "adapt", "override")}
        engine = "memory" if arguments.in_memory else "spark"
        keys["ours"] = {**spent, **asked, "engine": engine, "declared": not arguments.undeclared}
    return keys


def best_peer(rows: Iterable[Record], epsilon: float, figure: str) -> tuple[float, str] | None:
    """Finds the best figure among the peers that finished and spent at most about epsilon, with the method's name."""
    spent = [row for row in rows if row["runs"] and row["epsilon"] and row["epsilon"] <= PEER_SLACK * epsilon]
    found = [(row[figure], row["method"]) for row in spent if row.get(figure) is not None]
    return max(found, default=None)


def summary_row(table: str, arguments: argparse.Namespace, results: Results, peers: Sequence[Record]) -> list[str]:
    """Makes the table's line: ours beside the others, means over the seeds that ran, lgbm / linear."""
    found = _found(table, arguments, results)
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


def fidelity_row(table: str, arguments: argparse.Namespace, results: Results, peers: Iterable[Record]) -> list[str]:
    """Makes a table's line of fidelity, means over the seeds that ran; peers' figures as they were measured."""
    found, line = _found(table, arguments, results), [table]
    others = [row for row in peers if row["table"] == table and row["method"] not in NO_PEERS]
    for figure, better in FIDELITY.items():
        line.append(" / ".join(_text(_mean(found[role], figure)) for role in ("ours", "real", "dp-nb")))
        measured = [(row[figure], row["method"]) for row in others if row.get(figure) is not None]
        line.append(f"{best[0]:.3f} ({best[1]})" if (best := better(measured, default=None)) else "-")
    return line


def show(header: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """Prints a table, wide where the output is a file."""
    table = Table(*header, title=title, box=None)
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else 200).print(table)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Writes a table as Markdown."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _run_table(table: str, arguments: argparse.Namespace, protocol: ModuleType, results: Results) -> None:
    """Runs and stores what is missing of a table; reads it only then."""
    keys = {seed: keys_of(arguments, table, seed).values() for seed in arguments.seeds}
    figure = next(iter(FIDELITY)) if arguments.fidelity else None
    missing = {seed: [key for key in wanted if not results.find(key, figure=figure)] for seed, wanted in keys.items()}
    if not any(missing.values()):
        return
    frame, domain = protocol.load(table, arguments.data)
    for seed, wanted in missing.items():
        train, test = protocol.split(frame, domain, seed)
        yardstick = Yardstick(train, test, domain) if wanted and arguments.fidelity else None
        for key in wanted:
            try:
                rows, seconds = trained_rows(key, arguments, train, domain)
                outcome = {**protocol.score(rows, test, domain), "seconds": round(seconds, 1)}
                if yardstick is not None:
                    is_real = key["generator"] == "real"
                    outcome |= yardstick.of_real_rows() if is_real else yardstick.of_release(rows)
            except ThreeAError as error:
                outcome = {"failed": f"{type(error).__name__}: {error}"[:300]}
            results.add(key, outcome)
            shown = {name: value for name, value in outcome.items() if name != "per_target"}
            print(f"{table} seed {seed} {key['generator']}: {shown}", flush=True)


def _found(table: str, arguments: argparse.Namespace, results: Results) -> dict[str, list[Record]]:
    """The records of a table's runs that are asked for, by role."""
    found: dict[str, list[Record]] = {"real": [], "dp-nb": [], "ours": []}
    for seed in arguments.seeds:
        for role, key in keys_of(arguments, table, seed).items():
            found[role] += [record] if (record := results.find(key)) else []
    return found


def _matches(row: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    return all(row.get(name, FORMER.get(name)) == value for name, value in key.items())


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
    parser.add_argument("--in-memory", action="store_true", help="release without Spark")
    parser.add_argument("--undeclared", action="store_true", help="declare no bounds and no categories")
    parser.add_argument("--fidelity", action="store_true", help="also measure whether the rows are right as a table")
    return parser


if __name__ == "__main__":
    main()
