"""The yardstick of a direct model: DP-EBM (InterpretML) trained on the real rows under differential privacy.

    pip install interpret==0.7.8
    python benchmarks/direct_model.py --data folder --tables adult bank_additional_full --seeds 0 1 2 --json out.json

A model that is trained on private rows directly answers one question with the whole budget, where a release serves
every question. Its AUC (R2 for a number) on held-out real rows says what a release gives up for that, or gains.

The split is the protocol's, as in utility.py. DP-EBM runs with its defaults, Gaussian composition, and gets the same
public domain: bounds of numbers by `privacy_bounds`, categories as ordered lists or, with --nominal, found by DP-EBM.
DP-EBM takes no missing values: a category's is a level of its own; a number's is
the middle of its bounds and, with --null-marks, a further column says where it was. Its noise has no seed. It does not
need this library: the environment holds interpret, pandas and scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from source import load_protocol

DELTA = 1e-5
MISSING = "missing"  # a level of its own
TABLES = ("adult", "bank_additional_full", "credit_default", "magic_telescope", "support2")


def main() -> None:
    """Trains and tests one model for each table and seed, and prints the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--protocol", type=Path)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the split")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--nominal", action="store_true", help="let DP-EBM find the categories")
    parser.add_argument("--null-marks", action="store_true", help="a column for each number that may be missing")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    protocol = load_protocol(arguments.protocol or arguments.data.parent / "bench" / "protocol.py")
    records = []
    for table in arguments.tables:
        frame, domain = protocol.load(table, arguments.data)
        for seed in arguments.seeds:
            start = time.perf_counter()
            train, test = protocol.split(frame, domain, seed)
            figures = measure(train, test, domain, arguments)
            seconds = time.perf_counter() - start
            asked = {"nominal": arguments.nominal, "null_marks": arguments.null_marks}
            records.append({"table": table, "seed": seed, **asked, **figures, "seconds": seconds})
            arguments.json.write_text(json.dumps(records, indent=1))
        for figure in figures:
            values = [record[figure] for record in records if record["table"] == table]
            print(
                f"{table}: {figure} {np.mean(values):.4f} ({', '.join(f'{value:.4f}' for value in values)})", flush=True
            )


def measure(
    train: pd.DataFrame, test: pd.DataFrame, domain: Mapping[str, Any], arguments: argparse.Namespace
) -> dict[str, float]:
    """Trains DP-EBM on real rows and tests it on others."""
    from interpret.privacy import DPExplainableBoostingClassifier, DPExplainableBoostingRegressor
    from sklearn.metrics import r2_score, roc_auc_score

    label, specs = domain["label"], domain["columns"]
    names = [name for name in specs if name != label]
    numbers = [name for name in names if specs[name]["type"] != "categorical"]
    marked = [name for name in numbers if specs[name]["nullable"] and arguments.null_marks]
    asked: dict[str, Any] = {
        "feature_names": [*names, *(f"{name} is missing" for name in marked)],
        "feature_types": [
            *(_feature_type(specs[name], arguments.nominal) for name in names),
            *[["no", "yes"]] * len(marked),
        ],
        "privacy_bounds": {name: (specs[name]["lower"], specs[name]["upper"]) for name in numbers},
        "epsilon": arguments.epsilon,
        "delta": DELTA,
        "n_jobs": 1,
    }
    x, tested_on = (_features(frame, names, specs, marked) for frame in (train, test))
    if domain["task"] == "regression":
        ends = {"privacy_target_min": specs[label]["lower"], "privacy_target_max": specs[label]["upper"]}
        number = DPExplainableBoostingRegressor(**asked, **ends).fit(x, train[label].astype(float))
        return {"r2": float(r2_score(test[label].astype(float), number.predict(tested_on)))}
    positive = specs[label]["values"][1]
    model = DPExplainableBoostingClassifier(**asked).fit(x, train[label] == positive)
    return {"auc": float(roc_auc_score(test[label] == positive, model.predict_proba(tested_on)[:, 1]))}


def _feature_type(spec: Mapping[str, Any], nominal: bool) -> str | list[str]:
    if spec["type"] != "categorical":
        return "continuous"
    return "nominal" if nominal else [*map(str, spec["values"]), *([MISSING] if spec["nullable"] else [])]


def _features(frame: pd.DataFrame, names: list[str], specs: Mapping[str, Any], marked: list[str]) -> pd.DataFrame:
    """Numbers as float64, categories as text, then a mark of null for each marked column."""
    columns = {}
    for name in names:
        if specs[name]["type"] == "categorical":
            columns[name] = frame[name].map(lambda value: MISSING if pd.isna(value) else str(value)).astype(object)
        else:
            middle = 0.5 * (specs[name]["lower"] + specs[name]["upper"])
            columns[name] = pd.to_numeric(frame[name], errors="coerce").astype(float).fillna(middle)
    for name in marked:
        columns[f"{name} is missing"] = pd.Series(np.where(frame[name].isna(), "yes", "no"), dtype=object)
    return pd.DataFrame(columns)


if __name__ == "__main__":
    main()
