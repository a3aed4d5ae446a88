"""Every column as the label: what LightGBM learns from rows about each of their columns, tested on real rows.

Each column in turn is the target and all others are features; a model of few trees is trained on the rows, at most
MAX_TRAINED of them, and tested on held-out real ones. Categories: the AUC of each of the target's most frequent
categories against the rest, null among them, all else in one; their mean (of two classes the one AUC). Numbers: R2,
and the rank correlation of what is predicted with what is true.

Only targets count that real rows can predict, MIN_AUC, MIN_R2 or MIN_RANK at least, and the declared label does not:
`any_auc`, `any_r2`, `any_rank` are means over them, with what real rows reach (`_real`) and how many targets there are
(`n_`). `any_share` is the mean share that is kept: of AUC - .5, and of R2, clipped at -1; `any_share_rank` has the rank
correlation in the place of R2. `label` is the declared label's figure. `per_target` holds the figures of each target.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from threea_spark.arrays import BoolArray, Float64Array

Figures = dict[str, Any]
Found = dict[str, dict[str, float]]
"""By target: `auc`, or `r2` and `rank`."""

MAX_TRAINED = 15_000
MIN_AUC, MIN_R2, MIN_RANK = 0.55, 0.05, 0.1
_N_CATEGORIES = 5
_MIN_TESTED = {"auc": 20, "r2": 50}  # rows of a category, or with a number
_MIN_TRAINED = 20
_MISSING, _OTHER = "<NA>", "<other>"


class AnyLabel:
    """Measures rows with every column as the target.

    Attributes:
      train: Real rows; they say which categories are frequent and what can be reached. PRIVATE.
      test: Held-out real rows.
      domain: Public: `label` and `columns`.
    """

    def __init__(self, train: pd.DataFrame, test: pd.DataFrame, domain: Mapping[str, Any]) -> None:
        self.train, self.test, self.domain = train, test, domain
        self._is_category = {name: spec["type"] == "categorical" for name, spec in domain["columns"].items()}
        self._frequent = {
            name: list(_texts(train[name]).value_counts().index[:_N_CATEGORIES])
            for name, is_category in self._is_category.items()
            if is_category
        }
        self._tested = feature_table(test, domain)

    def figures(self, rows: pd.DataFrame) -> Figures:
        """Figures of rows that were made from the real ones."""
        return self._summary(self.targets(rows))

    def figures_of_real_rows(self) -> Figures:
        """Figures of the real rows themselves."""
        return self._summary(self._real)

    def targets(self, rows: pd.DataFrame) -> Found:
        """Figures of each target that the held-out rows can test."""
        drawn = rows if len(rows) <= MAX_TRAINED else rows.sample(MAX_TRAINED, random_state=0)
        features, found = feature_table(drawn, self.domain), Found()
        for name, is_category in self._is_category.items():
            x, tested = (_numbered(table.drop(columns=name)) for table in (features, self._tested))
            measured = self._auc if is_category else self._r2
            figures = measured(x, self._target(drawn, name), tested, self._target(self.test, name))
            found |= {name: figures} if figures else {}
        return found

    @functools.cached_property
    def _real(self) -> Found:
        return self.targets(self.train)

    def _target(self, rows: pd.DataFrame, name: str) -> Any:
        if not self._is_category[name]:
            return pd.to_numeric(rows[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        texts = _texts(rows[name])
        return texts.where(texts.isin(self._frequent[name]), _OTHER).to_numpy()

    @staticmethod
    def _auc(x: pd.DataFrame, y: Any, tested: pd.DataFrame, truth: Any) -> dict[str, float]:
        """Mean AUC of the target's categories, each against the rest; nothing where fewer than two can be tested."""
        import lightgbm
        from sklearn.metrics import roc_auc_score

        classes, counts = np.unique(truth, return_counts=True)
        classes = classes[counts >= _MIN_TESTED["auc"]]
        if len(classes) < 2:
            return {}
        if len(np.unique(y)) < 2:
            return {"auc": 0.5}
        model = lightgbm.LGBMClassifier(n_estimators=40, n_jobs=1, random_state=0, verbose=-1).fit(x, y)
        chances = dict(zip(model.classes_, np.asarray(model.predict_proba(tested)).T, strict=True))
        judged = classes if len(classes) > 2 else classes[:1]
        return {
            "auc": float(np.mean([roc_auc_score(truth == c, chances.get(c, np.zeros(len(truth)))) for c in judged]))
        }

    @staticmethod
    def _r2(x: pd.DataFrame, y: Float64Array, tested: pd.DataFrame, truth: Float64Array) -> dict[str, float]:
        """R2 and rank correlation; nothing where too few numbers, or only one, can be tested."""
        import lightgbm
        from sklearn.metrics import r2_score

        known: BoolArray = ~np.isnan(truth)
        trained: BoolArray = ~np.isnan(y)
        if known.sum() < _MIN_TESTED["r2"] or np.nanstd(truth) == 0.0:
            return {}
        if trained.sum() < _MIN_TRAINED:
            return {"r2": 0.0, "rank": 0.0}
        model = lightgbm.LGBMRegressor(n_estimators=80, n_jobs=1, random_state=0, verbose=-1)
        predicted = np.asarray(model.fit(x[trained], y[trained]).predict(tested[known]))
        rank = pd.Series(predicted).corr(pd.Series(truth[known]), method="spearman") if np.std(predicted) > 0.0 else 0.0
        return {"r2": float(r2_score(truth[known], predicted)), "rank": float(rank)}

    def _summary(self, found: Found) -> Figures:
        auc, r2, rank = (self._pairs(found, *of) for of in (("auc", MIN_AUC), ("r2", MIN_R2), ("rank", MIN_RANK)))
        r2 = [(max(own, -1.0), real) for own, real in r2]
        kept = [(own - 0.5) / (real - 0.5) for own, real in auc]
        figures: Figures = {}
        for name, pairs in (("auc", auc), ("r2", r2), ("rank", rank)):
            figures |= {f"any_{name}": _mean([own for own, _ in pairs]), f"n_{name}": len(pairs)}
            figures[f"any_{name}_real"] = _mean([real for _, real in pairs])
        figures["any_share"] = _mean(kept + [max(own / real, -1.0) for own, real in r2])
        figures["any_share_rank"] = _mean(kept + [own / real for own, real in rank])
        label = self.domain["label"]
        figures["label"], figures["label_real"] = (_first(of.get(label)) for of in (found, self._real))
        rounded = {name: {way: round(value, 4) for way, value in of.items()} for name, of in found.items()}
        return {**figures, "per_target": rounded}

    def _pairs(self, found: Found, way: str, least: float) -> list[tuple[float, float]]:
        """What the rows and the real rows reach, for each target but the label that real rows can predict."""
        return [
            (own[way], self._real[name][way])
            for name, own in found.items()
            if name != self.domain["label"] and way in own and self._real[name][way] >= least
        ]


def feature_table(rows: pd.DataFrame, domain: Mapping[str, Any]) -> pd.DataFrame:
    """The domain's columns as LightGBM takes them: numbers as float64, categories in pandas' own type."""
    table = {}
    for name, spec in domain["columns"].items():
        if spec["type"] == "categorical":
            text = rows[name].map(lambda value: None if pd.isna(value) else str(value))
            table[name] = pd.Series(pd.Categorical(text, categories=spec["values"]), index=rows.index)
        else:
            table[name] = pd.to_numeric(rows[name], errors="coerce").astype(np.float64)
    return pd.DataFrame(table)


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    """Names that LightGBM takes, whatever the columns are called."""
    return table.set_axis([f"f{place}" for place in range(table.shape[1])], axis=1)


def _texts(column: pd.Series) -> pd.Series:
    return column.map(lambda value: _MISSING if pd.isna(value) else str(value))


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _first(figures: Mapping[str, float] | None) -> float | None:
    return next(iter(figures.values())) if figures else None
