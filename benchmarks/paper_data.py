"""Tables for the paper's claims: generated ones with known structure, and real ones from a folder with a protocol."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import make_classification, make_friedman1
from sklearn.preprocessing import StandardScaler
from source import load_protocol  # beside this file

from threea_spark.arrays import Float64Array

N_REAL = 11_000
"""Rows kept of a real table, 30 % of them held out: a release then takes seconds, not minutes."""
N_TEST = 4_000
TOY_CENTRES = np.array([[-3.0, -2.0], [0.0, -3.0], [3.0, -1.0], [-2.5, 2.0], [0.5, 1.0], [3.0, 3.0]])
TOY_CLASSES = ("a", "b", "a", "b", "a", "b")
_TOY_ROWS, _ROWS = 9_000, 8_000
_SPREADS = {"separated": 0.6, "overlapping": 1.8}
_N_BLOBS, _BLOB_COLUMNS = 8, 6


@dataclass(frozen=True)
class Problem:
    """A table cut in two, with its public domain.

    Attributes:
      name: Of the table.
      train, test: Rows to release, and held-out rows to judge by.
      domain: As a release's configuration takes it: label, task, columns.
      centres: Where the clusters truly are, where that is known.
    """

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    domain: dict[str, Any]
    centres: Float64Array | None = None

    @property
    def label(self) -> str | None:
        """The column to predict, if any."""
        return None if self.domain["label"] is None else str(self.domain["label"])


def problem_of(name: str, seed: int, data: Path | None) -> Problem:
    """Makes or reads a table: toy, separated, overlapping, uniform, tangled, friedman, wide-N, or a file of `data`.

    A name that ends in /unlabelled stands for the features alone, to be released with task none.
    """
    base, _, suffix = name.partition("/")
    problem = _generated(base, seed) if data is None or is_generated(base) else _real(base, seed, data)
    if suffix:
        problem = _without_label(problem)
    return replace(problem, name=name)


def is_generated(name: str) -> bool:
    """Whether a table needs no folder."""
    return name in ("toy", "separated", "overlapping", "uniform", "tangled", "friedman") or name.startswith("wide-")


def _generated(name: str, seed: int) -> Problem:
    rng = np.random.default_rng(1_000 + seed)
    if name == "toy":
        which = rng.integers(len(TOY_CENTRES), size=_TOY_ROWS + N_TEST)
        rows = TOY_CENTRES[which] + 0.5 * rng.standard_normal((len(which), 2))
        return _classified(rows, np.array(TOY_CLASSES)[which], 6.0, TOY_CENTRES)
    if name in _SPREADS:
        centres = rng.uniform(-3.0, 3.0, (_N_BLOBS, _BLOB_COLUMNS))
        which = rng.integers(_N_BLOBS, size=_ROWS + N_TEST)
        rows = centres[which] + _SPREADS[name] * rng.standard_normal((len(which), _BLOB_COLUMNS))
        return _classified(rows, np.array(["a", "b"])[which % 2], 10.0, centres)
    if name == "uniform":
        rows = rng.uniform(-3.0, 3.0, (_ROWS + N_TEST, _BLOB_COLUMNS))
        score = rows[:, 0] * rows[:, 1] + 2.0 * rows[:, 2] + np.abs(rows[:, 3]) * 2.0 - 3.0
        return _classified(rows, np.where(score + rng.standard_normal(len(rows)) > 0.0, "a", "b"), 10.0)
    if name == "friedman":
        rows, target = make_friedman1(_ROWS + N_TEST, n_features=8, noise=1.0, random_state=seed)
        return _regression(rows, target)
    if name != "tangled" and not name.startswith("wide-"):
        raise SystemExit(f"{name}: no such generated table; give --data for a real one")
    n_columns = 10 if name == "tangled" else int(name.removeprefix("wide-"))
    rows, which = make_classification(
        _ROWS + N_TEST, n_columns, n_informative=8, n_redundant=0, n_clusters_per_class=4, random_state=seed
    )
    return _classified(StandardScaler().fit_transform(rows), np.array(["a", "b"])[which], 8.0)


def _classified(
    rows: Float64Array, classes: NDArray[Any], bound: float, centres: Float64Array | None = None
) -> Problem:
    frame = pd.DataFrame(np.clip(rows, -bound, bound), columns=[f"x{i}" for i in range(rows.shape[1])])
    columns: dict[str, Any] = {name: {"type": "float", "lower": -bound, "upper": bound} for name in map(str, frame)}
    columns["y"] = {"type": "categorical", "values": ["a", "b"]}
    domain = {"label": "y", "task": "classification", "columns": columns}
    return _cut(frame.assign(y=classes), domain, centres)


def _regression(rows: Float64Array, target: Float64Array) -> Problem:
    frame = pd.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])])
    columns: dict[str, Any] = {name: {"type": "float", "lower": 0.0, "upper": 1.0} for name in map(str, frame)}
    columns["y"] = {"type": "float", "lower": -5.0, "upper": 35.0}
    domain = {"label": "y", "task": "regression", "columns": columns}
    return _cut(frame.assign(y=np.clip(target, -5.0, 35.0)), domain, None)


def _cut(frame: pd.DataFrame, domain: dict[str, Any], centres: Float64Array | None) -> Problem:
    return Problem("", frame.iloc[:-N_TEST], frame.iloc[-N_TEST:].reset_index(drop=True), domain, centres)


def _real(name: str, seed: int, data: Path) -> Problem:
    protocol = load_protocol(data.parent / "bench" / "protocol.py")
    catalog = json.loads((data / "CATALOG.json").read_text())
    if name not in catalog:
        raise SystemExit(f"{data} holds no table {name}; there are {sorted(catalog)}")
    frame, domain = protocol.load(name, data)
    frame = frame.sample(min(N_REAL, len(frame)), random_state=seed).reset_index(drop=True)
    train, test = protocol.split(frame, domain, seed)
    return Problem(name, train, test, {part: domain[part] for part in ("label", "task", "columns")})


def _without_label(problem: Problem) -> Problem:
    columns = {name: column for name, column in problem.domain["columns"].items() if name != problem.label}
    domain = {"label": None, "task": "none", "columns": columns}
    return replace(problem, train=problem.train[list(columns)], test=problem.test[list(columns)], domain=domain)
