"""How many rows the steps of a label function need: its AUC on held-out flights, by rows and by noise.

    python benchmarks/step_rows.py [--signals 5e4 2e5 4e5 7e5 3e6]

One fit of flights (warehouse.py) in memory at epsilon 1 gives the features. Then the steps run on parts of the rows,
with the noise and the damping of a signal, mu times rows, that more rows would have. What is lost because rows were not
read shows down a column, what noise and damping take along a line.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits
from warehouse import DOMAIN, flights  # beside this file

from threea_spark import fit
from threea_spark.adapt.curvature import curvature_of
from threea_spark.adapt.label_fit import FitSettings, fit_weights, gradient_query
from threea_spark.adapt.labelling import Ask, Fit
from threea_spark.adapt.targets import Targets, Weights
from threea_spark.arrays import Float64Array
from threea_spark.engine.local import LocalCached, LocalStaged
from threea_spark.engine.rows import RowForm

CONFIG: dict[str, Any] = {
    "source": {"path": "a pandas frame"},
    "target": {"path": "released rows"},
    "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": "row"},
    "domain": DOMAIN,
}
HELD_OUT, PARTS = 60_000, (8, 4, 2, 1)
_CURVATURE_ROWS = 5_000


def main() -> None:
    """Prints a line for each part of the rows, and a column for each signal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=float, nargs="+", default=[5e4, 2e5, 4e5, 7e5, 3e6])
    signals = parser.parse_args().signals
    with threadpool_limits(1):
        own, rows = features_of_flights()
        test, train = Targets(rows.features, rows.rows[:HELD_OUT]), rows.rows[HELD_OUT:]
        print("rows", *(f"signal {signal:,.0f}" for signal in signals), sep="\t")
        for part in PARTS:
            few = Targets(rows.features, train[: len(train) // part])
            print(len(few), *(f"{auc_of(own, few, test, signal):.4f}" for signal in signals), sep="\t")


def features_of_flights() -> tuple[Fit, Targets]:
    """The fit of a label function before its first step, and the rows that it reads, in random order. PRIVATE."""
    seen: dict[str, Any] = {}
    cached_as, learned = LocalStaged.cached_as, Fit.learned

    @contextmanager
    def watched(staged: LocalStaged, form: RowForm[Targets]) -> Iterator[LocalCached[Targets]]:
        with cached_as(staged, form) as cached:
            seen["targets"] = list(cached.form.read(iter(cached.batches)))
            yield cached

    def noted(own: Fit, ask: Ask) -> Any:
        seen["fit"] = own
        return learned(own, ask)

    with patch.object(LocalStaged, "cached_as", watched), patch.object(Fit, "learned", noted):
        fit(flights(), CONFIG)
    rows = np.concatenate([own.rows for own in seen["targets"]])
    return seen["fit"], Targets(seen["targets"][0].features, np.random.default_rng(1).permutation(rows))


def auc_of(own: Fit, rows: Targets, test: Targets, signal: float) -> float:
    """AUC on held-out rows of a function whose steps have the noise and the damping of a signal, mu times rows."""
    features, prior, settings = own.targets_of.features, own.prior, FitSettings()
    n_rows, mu = float(len(rows)), signal / len(rows)
    damping = settings.damping_of(n_rows, mu)
    curvature = curvature_of(features, own.cells[:_CURVATURE_ROWS], prior, damping, of_number=False)
    rng = np.random.default_rng(0)

    def ask(weights: Weights, step: int) -> Float64Array:
        query = gradient_query(features, weights, prior, settings, step)
        stddev = math.sqrt(query.bound.squared_norm * settings.steps) / mu
        return query.contribution(rows) + rng.normal(0.0, stddev, query.size)

    weights = fit_weights(features, prior, settings, curvature, ask, n_rows=n_rows)
    return float(roc_auc_score(test.rows["label"], test.outputs(weights, prior)[:, 0]))


if __name__ == "__main__":
    main()
