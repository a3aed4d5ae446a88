"""Train on released rows, test on real rows: the utility a release loses. INTERNAL figures, never to be published."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.config.domain import Domain
from threea_spark.config.release import ConfigLike, ReleaseConfig
from threea_spark.engine.delta import Place, latest_version, read_latest, read_version
from threea_spark.engine.given import require_session, require_spark_rows
from threea_spark.engine.quiet import unprinted_query_errors
from threea_spark.errors import SourceError
from threea_spark.evaluation.models import class_chances, label_of, predicted_numbers
from threea_spark.source.reading import local_rows, names_in_order

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

MAX_ROWS = 300_000


@dataclass(frozen=True)
class Scores:
    """The scores of one model on the held-out real rows.

    Attributes:
      auc: Area under the ROC curve, macro one-vs-rest for more than two classes; None for regression.
      average_precision: Average precision of the second of two listed classes; None otherwise.
      accuracy: Share of correct predictions; None for regression.
      r2: Coefficient of determination; None for classification.
    """

    auc: float | None = None
    average_precision: float | None = None
    accuracy: float | None = None
    r2: float | None = None


@dataclass(frozen=True)
class LabelScores:
    """The scores of one of several labels, predicted without the others.

    Attributes:
      label: Its name.
      released, real: As in Evaluation.
    """

    label: str
    released: Scores
    real: Scores


@dataclass(frozen=True)
class Evaluation:
    """Models trained on released and on real rows, tested on the same held-out real rows. INTERNAL.

    Attributes:
      released, real: Scores of LightGBM trained on released and on real rows, for the first label.
      n_released, n_real, n_held_out: Number of rows used, exact and therefore internal.
      internal: Always true: these figures are computed from private rows without noise.
      further_labels: The scores of labels beside the first.
    """

    released: Scores
    real: Scores
    n_released: int
    n_real: int
    n_held_out: int
    internal: bool = True
    further_labels: tuple[LabelScores, ...] = ()

    def to_json(self) -> str:
        """Returns the evaluation as JSON."""
        return json.dumps(asdict(self), indent=1)

    def in_words(self) -> str:
        """Returns the evaluation as text for people to read."""
        rows: list[tuple[str, ...]] = [("trained on", "rows", "AUC", "avg. precision", "accuracy", "R2")]
        rows += [self._row("released", self.n_released, self.released), self._row("real", self.n_real, self.real)]
        for own in self.further_labels:
            rows += [(f"and for {own.label}:",)]
            rows += [self._row("released", self.n_released, own.released), self._row("real", self.n_real, own.real)]
        table = "\n".join("  " + "".join(f"{cell:<16}" for cell in row) for row in rows)
        return f"INTERNAL, not for publication: tested on {self.n_held_out:,} held-out real rows\n{table}"

    @staticmethod
    def _row(name: str, count: int, scores: Scores) -> tuple[str, ...]:
        figures = (scores.auc, scores.average_precision, scores.accuracy, scores.r2)
        return (name, f"{count:,}", *["-" if figure is None else f"{figure:.4f}" for figure in figures])


@dataclass(frozen=True)
class JudgedRows:
    """Rows on the driver. PRIVATE.

    Attributes:
      released: Released rows.
      real: Real rows that the release read.
      held_out: Real rows that it never read.
    """

    released: pd.DataFrame
    real: pd.DataFrame
    held_out: pd.DataFrame


def evaluate(
    spark: SparkSession, config: ConfigLike, held_out: DataFrame | str | Path, *, max_rows: int = MAX_ROWS
) -> Evaluation:
    """Evaluates a release by the models that can be trained on it.

    Args:
      spark: A session.
      config: The configuration of the release that was written, as in `release`.
      held_out: Real rows the release never read: a DataFrame, a table name, or the path of a Delta table.
      max_rows: Maximum number of rows collected on the driver from each table.

    Raises:
      ConfigError: if the configuration breaks a rule, or an argument has a wrong type.
      SourceError: if the release, the source or the held-out rows cannot be read, or there is no label.
      EnvironmentNotReadyError: if lightgbm is missing.
    """
    require_session(spark)
    config = ReleaseConfig.of(config)
    if config.domain.task == "none":
        raise SourceError("evaluate: domain.task is none, so there is no label to predict")
    rows = read_rows(spark, config, held_out, max_rows=max_rows)
    first, *further = (label_scores(rows, config.domain, label) for label in config.domain.labels)
    return Evaluation(
        released=first.released,
        real=first.real,
        n_released=len(rows.released),
        n_real=len(rows.real),
        n_held_out=len(rows.held_out),
        further_labels=tuple(further),
    )


def label_scores(rows: JudgedRows, domain: Domain, label: str) -> LabelScores:
    """Scores one label; other labels are no features of its models, since they are not known before it.

    Args:
      rows: Released, real and held-out rows. PRIVATE.
      domain: The domain of all rows.
      label: One of its labels.
    """
    own = domain.for_label(label)
    released, real = (score(train, rows.held_out, own) for train in (rows.released, rows.real))
    return LabelScores(label, released, real)


def read_rows(
    spark: SparkSession, config: ReleaseConfig, held_out: DataFrame | str | Path, *, max_rows: int
) -> JudgedRows:
    """Collects uniform samples of the three tables on the driver, in the domain's columns. PRIVATE.

    Args:
      spark, config, held_out, max_rows: As for `evaluate`.

    Raises:
      SourceError: if the release, the source or the held-out rows cannot be read.
    """
    source = Place.of(config.source.table, config.source.path)
    target = Place.of(config.target.table, config.target.path)
    version = latest_version(spark, source, config.source.version)
    real = _frame(spark, held_out)
    released = read_latest(spark, target)
    domain, names = config.domain, names_in_order(released, config.domain)
    with unprinted_query_errors():
        return JudgedRows(
            released=local_rows(released, domain, names, max_rows),
            real=local_rows(read_version(spark, source, version), domain, names, max_rows),
            held_out=local_rows(real, domain, names, max_rows),
        )


def score(train: pd.DataFrame, test: pd.DataFrame, domain: Domain) -> Scores:
    """Trains LightGBM on one frame and tests it on another.

    Args:
      train: Released or real rows, in the domain's columns.
      test: Held-out real rows.
      domain: Defines how columns are read.

    Raises:
      EnvironmentNotReadyError: if lightgbm is missing.
    """
    truth = label_of(test, domain)
    if domain.task == "regression":
        return _regression_scores(predicted_numbers("LightGBM", train, test, domain), truth)
    return _classification_scores(class_chances("LightGBM", train, test, domain), truth, domain.classes)


def _classification_scores(chance: Float64Array, y_test: pd.Series, classes: tuple[str, ...]) -> Scores:
    from sklearn.metrics import average_precision_score, roc_auc_score

    accuracy = float(np.mean(y_test.to_numpy() == np.array(classes, dtype=object)[chance.argmax(axis=1)]))
    present = [index for index, name in enumerate(classes) if 0 < (y_test == name).sum() < len(y_test)]
    if not present:
        return Scores(accuracy=accuracy)
    if len(classes) == 2:
        positive = y_test == classes[1]
        precision = float(average_precision_score(positive, chance[:, 1]))
        return Scores(float(roc_auc_score(positive, chance[:, 1])), precision, accuracy)
    areas = [roc_auc_score(y_test == classes[index], chance[:, index]) for index in present]
    return Scores(auc=float(np.mean(areas)), accuracy=accuracy)


def _regression_scores(predicted: Float64Array, y_test: pd.Series) -> Scores:
    from sklearn.metrics import r2_score

    known = y_test.notna().to_numpy()
    return Scores(r2=float(r2_score(y_test[known], predicted[known])))


def _frame(spark: SparkSession, held_out: DataFrame | str | Path) -> DataFrame:
    if isinstance(held_out, str | Path):
        return read_latest(spark, Place.named(str(held_out)))
    require_spark_rows(held_out, "held_out", "a table name, or the path of a Delta table")
    return held_out
