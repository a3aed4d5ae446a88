"""Fits the curves of `threea plan` to what curves.py measured, and tests them on tables that they have not seen.

    python benchmarks/curve_fit.py docs/experiments/curves.json

Prints CURVES as it stands in threea_spark/forecast/curves.py, and the tables of docs/tuning.md.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from threea_spark.arrays import Float64Array
from threea_spark.forecast.curves import FLOOR, Curve, Curves, Metric, signal_of
from threea_spark.privacy.gaussian import gaussian_mu

DELTA = 1e-5  # of all releases
WANTED = 0.8
"""Share of the releases that the curves have to cover, each on a table that they were not fitted to."""
MIN_GAIN = 0.05
"""What real rows give above guessing at least; of less, no share can be told."""
WIDEST, NARROWEST, STEP = 0.02, 0.16, 0.02
BANDS = (3, 10, 30, 100, 300, 1_000, 3_000, 10_000)


@dataclass(frozen=True)
class Point:
    """One release: its table, signal and epsilon, and the share of what real rows give that the better model kept."""

    table: str
    signal: float
    epsilon: float
    n_rows: int
    kept: float


def points_of(records: Sequence[dict[str, Any]], metric: Metric) -> list[Point]:
    """Pairs each release with the same number of real rows; the better of LightGBM and a linear model counts."""
    real = {(own["table"], own["rows"]): own for own in records if own["generator"] == "real"}
    found = []
    for own in records:
        beside = real.get((own["table"], own["rows"]), {})
        if own["generator"] == "real" or own.get(f"{metric}_lgbm") is None or beside.get(f"{metric}_lgbm") is None:
            continue
        best, of_real = (max(row[f"{metric}_lgbm"], row[f"{metric}_linear"]) - FLOOR[metric] for row in (own, beside))
        if of_real >= MIN_GAIN:
            signal = signal_of(own["rows"], gaussian_mu(own["epsilon"], DELTA), own["columns"])
            kept = min(max(best / of_real, 0.0), 1.0)
            found.append(Point(own["table"], signal, own["epsilon"], own["rows"], kept))
    return found


def fitted(points: Sequence[Point], tail: float) -> tuple[Curve, Curve, Curve]:
    """Fits the curves of both tails and of the middle by pinball loss; every table weighs the same."""
    counts = Counter(point.table for point in points)
    weights = np.array([1.0 / counts[point.table] for point in points])
    logs = np.log([point.signal for point in points])
    kept = np.array([point.kept for point in points])
    quantiles = np.array([tail, 0.5, 1.0 - tail])[:, None]

    def loss(given: Float64Array) -> float:
        lost = np.exp(np.clip(given[2:, None], -50.0, 50.0)) * (np.exp(-abs(given[0]) * logs) + abs(given[1]))
        off = kept - np.clip(1.0 - lost, 0.0, 1.0)
        return float(np.maximum(quantiles * off, (quantiles - 1.0) * off).sum(axis=0) @ weights)

    starts = [(slope, 0.01, level + 0.7, level, level - 0.7) for level in (0.5, 1.0, 2.0) for slope in (0.4, 0.8)]
    given = [np.array(start) for start in starts]
    tried = [
        minimize(
            loss, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7, "maxiter": 4_000, "maxfev": 4_000}
        )
        for start in given
    ]
    slope_found, floor_found, *levels = min(tried, key=lambda found: found.fun).x
    low, middle, high = sorted((round(float(level), 3) for level in levels), reverse=True)
    slope, floor = round(abs(float(slope_found)), 3), round(abs(float(floor_found)), 4)
    return Curve(low, slope, floor), Curve(middle, slope, floor), Curve(high, slope, floor)


def covers(low: Curve, high: Curve, point: Point) -> bool:
    """Whether a release lies between two curves."""
    return low.kept(point.signal) - 0.005 <= point.kept <= high.kept(point.signal) + 0.005  # as printed: whole percent


def covered_elsewhere(points: Sequence[Point], tail: float) -> float:
    """Share of the releases between the curves of all other tables."""
    found = []
    for table in sorted({point.table for point in points}):
        others = [point for point in points if point.table != table]
        low, _, high = fitted(others, tail)
        found += [covers(low, high, point) for point in points if point.table == table]
    return sum(found) / len(found)


def curves_of(points: Sequence[Point]) -> Curves:
    """Fits all curves; the outer ones lie so far out that enough is covered, here and on tables that were left out."""
    tail, enough = NARROWEST + STEP, False
    while not enough and tail > WIDEST:
        tail = round(tail - STEP, 2)
        low, middle, high = fitted(points, tail)
        covered = covered_elsewhere(points, tail)
        enough = min(covered, sum(covers(low, high, point) for point in points) / len(points)) >= WANTED
    signals = sorted(point.signal for point in points)
    ends = (round(signals[0], 1), round(signals[-1], 1))
    return Curves(low, middle, high, tail, len({point.table for point in points}), len(points), round(covered, 2), ends)


def by_signal(points: Sequence[Point], curves: Curves) -> str:
    """Lists what was kept by signal, beside the curves, as Markdown."""
    lines = ["| signal | releases | tables | kept: least, middle, most | curves |", "|---|---|---|---|---|"]
    for low, high in pairwise(BANDS):
        some = [point for point in points if low <= point.signal < high]
        if not some:
            continue
        kept, at = [point.kept for point in some], math.sqrt(low * high)
        found = " ".join(f"{value:.2f}" for value in (min(kept), float(np.median(kept)), max(kept)))
        drawn = " ".join(f"{curve.kept(at):.2f}" for curve in (curves.low, curves.middle, curves.high))
        n_tables = len({point.table for point in some})
        lines.append(f"| {low} to {high} | {len(some)} | {n_tables} | {found} | {drawn} |")
    return "\n".join(lines)


def main() -> None:
    """Fits, and prints."""
    records = json.loads(Path(sys.argv[1]).read_text())
    for metric in ("auc", "r2"):
        points = points_of(records, metric)
        found = curves_of(points)
        sys.stdout.write(f'"{metric}": {found},\n{by_signal(points, found)}\n')


if __name__ == "__main__":
    main()
