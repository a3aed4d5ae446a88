"""ReleaseModel: every number fitted under DP, and nothing else. It is safe to share, save and draw from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from threea_spark.config.domain import Domain
from threea_spark.encode.cells import Decoded
from threea_spark.encode.codec import Encoding
from threea_spark.encode.noisy_tables import NoisyTables
from threea_spark.errors import ConfigError, ModelError
from threea_spark.model import store
from threea_spark.model.blocks import BlockDraw
from threea_spark.model.conditions import conditions_of
from threea_spark.model.narrowing import narrowed
from threea_spark.model.row_keys import RowKeys
from threea_spark.model.sampler import RowSampler, draw_rows
from threea_spark.privacy.statement import PrivacyStatement

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_LATER_PARTS = {"advice", "domain_fit", "tables"}
"""Parts that models of earlier versions lack."""


@dataclass(frozen=True)
class ReleaseModel:
    """What `fit` returns.

    Attributes:
      domain: As declared, with the bounds that were found in place of `auto`.
      encoding: Codes of the columns. RELEASED.
      sampler: The distribution that rows are drawn from. RELEASED.
      types: Spark's simple type string by released column, in the source's order.
      n_rows: DP number of rows of the source.
      privacy: The guarantee that covers every number above.
      advice: Signs that the release lost more than it had to, from public and DP numbers.
      domain_fit: How the domain meets the rows (encode/domain_fit.py), from DP numbers.
      tables: The noisy counts that it was made of; None in models of versions before 0.3.0. RELEASED.
    """

    domain: Domain
    encoding: Encoding
    sampler: RowSampler
    types: Mapping[str, str]
    n_rows: float
    privacy: PrivacyStatement
    advice: tuple[str, ...] = ()
    domain_fit: Mapping[str, Any] = field(default_factory=dict)
    tables: NoisyTables | None = None

    @property
    def matching_rows(self) -> int:
        """As many rows as the source holds, by its noisy count."""
        return max(1, round(self.n_rows))

    def sample(
        self,
        spark: SparkSession,
        n_rows: int | None = None,
        *,
        seed: int = 0,
        where: Mapping[str, object] | None = None,
        class_shares: Mapping[Any, float] | None = None,
    ) -> DataFrame:
        """Draws rows with the source's columns and types. Post-processing: it costs nothing, however often.

        Args:
          spark: A session, classic or Connect.
          n_rows: How many; None draws as many as the source holds, by its noisy count.
          seed: Public; another seed draws another table from the same distribution. It plays no part in any noise.
          where: Only rows with these values, by column: a category, a number, a date or time, a pair (lowest, highest)
            of which one may be None, or None for null. Text may be any of them (`60..80`, `2020-01-31`), as ISO 8601
            for times, in UTC; a date is its whole day.
          class_shares: Shares of the first label's classes, which sum to 1; the model's own where None.

        Raises:
          ConfigError: if n_rows is not positive, or fewer than one row in a thousand would fit.
        """
        from threea_spark.model.draw import sampled_rows

        return sampled_rows(spark, self.rows_drawn(n_rows, seed=seed, where=where, class_shares=class_shares))

    def sample_local(
        self,
        n_rows: int | None = None,
        *,
        seed: int = 0,
        where: Mapping[str, object] | None = None,
        class_shares: Mapping[Any, float] | None = None,
    ) -> pd.DataFrame:
        """Draws the rows that `sample` would, in this process and without Spark: for tables that fit into memory.

        Args:
          n_rows, seed, where, class_shares: As in `sample`.

        Raises:
          ConfigError: as in `sample`, or if n_rows is above 10 million.
        """
        frame: pd.DataFrame = self.arrow_rows(n_rows, seed=seed, where=where, class_shares=class_shares).to_pandas()
        return frame

    def arrow_rows(
        self,
        n_rows: int | None = None,
        *,
        seed: int = 0,
        where: Mapping[str, object] | None = None,
        class_shares: Mapping[Any, float] | None = None,
    ) -> pa.Table:
        """Draws the rows of `sample_local` as an Arrow table, in the source's types."""
        return self.rows_drawn(n_rows, seed=seed, where=where, class_shares=class_shares).local_table()

    def sample_xy(
        self,
        n_rows: int | None = None,
        *,
        seed: int = 0,
        where: Mapping[str, object] | None = None,
        class_shares: Mapping[Any, float] | None = None,
        label: str | None = None,
        encoded: bool = False,
    ) -> tuple[pd.DataFrame, pd.Series]:
        """Draws rows as features and labels, ready for scikit-learn; see `as_xy` for their form.

        Args:
          n_rows, seed, where, class_shares: As in `sample`.
          label, encoded: As in `as_xy`.

        Raises:
          ConfigError: as in `sample_local`, or if the domain has no label.
        """
        rows = self.sample_local(n_rows, seed=seed, where=where, class_shares=class_shares)
        return self.as_xy(rows, label=label, encoded=encoded)

    def as_xy(
        self, rows: pd.DataFrame, *, label: str | None = None, encoded: bool = False
    ) -> tuple[pd.DataFrame, pd.Series]:
        """Brings rows, also real ones, into the form of `sample_xy`: what a model was trained on it can be tested on.

        Args:
          rows: Hold the domain's columns.
          label: Which label is y where there are several; None is the first. No label is a column of X.
          encoded: Whether X holds numbers from 0 to 1 alone, for LogisticRegression, RandomForest and their like:
            places between a column's bounds, indicators of categories and of nulls. Nothing is learned from the rows.

        Returns:
          X, unless encoded with numbers as float64, times as seconds since 1970 and categories in pandas' own type;
          and y, of which whole numbers are int64. Rows without a label are left out.

        Raises:
          ConfigError: if the domain has no label, or none of this name.
          SourceError: if a column is missing.
        """
        from threea_spark.model import xy

        domain = self.domain.for_label(label)
        features, y = xy.to_xy(rows, domain, self._levels(), self.types.get(str(domain.label), "string"))
        return (xy.encoded(features, domain) if encoded else features), y

    def statistics(self) -> dict[str, pd.DataFrame]:
        """The noisy counts that the model was made of, with their standard errors: free, whoever asks and how often.

        Returns:
          Frames named release, columns, histograms, categories and pairs; docs/statistics.md explains their columns.

        Raises:
          ModelError: if the model keeps none, as those of versions before 0.3.0.
        """
        from threea_spark.model.statistics import statistics_of

        return {name: table.to_pandas() for name, table in statistics_of(self).items()}

    def rows_drawn(
        self,
        n_rows: int | None = None,
        *,
        seed: int = 0,
        where: Mapping[str, object] | None = None,
        class_shares: Mapping[Any, float] | None = None,
    ) -> BlockDraw:
        """Checks what was asked of `sample`, and says which rows that are; nothing is drawn yet.

        Args:
          n_rows, seed, where, class_shares: As in `sample`.

        Raises:
          ConfigError: as in `sample`.
        """
        wanted = self.matching_rows if n_rows is None else n_rows
        if not wanted >= 1:
            raise ConfigError(f"n_rows must be at least 1, got {wanted}")
        asks_open = {str(name) for name in where or {}} & set(self.domain.open_columns)
        conditions = conditions_of(self.domain, where, class_shares, self._levels() if asks_open else {})
        label = self.domain.label
        sampler = narrowed(self.sampler, self.encoding, conditions)
        if not conditions.are_none:
            rng = np.random.default_rng(seed)
            conditions.check_reachable(partial(self._drawn, sampler, rng))
        further, keys = self.domain.further_labels, RowKeys(self.domain.keys, seed)
        return BlockDraw(sampler, self.encoding, label, self.types, wanted, seed, conditions, further, keys)

    def _levels(self) -> dict[str, tuple[str, ...]]:
        """The categories that released rows may hold, by column."""
        one = self._drawn(self.sampler, np.random.default_rng(0), 1)
        return {name: column.values for name, column in one.items() if column.is_category}

    def _drawn(self, sampler: RowSampler, rng: np.random.Generator, n_rows: int) -> dict[str, Decoded]:
        """Draws rows that keep the rules between columns."""
        rows = draw_rows(sampler, self.encoding, self.domain.label, n_rows, rng)
        return dict(self.encoding.restored(rows, self.types))

    def save(self, folder: str | Path) -> None:
        """Writes the model as JSON and npz.

        Raises:
          ModelError: if the folder is not empty.
        """
        parts = {own.name: getattr(self, own.name) for own in fields(self)}
        plain = {"types": dict(self.types), "domain_fit": dict(self.domain_fit), "n_rows": float(self.n_rows)}
        kept = {name: part for name, part in (parts | plain).items() if part or name not in _LATER_PARTS}
        store.save(kept, folder)

    @classmethod
    def load(cls, folder: str | Path) -> ReleaseModel:
        """Reads a saved model.

        Raises:
          ModelError: if it is missing, damaged or of an unknown format.
        """
        parts = store.load(folder, {own.name for own in fields(cls)})
        if not {own.name for own in fields(cls)} - set(parts) <= _LATER_PARTS:
            raise ModelError(f"{folder}: is not a saved model, or damaged; save it again")
        return cls(**parts)
