"""What a second label gains as a label, and what that costs the first.

    python benchmarks/several_labels.py --data folder --labels adult:sex credit_default:EDUCATION [--seeds 0]

Releases each table in this process with its own label alone, the second one being an ordinary column, and with both as
labels. Models of either label are trained on as many released rows as there are real ones, without the other label
among their features, and tested on real rows. The folder and the protocol are those of utility.py.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from source import load_protocol  # this and the next are beside this file
from trained_rows import fitted_model

Record = dict[str, Any]


def main() -> None:
    """Releases, trains and tests; writes and prints."""
    given = _parser().parse_args()
    protocol = load_protocol(given.protocol or given.data.parent / "bench" / "protocol.py")
    records: list[Record] = []
    for table, second in (pair.split(":") for pair in given.labels):
        frame, domain = protocol.load(table, given.data)
        for seed in given.seeds:
            train, test = protocol.split(frame, domain, seed)
            for label in (domain["label"], [domain["label"], second]):
                rows = fitted_model(given, train, {**domain, "label": label}).sample_local(len(train), seed=seed)
                scores = scores_of(rows, test, domain, second, protocol, seed)
                records.append({"table": table, "seed": seed, "labels": label, **scores})
            records.append(
                {
                    "table": table,
                    "seed": seed,
                    "labels": "real",
                    **scores_of(train, test, domain, second, protocol, seed),
                }
            )
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_text(json.dumps(records, indent=1))
    show(records)


def scores_of(
    rows: pd.DataFrame, test: pd.DataFrame, domain: Record, second: str, protocol: ModuleType, seed: int
) -> Record:
    """Scores of models of either label, by label.

    Args:
      rows: What they are trained on.
      test: Real rows. PRIVATE.
      domain: Public, as a protocol's `load` gives it, with the first label.
      second: The second label.
      protocol: Trains and tests.
      seed: Of the models.
    """
    found: Record = {}
    for label, other in ((domain["label"], second), (second, domain["label"])):
        columns = {name: spec for name, spec in domain["columns"].items() if name != other}
        task = "classification" if columns[label]["type"] == "categorical" else "regression"
        own = {**domain, "label": label, "task": task, "columns": columns}
        found[label] = protocol.score(rows[list(columns)], test[list(columns)], own, seed)
    return found


def show(records: list[Record]) -> None:
    """Prints a line for each release."""
    table = Table(
        "table", "seed", "labels", "of", "lgbm", "linear", box=None, title="trained on rows, tested on real ones"
    )
    for record in records:
        for label, scores in list(record.items())[3:]:
            figures = [
                f"{scores[name]:.3f}" for name in scores if name in ("auc_lgbm", "auc_linear", "r2_lgbm", "r2_linear")
            ]
            table.add_row(record["table"], str(record["seed"]), str(record["labels"]), label, *figures)
    Console(width=None if Console().is_terminal else 160).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--protocol", type=Path)
    parser.add_argument("--json", type=Path, default=Path("out/several_labels.json"))
    parser.add_argument("--labels", nargs="+", required=True, help="TABLE:SECOND_LABEL")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.set_defaults(generator="sample", adapt="kip", override=None)
    return parser


if __name__ == "__main__":
    main()
