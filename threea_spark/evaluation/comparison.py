"""Compares models trained on released rows with models trained on real ones. INTERNAL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.config.domain import Domain
from threea_spark.evaluation.curves import Interval, Ranking, bootstrap
from threea_spark.evaluation.evaluate import JudgedRows
from threea_spark.evaluation.models import MODELS, ModelName, class_chances, label_of, predicted_numbers

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ModelFigure:
    """The performance of one model on the held-out real rows. INTERNAL.

    Attributes:
      model: LightGBM or linear.
      trained_on: released or real.
      measure: AUC (macro one-vs-rest for more than two classes) or R2.
      figure: Value of the measure with its bootstrap interval over held-out rows.
      false_positives, true_positives: The ROC curve, averaged over the classes; empty for regression.
    """

    model: str
    trained_on: str
    measure: str
    figure: Interval
    false_positives: Float64Array
    true_positives: Float64Array


def compare_models(rows: JudgedRows, domain: Domain) -> list[ModelFigure]:
    """Trains each model on released and on real rows, and tests it on held-out real rows.

    Args:
      rows: Released, real and held-out rows. PRIVATE.
      domain: The domain of all rows; the result is empty if its task is none.
    """
    if domain.task == "none" or not len(rows.held_out):
        return []
    pairs = [
        (model, name, frame) for model in MODELS for name, frame in (("released", rows.released), ("real", rows.real))
    ]
    judge = _regression if domain.task == "regression" else _classification
    return [judge(model, name, frame, rows.held_out, domain) for model, name, frame in pairs]


def _classification(
    model: ModelName, name: str, train: pd.DataFrame, test: pd.DataFrame, domain: Domain
) -> ModelFigure:
    chance = class_chances(model, train, test, domain)
    truth = label_of(test, domain).to_numpy(dtype=object)
    wanted = range(1, 2) if len(domain.classes) == 2 else range(len(domain.classes))
    rankings = [
        Ranking.of(chance[:, index], positive)
        for index in wanted
        if 0 < (positive := (truth == domain.classes[index])).sum() < len(truth)
    ]
    rates = np.linspace(0.0, 1.0, 101)
    if not rankings:
        return ModelFigure(model, name, "AUC", Interval(0.5, 0.5, 0.5), rates, rates)
    area = bootstrap(lambda weights: float(np.mean([ranking.area(weights) for ranking in rankings])), len(test))
    curve = np.mean([ranking.true_positives(rates) for ranking in rankings], axis=0)
    return ModelFigure(model, name, "AUC", area, np.append(0.0, rates), np.append(0.0, curve))


def _regression(model: ModelName, name: str, train: pd.DataFrame, test: pd.DataFrame, domain: Domain) -> ModelFigure:
    label = label_of(test, domain)
    known = label.notna()
    truth = label[known].to_numpy(dtype=np.float64)
    squared = (predicted_numbers(model, train, test[known], domain) - truth) ** 2

    def r2(weights: Float64Array) -> float:
        mean = float(np.sum(weights * truth) / max(float(weights.sum()), 1.0))
        spread = float(np.sum(weights * (truth - mean) ** 2))
        return 1.0 - float(np.sum(weights * squared)) / spread if spread > 0.0 else 0.0

    return ModelFigure(model, name, "R2", bootstrap(r2, len(truth)), np.zeros(0), np.zeros(0))
