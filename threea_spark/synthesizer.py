"""Fits and samples in the manner of scikit-learn, on a pandas frame: in this process, or on Spark if asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from threea_spark.config.domain import Domain
from threea_spark.config.reading import read_yaml
from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import ConfigError
from threea_spark.model.released import ReleaseModel
from threea_spark.pipeline import fit as fit_table
from threea_spark.privacy.statement import PrivacyStatement
from threea_spark.session import build_session
from threea_spark.source.pandas import arrow_table, released_types

if TYPE_CHECKING:
    import pandas as pd

_NOWHERE, _RELEASED = {"path": "a pandas frame"}, {"path": "released rows of a pandas frame"}


class Synthesizer(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learns a table under differential privacy, and draws rows like it.

    Attributes:
      epsilon, delta: The claim; neither has a default.
      domain: A `Domain`, its plain values, or the path of its YAML: public knowledge, never looked up in the rows.
      unit: `"row"`, or `{"column": ..., "max_rows": ...}` where one person has many rows; no default either.
      sections: Further sections of the configuration by name, `{"adapt": {"method": "none"}}`.
      master: A Spark master such as local[*], for frames too large to be read in this process; None needs no Spark.
      model_: The fitted ReleaseModel, after `fit`.
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

    def fit(self, X: pd.DataFrame, y: pd.Series | None = None) -> Synthesizer:
        """Fits the model; each call spends epsilon and delta on the people in X anew.

        The dtypes of X are functions of its rows, so they decide nothing. The domain decides what type is released,
        and each cell is read by one rule, which sees no other cell; what it cannot read is null:

        - integer, float: numbers, true and false (1, 0), and text that is a number.
        - categorical: text as it is, true, false, numbers, dates and moments (UTC) as Spark writes them. A whole number
          is `1` however it is held; where only `1.0` is listed, it is that.
        - timestamp: moments and dates, UTC where they name no zone, and text in ISO 8601 such as 2020-01-31T12:30:00Z.

        Args:
          X: Rows with the domain's columns, and the unit's column where one is named. Two rows are of one unit if its
            cells have the same text, read as a category's. Give identifiers beyond 2^53 as text or in a dtype of whole
            numbers (Int64): pandas makes a float column where one is missing, and that cannot hold them apart. Where a
            file is read by pandas, name its `dtype`, for what is guessed from all rows changes cells before they come
            here.
          y: The label, where X does not hold it.

        Raises:
          ConfigError: if parameters break a rule.
          SchemaError: if X lacks a column of the domain or holds it twice; no cell is read.
          ReleaseFailedError: if a stage failed.
        """
        config = self._config()
        frame = X if y is None else X.assign(**{str(config.domain.label): y})
        if self.master is None:
            self.model_ = fit_table(frame, config)
            return self
        rows = arrow_table(frame, config.domain, config.privacy.privacy_unit.column)
        spark = build_session("threea-synthesizer", master=self.master)
        model = fit_table(spark.createDataFrame(rows), config)
        self.model_ = replace(model, types=released_types(config.domain))
        return self

    @property
    def privacy_(self) -> PrivacyStatement:
        """The guarantee of the fitted model, in numbers and in words."""
        return self._fitted().privacy

    def sample(
        self,
        n_rows: int | None = None,
        *,
        seed: int = 0,
        where: Mapping[str, object] | None = None,
        class_shares: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """Draws rows; it costs no privacy, however often. See `ReleaseModel.sample_local`.

        Types are the domain's: integer columns are int64, float columns float64, categories text, and timestamps
        moments in UTC (integer columns with nulls are float64, as pandas has it).

        Raises:
          ConfigError: if `fit` was not called, or what is asked cannot be drawn.
        """
        return self._fitted().sample_local(n_rows, seed=seed, where=where, class_shares=class_shares)

    def _fitted(self) -> ReleaseModel:
        if not hasattr(self, "model_"):
            raise ConfigError("this Synthesizer is not fitted yet; call fit(frame) first")
        model: ReleaseModel = self.model_
        return model

    def _config(self) -> ReleaseConfig:
        domain = self.domain if isinstance(self.domain, Domain | Mapping) else read_yaml(self.domain)
        plain = domain.model_dump() if isinstance(domain, Domain) else dict(domain)
        sections = dict(self.sections or {})
        if taken := sorted({"source", "target", "privacy", "domain"} & set(sections)):
            raise ConfigError(f"sections: {taken[0]!r} is set by the other parameters; drop it from sections")
        privacy = {"epsilon": self.epsilon, "delta": self.delta, "unit": self.unit}
        content = {"source": _NOWHERE, "target": _RELEASED, "privacy": privacy, "domain": plain, **sections}
        return ReleaseConfig.from_dict(content, where="Synthesizer")
