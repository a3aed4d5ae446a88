"""What more drawn rows are worth to a model, and what the label's probability is worth in place of the drawn label.

    python benchmarks/label_probability.py --data folder --json out.json [--tables a b] [--seeds 0] [--times 1 4 10]

Fits each table in this process with `anonymize.label_probability`, and draws once, twice or ten times as many rows as
it was fitted on. LightGBM is trained on them with the drawn label, and with its probability as the target (objective
cross_entropy; for a number the expected value, squared loss), and tested on real rows: AUC, or R2 for a number. The
folder and the protocol are those of utility.py; tables of more than two classes are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from any_label import feature_table  # this and the next are beside this file
from rich.console import Console
from rich.table import Table
from source import load_protocol
from trained_rows import fitted_model

Record = dict[str, Any]


def main() -> None:
    """Fits, draws, trains and tests; writes and prints."""
    given = _parser().parse_args()
    protocol = load_protocol(given.protocol or given.data.parent / "bench" / "protocol.py")
    records: list[Record] = []
    for table in given.tables or sorted(json.loads((given.data / "CATALOG.json").read_text())):
        frame, domain = protocol.load(table, given.data)
        for seed in given.seeds if len(_classes(domain)) in (0, 2) else ():
            train, test = protocol.split(frame, domain, seed)
            records.append({"table": table, "seed": seed, **measure(train, test, domain, given)})
            print(records[-1], flush=True)
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_text(json.dumps(records, indent=1))
    show(records, given)


def measure(train: pd.DataFrame, test: pd.DataFrame, domain: Record, given: argparse.Namespace) -> Record:
    """Scores of models on each number of rows, by label and by probability.

    Args:
      train, test: Real rows. PRIVATE.
      domain: Public, as a protocol's `load` gives it.
      given: The benchmark's arguments.
    """
    model = fitted_model(given, train, domain)
    found: Record = {"rows": len(train), "draws_by": "label function" if model.sampler.labels else "components"}
    every = model.sample_local(max(given.times) * len(train), seed=1)
    for times in given.times:
        rows = every[: times * len(train)]
        found[f"label_{times}"] = score(rows, _outcome(rows, domain), test, domain)
        found[f"probability_{times}"] = score(rows, rows[list(every)[-1]], test, domain)
    return found


def score(rows: pd.DataFrame, target: pd.Series, test: pd.DataFrame, domain: Record) -> float:
    """Trains LightGBM on rows with a target in [0, 1], or a number, and tests it on real rows: AUC or R2."""
    import lightgbm
    from sklearn.metrics import r2_score, roc_auc_score

    is_number = not _classes(domain)
    objective = "regression" if is_number else "cross_entropy"
    x, tested = _features(rows, domain), _features(test, domain)
    trees = lightgbm.LGBMRegressor(objective=objective, n_jobs=1, random_state=0, verbose=-1)
    predicted = np.asarray(trees.fit(x, target).predict(tested))
    return float((r2_score if is_number else roc_auc_score)(_outcome(test, domain), predicted))


def show(records: Sequence[Record], given: argparse.Namespace) -> None:
    """Prints a line for each table and seed."""
    names = [f"{kind} x {times}" for times in given.times for kind in ("label", "probability")]
    table = Table("table", "seed", "rows", *names, box=None, title="LightGBM on drawn rows, tested on real ones")
    for record in records:
        keys = [f"{kind}_{times}" for times in given.times for kind in ("label", "probability")]
        figures = [f"{record[key]:.3f}" for key in keys]
        table.add_row(record["table"], str(record["seed"]), f"{record['rows']:,}", *figures)
    Console(width=None if Console().is_terminal else 160).print(table)


def _classes(domain: Record) -> list[str]:
    spec = domain["columns"][domain["label"]]
    return list(spec["values"]) if spec["type"] == "categorical" else []


def _outcome(rows: pd.DataFrame, domain: Record) -> pd.Series:
    """1 for the last class and 0 for the other; a number as it is."""
    classes = _classes(domain)
    label: Any = rows[domain["label"]]
    outcome: pd.Series = label.astype(str).eq(classes[-1]) if classes else label
    return outcome.astype(float)


def _features(rows: pd.DataFrame, domain: Record) -> pd.DataFrame:
    table: pd.DataFrame = feature_table(rows, domain).drop(columns=domain["label"])
    return table.set_axis([f"f{place}" for place in range(table.shape[1])], axis=1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--protocol", type=Path)
    parser.add_argument("--json", type=Path, default=Path("out/label_probability.json"))
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument(
        "--times", nargs="*", type=int, default=[1, 4, 10], help="as many rows as the source, times this"
    )
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.set_defaults(generator="sample", adapt="kip", override="{anonymize: {label_probability: true}}")
    return parser


if __name__ == "__main__":
    main()
