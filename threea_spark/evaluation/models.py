"""Models trained on one frame and applied to another: LightGBM and a linear model."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.config.domain import Domain
from threea_spark.errors import EnvironmentNotReadyError
from threea_spark.evaluation.features import LinearFeatures, tree_features
from threea_spark.publish.mlflow import autologging_off
from threea_spark.source.reading import column_as_read

if TYPE_CHECKING:
    import pandas as pd

ModelName: TypeAlias = Literal["LightGBM", "linear"]

MODELS: tuple[ModelName, ...] = ("LightGBM", "linear")
_LINEAR_ROWS = 20_000
_LINEAR_STEPS = 300


def label_of(rows: pd.DataFrame, domain: Domain) -> pd.Series:
    """Reads the label: classes as text, numbers as float64."""
    return column_as_read(rows[str(domain.label)], domain.columns[str(domain.label)])


def class_chances(model: ModelName, train: pd.DataFrame, test: pd.DataFrame, domain: Domain) -> Float64Array:
    """Trains a classifier on one frame and returns its class probabilities on another.

    Args:
      model: LightGBM, or linear for logistic regression.
      train: Released or real rows, in the domain's columns; rows without a label are dropped.
      test: Rows to predict.
      domain: Defines how columns are read, and lists the classes.

    Returns:
      Probabilities, shape (n_test, n_classes); the same row n_test times if all labels of `train` are one class.

    Raises:
      EnvironmentNotReadyError: if lightgbm is needed and missing.
    """
    labels = label_of(train, domain)
    kept = labels.isin(domain.classes)
    train, labels = train[kept], labels[kept]
    chance = np.zeros((len(test), len(domain.classes)))
    if labels.nunique() < 2:
        chance[:, [domain.classes.index(name) for name in labels.unique()]] = 1.0
        return chance
    with autologging_off():
        fitted, x_test = _fitted(model, train, labels, test, domain)
    chance[:, [domain.classes.index(name) for name in fitted.classes_]] = fitted.predict_proba(x_test)
    return chance


def predicted_numbers(model: ModelName, train: pd.DataFrame, test: pd.DataFrame, domain: Domain) -> Float64Array:
    """Trains a regression on one frame and returns its predictions on another, shape (n_test,); see `class_chances`."""
    labels = label_of(train, domain)
    kept = labels.notna()
    if not kept.any():
        return np.zeros(len(test))
    with autologging_off():
        fitted, x_test = _fitted(model, train[kept], labels[kept], test, domain)
    return np.asarray(fitted.predict(x_test), dtype=np.float64)


def _fitted(
    model: ModelName, train: pd.DataFrame, labels: pd.Series, test: pd.DataFrame, domain: Domain
) -> tuple[Any, pd.DataFrame | Float64Array]:
    """Returns the fitted model, and the test rows as it reads them."""
    if model == "LightGBM":
        lightgbm = lightgbm_module()
        kind = lightgbm.LGBMRegressor if domain.task == "regression" else lightgbm.LGBMClassifier
        fitted = kind(n_jobs=2, verbose=-1).fit(tree_features(train, domain, train), labels)
        return fitted, tree_features(test, domain, train)
    from sklearn.linear_model import LogisticRegression, Ridge

    features = LinearFeatures.fit(train, domain)
    few = train.index[:_LINEAR_ROWS]
    linear = Ridge() if domain.task == "regression" else LogisticRegression(max_iter=_LINEAR_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged, but good enough for a comparison
        return linear.fit(features.matrix(train.loc[few]), labels.loc[few]), features.matrix(test)


def lightgbm_module() -> Any:  # noqa: ANN401 - the module
    """Imports lightgbm.

    Raises:
      EnvironmentNotReadyError: if it is missing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lightgbm's own imports warn on some versions of scipy
            import lightgbm
    except ImportError:
        raise EnvironmentNotReadyError("lightgbm is missing; pip install 'threea-spark[evaluate]'") from None
    return lightgbm
