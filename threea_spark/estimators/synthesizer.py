"""An estimator of scikit-learn for frames and arrays: it works in this process, or on Spark if asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import ConfigError
from threea_spark.estimators.errors import NotFittedError
from threea_spark.estimators.frames import features_of, with_label
from threea_spark.estimators.saved import read_beside, write_beside
from threea_spark.model.released import ReleaseModel
from threea_spark.pipeline import fit as fit_table
from threea_spark.privacy.statement import PrivacyStatement
from threea_spark.session import build_session
from threea_spark.source.dtypes import declared_dtypes, with_dtypes
from threea_spark.source.frame_columns import labels_by_name
from threea_spark.source.pandas import arrow_table, released_types

if TYPE_CHECKING:
    import pandas as pd

_NOWHERE, _RELEASED = {"path": "a pandas frame"}, {"path": "released rows of a pandas frame"}


class Synthesizer(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learns a table under differential privacy and draws rows like it.

    Attributes:
      epsilon, delta: The claim; neither has a default.
      domain: A `Domain`, its plain values, or the path of its YAML: public knowledge, never looked up in the rows.
      unit: `"row"`, or `{"column": ..., "max_rows": ...}` if one person has many rows; no default either.
      sections: Other sections of the configuration by name, such as `{"adapt": {"method": "none"}}`.
      master: A Spark master such as `local[*]`, for frames that are too large for this process; None needs no Spark.
      model_: The fitted ReleaseModel, after `fit`.
      dtypes_: The frame's dtypes that `sample` gives back, by column, after `fit`; see `fit`.
      labels_: The frame's label of each column, by its text, after `fit`: `read_csv(header=None)` makes whole numbers.
      n_features_in_: How many columns X had; `feature_names_in_`: their names, where all are text.
    """

    def __init__(
        self,
        *,
        epsilon: float,
        delta: float,
        domain: Domain | Mapping[str, Any] | str | Path,
        unit: str | Mapping[str, Any],
        sections: Mapping[str, Any] | None = None,
        master: str | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.domain = domain
        self.unit = unit
        self.sections = sections
        self.master = master

    def fit(self, X: Any, y: Any = None) -> Synthesizer:  # noqa: ANN401 - array-likes
        """Fits the model; each call spends epsilon and delta again on the people in X.

        The dtypes that pandas infers from rows (int64, float64, bool, object, datetime64) are ignored. The domain
        decides which type is released, and each cell is read by a rule that looks at no other cell; a cell that the
        rule cannot read becomes null:

        - integer, float: numbers, true and false (1, 0), and text that is a number.
        - categorical: text as it is; true, false, numbers, dates and timestamps (UTC) as Spark writes them; UUIDs,
          times of day, durations, periods and intervals as Python does. A whole number is `1` whatever its dtype; if
          only `1.0` is listed, it is `1.0`. So it is with other numbers, true and false, and times.
        - timestamp: timestamps and dates, in UTC unless they name a zone, and ISO 8601 text such as
          2020-01-31T12:30:00Z; of a period its start.

        Dtypes that only you choose come back from `sample`: Int64 and the like, boolean, string, category with the
        domain's values (in the order of an ordered dtype), Arrow's, uint8 and other narrow numbers of columns without
        null, timestamps in a named time zone. They are public like a table's schema: choose them without looking at
        rows.

        Args:
          X: Rows with the domain's columns, as a frame, or as an array if the domain calls them x0, x1, ...; and the
            unit's column if one is named. Two rows belong to one unit if the cells of that column have the same text,
            read like a category. Pass identifiers beyond 2^53 as text or in an integer dtype (Int64): pandas makes a
            float column if one is missing, which cannot tell them apart. If pandas reads a file, name its `dtype`:
            guessing types from all rows changes cells before they get here.
          y: The label, if X does not contain it, in the order of its rows; several are columns of X. It plays no part
            where the domain has no label.

        Raises:
          ConfigError: if parameters break a rule, or y is given where X has the label too, or the domain has several.
          InputError: if X is no table, or an array whose columns the domain does not name.
          SchemaError: if X lacks a column of the domain, has it twice or in a dtype that cannot be read (nested values,
            bytes); no cell is read.
          ReleaseFailedError: if a stage failed.
        """
        config = self._config()
        features = features_of(X, config.domain, has_label_apart=y is not None)
        frame = features if y is None else with_label(features, y, config.domain)
        self._remember_features(features)
        self.dtypes_, self.labels_ = declared_dtypes(frame, config.domain), labels_by_name(frame)
        if self.master is None:
            self.model_ = fit_table(frame, config)
            return self
        rows = arrow_table(frame, config.domain, config.privacy.privacy_unit.column, config.added_columns)
        spark = build_session("threea-synthesizer", master=self.master)
        model = fit_table(spark.createDataFrame(rows), config)
        self.model_ = replace(model, types=released_types(config.domain) | config.added_columns)
        return self

    @property
    def privacy_(self) -> PrivacyStatement:
        """The guarantee of the fitted model, in numbers and in words."""
        return self.released_model().privacy

    def sample(
        self,
        n_rows: int | None = None,
        *,
        seed: int = 0,
        where: Mapping[str, object] | None = None,
        class_shares: Mapping[Any, float] | None = None,
    ) -> pd.DataFrame:
        """Draws rows; this costs no privacy, however often it is called. See `ReleaseModel.sample_local`.

        Types follow the domain, unless the frame's dtypes come back: integer columns are int64, float columns float64,
        categories text, and timestamps are in UTC (integer columns with nulls are float64, as usual in pandas).

        Raises:
          NotFittedError: if `fit` was not called.
          ConfigError: if the requested rows cannot be drawn.
        """
        rows = self.released_model().sample_local(n_rows, seed=seed, where=where, class_shares=class_shares)
        return with_dtypes(rows, self.dtypes_, self.labels_)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray[Any, np.dtype[Any]]:
        """Names of the columns that `sample` gives, the label's too; `input_features` is not read.

        Raises:
          NotFittedError: if `fit` was not called.
        """
        return np.array([self.labels_.get(name, name) for name in self.released_model().types], dtype=object)

    def save(self, folder: str | Path) -> None:
        """Writes the fitted estimator: parameters, model and dtypes, without pickle. `ReleaseModel.load` reads it too.

        Raises:
          NotFittedError: if `fit` was not called.
          ModelError: if the folder is not empty.
        """
        model, config = self.released_model(), self._config()
        model.save(folder)
        domain = config.domain.model_dump(mode="json")
        parameters = {**self.get_params(deep=False), "domain": domain, "sections": dict(self.sections or {})}
        seen = {"n_features_in_": self.n_features_in_, "names": list(getattr(self, "feature_names_in_", ()))}
        write_beside(folder, {"parameters": parameters, **seen}, self.dtypes_, self.labels_)

    @classmethod
    def load(cls, folder: str | Path) -> Synthesizer:
        """Reads a saved, fitted estimator.

        Raises:
          ModelError: if it is missing, damaged or of an unknown format.
        """
        model = ReleaseModel.load(folder)
        content, dtypes, labels = read_beside(folder)
        made = cls(**content["parameters"])
        made.model_, made.dtypes_, made.labels_ = model, dtypes, labels
        made.n_features_in_ = content["n_features_in_"]
        if content["names"]:
            made.feature_names_in_ = np.array(content["names"], dtype=object)
        return made

    def released_model(self) -> ReleaseModel:
        """The fitted model, `model_`.

        Raises:
          NotFittedError: if `fit` was not called.
        """
        if not hasattr(self, "model_"):
            raise NotFittedError("this Synthesizer is not fitted yet; call fit(frame) first")
        model: ReleaseModel = self.model_
        return model

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - scikit-learn's Tags, since 1.6
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        tags.non_deterministic = True  # noise has no seed
        return tags

    def _remember_features(self, features: pd.DataFrame) -> None:
        self.n_features_in_ = features.shape[1]
        self.__dict__.pop("feature_names_in_", None)
        if all(isinstance(label, str) for label in features.columns):
            self.feature_names_in_ = np.array(features.columns, dtype=object)

    def _config(self) -> ReleaseConfig:
        sections = dict(self.sections or {})
        if taken := sorted({"source", "target", "privacy", "domain"} & set(sections)):
            raise ConfigError(f"sections: {taken[0]!r} is set by the other parameters; drop it from sections")
        privacy = {"epsilon": self.epsilon, "delta": self.delta, "unit": self.unit}
        domain = self.domain if isinstance(self.domain, Mapping) else Domain.of(self.domain)
        content = {"source": _NOWHERE, "target": _RELEASED, "privacy": privacy, "domain": domain, **sections}
        return ReleaseConfig.from_dict(content, where="Synthesizer")
