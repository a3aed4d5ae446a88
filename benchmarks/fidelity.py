"""Whether rows are right as a table: distances of marginals and dependences from real rows, and SDMetrics' report.

Figures of rows against the real rows that they were made from (all means are over columns or pairs):

- `tv1_*`, `tv2_*`: total variation between the distributions of each column, and of each pair of columns; `tv2lab_*`:
  of the pairs with the label. Numbers are cut into ten cells: `_ew` of equal width between the public bounds, `_q` at
  the deciles of the real rows; null has a cell of its own. Of more than MAX_PAIRS pairs, so many are drawn.
- `corr_mae`, `spearman_mae`: mean absolute error of the correlations of numbers, Pearson's and Spearman's.
- `cramer_mae`: mean absolute error of Cramer's V of the pairs, numbers cut at deciles; `cramer_real_mean`: their mean.
- `sd_quality`, `sd_shapes`, `sd_pairs`: SDMetrics' quality report and its two parts, on at most MAX_REPORTED rows;
  where sdmetrics is installed.

Figures for every column as a label are in any_label.py.
"""

from __future__ import annotations

import importlib.util
import itertools
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from any_label import AnyLabel, feature_table  # beside this file

from threea_spark.arrays import Float64Array, Int64Array

Figures = dict[str, Any]
Cells = dict[str, tuple[Int64Array, int]]
"""By column: the cell of each row, 0 for null, and how many cells there are."""

N_CELLS = 10
MAX_PAIRS = 600
MAX_REPORTED = 10_000


class Yardstick:
    """Measures rows against one table's real rows.

    Attributes:
      train: The real rows that others were made from. PRIVATE.
      test: Held-out real rows.
      domain: Public: `label` and `columns`, as a protocol's `load` gives them.
      any_label: Measures with every column as the label.
      pairs: The pairs that are measured.
    """

    def __init__(self, train: pd.DataFrame, test: pd.DataFrame, domain: Mapping[str, Any]) -> None:
        self.train, self.test, self.domain = train, test, domain
        self.any_label = AnyLabel(train, test, domain)
        specs = domain["columns"]
        self.pairs = _chosen_pairs(list(specs))
        bounds = {name: (spec["lower"], spec["upper"]) for name, spec in specs.items() if spec["type"] != "categorical"}
        self._edges = {
            "ew": {name: np.linspace(*ends, N_CELLS + 1)[1:-1] for name, ends in bounds.items()},
            "q": {name: _decile_edges(train[name]) for name in bounds},
        }
        self._numbers = [name for name, (lower, upper) in bounds.items() if lower < upper]
        self._cells = {way: self._cut(train, way) for way in self._edges}
        self._correlations = {way: _correlations(train[self._numbers], way) for way in ("pearson", "spearman")}
        self._associations = self._cramer(self._cells["q"])

    def of_release(self, rows: pd.DataFrame) -> Figures:
        """All figures of rows that were made from the real ones."""
        report = quality_report(self.train, rows, self.domain)
        return {**self.distances(rows), **report, **self.any_label.figures(rows)}

    def of_real_rows(self) -> Figures:
        """What real rows reach: the held-out ones as a table, and the training rows with every column as the label."""
        report = quality_report(self.train, self.test, self.domain)
        return {**self.distances(self.test), **report, **self.any_label.figures_of_real_rows()}

    def distances(self, rows: pd.DataFrame) -> Figures:
        """Distances from the real rows: total variation, correlations, Cramer's V."""
        figures: Figures = {}
        for way, real in self._cells.items():
            own = self._cut(rows, way)
            figures |= {f"{name}_{way}": value for name, value in self._variations(real, own).items()}
            if way == "q":
                figures["cramer_mae"] = float(np.abs(self._cramer(own) - self._associations).mean())
                figures["cramer_real_mean"] = float(self._associations.mean())
        if len(self._numbers) > 1:
            upper = np.triu_indices(len(self._numbers), 1)
            for name, way in (("corr_mae", "pearson"), ("spearman_mae", "spearman")):
                errors = np.abs(_correlations(rows[self._numbers], way) - self._correlations[way])
                figures[name] = float(errors[upper].mean())
        return figures

    def pair_distance(self, rows: pd.DataFrame, pair: tuple[str, str]) -> float:
        """Total variation of one pair, numbers cut at deciles, by rows of which other columns are not read."""
        return _total_variation(self._cells["q"], self._cut(rows, "q", pair), pair)

    def _variations(self, real: Cells, own: Cells) -> dict[str, float]:
        label = self.domain["label"]

        def mean(groups: list[tuple[str, ...]]) -> float:
            return float(np.mean([_total_variation(real, own, names) for names in groups]))

        with_label = [(name, label) for name in real if name != label]
        return {"tv1": mean([(name,) for name in real]), "tv2": mean([*self.pairs]), "tv2lab": mean([*with_label])}

    def _cut(self, rows: pd.DataFrame, way: str, names: Iterable[str] | None = None) -> Cells:
        """Finds the cell of each value of all columns or some; a category that is not listed counts as null."""
        cells: Cells = {}
        for name in self.domain["columns"] if names is None else names:
            spec = self.domain["columns"][name]
            if spec["type"] == "categorical":
                text = rows[name].map(lambda value: None if pd.isna(value) else str(value))
                found = pd.Index(spec["values"]).get_indexer(pd.Index(text)) + 1
                cells[name] = found.astype(np.int64), len(spec["values"]) + 1
                continue
            values, edges = _number(rows[name]), self._edges[way][name]
            found = np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="right") + 1)
            cells[name] = found.astype(np.int64), len(edges) + 2
        return cells

    def _cramer(self, cells: Cells) -> Float64Array:
        """Cramer's V of each pair, shape (n_pairs,)."""
        return np.array([cramer_v(_joint(cells, pair).reshape(-1, cells[pair[1]][1])) for pair in self.pairs])


