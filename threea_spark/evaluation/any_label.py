"""Every column as the label: how well LightGBM learns each column from the others, on released and on real rows.

Each model is tested on held-out real rows. INTERNAL figures, never to be published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.config.domain import Domain
from threea_spark.evaluation.evaluate import JudgedRows
from threea_spark.evaluation.features import tree_features
from threea_spark.evaluation.models import lightgbm_module
from threea_spark.publish.mlflow import autologging_off
from threea_spark.source.reading import column_as_read, numbers_as_read

if TYPE_CHECKING:
    import pandas as pd

MAX_TARGETS = 12
MAX_TRAINED = 5_000
_MAX_TESTED = 10_000
_N_CATEGORIES = 5
_MIN_TESTED, _MIN_TRAINED = 20, 20
_MIN_AUC, _MIN_R2 = 0.55, 0.05
_NULL, _REST = "\x00null", "\x00rest"  # no category is called so


@dataclass(frozen=True)
class TargetFigure:
    """How well one column is learned from the others. INTERNAL.

    Attributes:
      name: The column.
      measure: AUC, the mean over the most frequent categories against the rest, or R2.
      released, real: The measure on held-out real rows, by models trained on released and on real rows.
    """

    name: str
    measure: Literal["AUC", "R2"]
    released: float
    real: float

    @property
    def is_learnable(self) -> bool:
        """Whether real rows teach the column at all, so that something can be kept or lost."""
        return self.real >= (_MIN_AUC if self.measure == "AUC" else _MIN_R2)

    @property
    def kept(self) -> float:
        """Share that is kept of what real rows teach, above a blind guess; at least -1."""
        guess = 0.5 if self.measure == "AUC" else 0.0
        return max(-1.0, (self.released - guess) / (self.real - guess))


def any_label(rows: JudgedRows, domain: Domain, names: Sequence[str]) -> list[TargetFigure]:
    """Measures columns as labels, the domain's first label aside, which models of its own are made for.

    Args:
      rows: Released, real and held-out rows. PRIVATE.
      domain: Defines how columns are read.
      names: Columns that are features, and targets as far as `MAX_TARGETS` goes.

    Returns:
      One figure a column that the held-out rows can test, in the order of `names`; none without held-out rows.

    Raises:
      EnvironmentNotReadyError: if lightgbm is missing.
    """
    if not len(rows.held_out) or len(names) < 2:
        return []
    few = Domain.model_validate({"columns": {name: domain.columns[name] for name in names}, "task": "none"})
    test = _drawn(rows.held_out, _MAX_TESTED)
    trained = [_Table(_drawn(train, MAX_TRAINED), test, few) for train in (rows.released, rows.real)]
    targets = [name for name in names if name != domain.label][:MAX_TARGETS]
    figures = (_figure(name, few, trained, test) for name in targets)
    return [figure for figure in figures if figure is not None]


class _Table:
    """Rows that models are trained on, and the test rows as these models read them."""

    def __init__(self, train: pd.DataFrame, test: pd.DataFrame, domain: Domain) -> None:
        self.train = train
        self._x, self._x_test = tree_features(train, domain, train), tree_features(test, domain, train)
        self._key = {name: f"f{place}" for place, name in enumerate(domain.features)}

    def without(self, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Features of both, without a column and the parts of its timestamp."""
        key = self._key[name]
        kept = [own for own in self._x.columns if own != key and not own.startswith(f"{key}_")]
        return self._x[kept], self._x_test[kept]


def _drawn(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    if len(rows) <= most:
        return rows
    return rows.iloc[np.random.default_rng(0).choice(len(rows), most, replace=False)]


def _figure(name: str, domain: Domain, trained: Sequence[_Table], test: pd.DataFrame) -> TargetFigure | None:
    real = trained[-1]
    if domain.columns[name].is_categorical:
        frequent = _texts(real.train, name, domain).value_counts().index[:_N_CATEGORIES]
        truth = _classes(test, name, domain, frequent)
        found, counts = np.unique(truth, return_counts=True)
        judged = found[counts >= _MIN_TESTED]
        if len(judged) < 2:
            return None
        areas = [_auc(own, name, _classes(own.train, name, domain, frequent), truth, judged) for own in trained]
        return TargetFigure(name, "AUC", *areas)
    truth = _numbers(test, name, domain)
    if np.isfinite(truth).sum() < _MIN_TESTED or np.nanstd(truth) == 0.0:
        return None
    return TargetFigure(name, "R2", *[_r2(own, name, _numbers(own.train, name, domain), truth) for own in trained])


def _auc(table: _Table, name: str, y: Any, truth: Any, judged: Any) -> float:  # noqa: ANN401 - arrays of text
    from sklearn.metrics import roc_auc_score

    if len(np.unique(y)) < 2:
        return 0.5
    x, x_test = table.without(name)
    with autologging_off():
        model = lightgbm_module().LGBMClassifier(n_estimators=40, n_jobs=1, random_state=0, verbose=-1).fit(x, y)
    chances = dict(zip(model.classes_, np.asarray(model.predict_proba(x_test)).T, strict=True))
    wanted = judged if len(judged) > 2 else judged[:1]
    return float(np.mean([roc_auc_score(truth == own, chances.get(own, np.zeros(len(truth)))) for own in wanted]))


def _r2(table: _Table, name: str, y: Float64Array, truth: Float64Array) -> float:
    from sklearn.metrics import r2_score

    trained, known = np.isfinite(y), np.isfinite(truth)
    if trained.sum() < _MIN_TRAINED:
        return 0.0
    x, x_test = table.without(name)
    with autologging_off():
        model = lightgbm_module().LGBMRegressor(n_estimators=80, n_jobs=1, random_state=0, verbose=-1)
        predicted = np.asarray(model.fit(x[trained], y[trained]).predict(x_test[known]))
    return float(r2_score(truth[known], predicted))


def _texts(rows: pd.DataFrame, name: str, domain: Domain) -> pd.Series:
    texts: pd.Series = column_as_read(rows[name], domain.columns[name])
    return texts.where(texts.notna(), _NULL)


def _classes(rows: pd.DataFrame, name: str, domain: Domain, frequent: pd.Index) -> Any:  # noqa: ANN401 - text
    texts = _texts(rows, name, domain)
    return texts.where(texts.isin(frequent), _REST).to_numpy(dtype=str)


def _numbers(rows: pd.DataFrame, name: str, domain: Domain) -> Float64Array:
    found: Float64Array = numbers_as_read(rows[name], domain.columns[name]).to_numpy(dtype=np.float64)
    return found
