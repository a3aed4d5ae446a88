"""Train on released rows, test on real rows: what a user of the release loses. INTERNAL figures, never published."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from threea_spark.config import ReleaseConfig
from threea_spark.domain import CategoricalColumn, Domain, TimestampColumn
from threea_spark.errors import EnvironmentNotReadyError, SourceError
from threea_spark.judge.spark import local_rows
from threea_spark.places import Place, latest_version, read_latest, read_version

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

MAX_ROWS = 300_000
_PARTS = ("hour", "weekday", "month")


@dataclass(frozen=True)
class Scores:
    """Of one model on the held-out real rows.

    Attributes:
      auc: Area under the ROC curve, macro one-against-rest for more than two classes; None for regression.
      average_precision: Of the last listed class of two; None otherwise.
      accuracy: None for regression.
      r2: None for classification.
    """

    auc: float | None = None
    average_precision: float | None = None
    accuracy: float | None = None
    r2: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """Models trained on released and on real rows, tested on the same held-out real rows. INTERNAL.

    Attributes:
      released, real: LightGBM trained on each.
      n_released, n_real, n_held_out: Rows used, exact and therefore internal.
      internal: Always true: these figures read private rows without noise.
    """

    released: Scores
    real: Scores
    n_released: int
    n_real: int
    n_held_out: int
    internal: bool = True

    def to_json(self) -> str:
        """The evaluation as JSON."""
        return json.dumps(asdict(self), indent=1)

    def in_words(self) -> str:
        """The evaluation as text for a person."""
        rows: list[tuple[str, ...]] = [("trained on", "rows", "AUC", "avg. precision", "accuracy", "R2")]
        for name, count, scores in (("released", self.n_released, self.released), ("real", self.n_real, self.real)):
            figures = (scores.auc, scores.average_precision, scores.accuracy, scores.r2)
            rows.append((name, f"{count:,}", *["-" if figure is None else f"{figure:.4f}" for figure in figures]))
        table = "\n".join("  " + "".join(f"{cell:<16}" for cell in row) for row in rows)
        return f"INTERNAL, not for publication: tested on {self.n_held_out:,} held-out real rows\n{table}"


def evaluate(
    spark: SparkSession, config: ReleaseConfig, held_out: DataFrame | str, *, max_rows: int = MAX_ROWS
) -> Evaluation:
    """Judges a release by the models it trains.

    Args:
      spark: A session.
      config: Of the release that was written.
      held_out: Real rows the release never read: a DataFrame, a table name, or the path of a Delta table.
      max_rows: Rows brought to the driver from each table, at most.

    Raises:
      SourceError: if the release, the source or the held-out rows cannot be read, or there is no label.
      EnvironmentNotReadyError: if lightgbm is missing.
    """
    if config.domain.task == "none":
        raise SourceError("evaluate: domain.task is none, so there is no label to predict")
    source = Place.of(config.source.table, config.source.path)
    target = Place.of(config.target.table, config.target.path)
    version = latest_version(spark, source, config.source.version)
    names = list(config.domain.columns)
    released = local_rows(read_latest(spark, target), names, max_rows)
    real = local_rows(read_version(spark, source, version), names, max_rows)
    test = local_rows(_frame(spark, held_out), names, max_rows)
    return Evaluation(
        released=score(released, test, config.domain),
        real=score(real, test, config.domain),
        n_released=len(released),
        n_real=len(real),
        n_held_out=len(test),
    )


def score(train: pd.DataFrame, test: pd.DataFrame, domain: Domain) -> Scores:
    """Trains LightGBM on one frame and tests it on another.

    Args:
      train: Released or real rows, in the domain's columns.
      test: Held-out real rows.
      domain: Says how columns are read.

    Raises:
      EnvironmentNotReadyError: if lightgbm is missing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lightgbm's own imports warn on some versions of scipy
            import lightgbm
    except ImportError:
        raise EnvironmentNotReadyError("lightgbm is missing; pip install 'threea-spark[evaluate]'") from None
    label = str(domain.label)
    x, x_test = _features(train, domain, train), _features(test, domain, train)
    if domain.task == "regression":
        return _regression_scores(lightgbm.LGBMRegressor(n_jobs=2, verbose=-1), x, train[label], x_test, test[label])
    y, y_test = train[label].map(_text), test[label].map(_text)
    if y.nunique() < 2:
        share = float((y_test == y.iloc[0]).mean()) if len(y) else 0.0
        return Scores(auc=0.5, average_precision=None, accuracy=share)
    return _classification_scores(lightgbm.LGBMClassifier(n_jobs=2, verbose=-1), x, y, x_test, y_test, domain.classes)


def _classification_scores(
    model: object, x: pd.DataFrame, y: pd.Series, x_test: pd.DataFrame, y_test: pd.Series, classes: tuple[str, ...]
) -> Scores:
    import numpy as np
    from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score

    fitted = model.fit(x, y)  # type: ignore[attr-defined]
    chance = np.zeros((len(x_test), len(classes)))
    chance[:, [classes.index(name) for name in fitted.classes_]] = fitted.predict_proba(x_test)
    accuracy = float(accuracy_score(y_test, np.array(classes)[chance.argmax(axis=1)]))
    present = [index for index, name in enumerate(classes) if 0 < (y_test == name).sum() < len(y_test)]
    if not present:
        return Scores(accuracy=accuracy)
    if len(classes) == 2:
        positive = y_test == classes[1]
        precision = float(average_precision_score(positive, chance[:, 1]))
        return Scores(float(roc_auc_score(positive, chance[:, 1])), precision, accuracy)
    areas = [roc_auc_score(y_test == classes[index], chance[:, index]) for index in present]
    return Scores(auc=float(np.mean(areas)), accuracy=accuracy)


def _regression_scores(model: object, x: pd.DataFrame, y: pd.Series, x_test: pd.DataFrame, y_test: pd.Series) -> Scores:
    from sklearn.metrics import r2_score

    known, known_test = y.notna(), y_test.notna()
    fitted = model.fit(x[known], y[known].astype(float))  # type: ignore[attr-defined]
    return Scores(r2=float(r2_score(y_test[known_test].astype(float), fitted.predict(x_test[known_test]))))


def _features(frame: pd.DataFrame, domain: Domain, train: pd.DataFrame) -> pd.DataFrame:
    """Numbers as floats, categories by the training rows' values, timestamps as seconds and their parts."""
    import pandas as pd

    out: dict[str, pd.Series] = {}
    for position, (name, column) in enumerate(domain.features.items()):
        key = f"f{position}"
        if isinstance(column, CategoricalColumn):
            levels = sorted(set(train[name].map(_text).dropna()))
            out[key] = pd.Series(pd.Categorical(frame[name].map(_text), categories=levels), index=frame.index)
        elif isinstance(column, TimestampColumn):
            moment = pd.to_datetime(frame[name], utc=True)
            seconds = moment.astype("int64").astype(float) / 1e9
            out[key] = seconds.where(moment.notna())
            for part in _PARTS:
                values = getattr(moment.dt, part)
                out[f"{key}_{part}"] = values.astype(float).where(moment.notna())
        else:
            out[key] = pd.to_numeric(frame[name], errors="coerce").astype(float)
    return pd.DataFrame(out)


def _text(value: object) -> str | None:
    if value is None or value != value:  # NaN and NaT differ from themselves
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _frame(spark: SparkSession, held_out: DataFrame | str) -> DataFrame:
    return read_latest(spark, Place.named(held_out)) if isinstance(held_out, str) else held_out