def cramer_v(joint: Float64Array) -> float:
    """Cramer's V of a table of frequencies that sum to 1. Source: Cramer 1946, section 21.9."""
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    expected = np.outer(rows, columns)
    seen = expected > 0.0
    squared = float((np.square(joint - expected)[seen] / expected[seen]).sum())
    degrees = min(int((rows > 0.0).sum()), int((columns > 0.0).sum())) - 1
    return float(np.sqrt(max(squared, 0.0) / degrees)) if degrees > 0 else 0.0


def quality_report(real: pd.DataFrame, rows: pd.DataFrame, domain: Mapping[str, Any]) -> Figures:
    """The scores of SDMetrics' quality report; none where sdmetrics is not installed."""
    if importlib.util.find_spec("sdmetrics") is None:
        return {}
    kinds = {name: spec["type"] == "categorical" for name, spec in domain["columns"].items()}
    metadata = {"columns": {name: {"sdtype": "categorical" if of else "numerical"} for name, of in kinds.items()}}
    size = min(MAX_REPORTED, len(real), len(rows))

    def reported(frame: pd.DataFrame) -> pd.DataFrame:
        drawn = frame.sample(size, random_state=1).reset_index(drop=True)
        table = feature_table(drawn, domain)
        return table.assign(**{name: table[name].astype(object) for name, of in kinds.items() if of})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant columns, and of its name from some version on
        from sdmetrics.reports.single_table import QualityReport

        report = QualityReport()
        report.generate(reported(real), reported(rows), metadata, verbose=False)
        scores = report.get_properties().set_index("Property")["Score"]
    parts = {"sd_shapes": "Column Shapes", "sd_pairs": "Column Pair Trends"}
    return {"sd_quality": float(report.get_score()), **{name: float(scores[part]) for name, part in parts.items()}}


def _chosen_pairs(names: list[str]) -> list[tuple[str, str]]:
    pairs = list(itertools.combinations(names, 2))
    if len(pairs) <= MAX_PAIRS:
        return pairs
    return [pairs[place] for place in np.random.default_rng(0).choice(len(pairs), MAX_PAIRS, replace=False)]


def _joint(cells: Cells, names: tuple[str, ...]) -> Float64Array:
    """Frequencies of the joint cells of one or two columns, flat."""
    index, size = cells[names[0]]
    for name in names[1:]:
        index, size = index * cells[name][1] + cells[name][0], size * cells[name][1]
    return np.asarray(np.bincount(index, minlength=size) / len(index))


def _total_variation(real: Cells, own: Cells, names: tuple[str, ...]) -> float:
    return float(0.5 * np.abs(_joint(real, names) - _joint(own, names)).sum())


def _number(column: pd.Series) -> Float64Array:
    return np.asarray(pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan))


def _decile_edges(column: pd.Series) -> Float64Array:
    values = _number(column)
    values = values[~np.isnan(values)]
    return np.unique(np.quantile(values, np.linspace(0.0, 1.0, N_CELLS + 1))[1:-1]) if len(values) else values


def _correlations(rows: pd.DataFrame, way: Any) -> Float64Array:
    """Correlations of numbers, nulls left out pair by pair; 0 where a column is constant."""
    numbers = rows.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    return np.asarray(np.nan_to_num(numbers.corr(way).to_numpy()), dtype=np.float64)
