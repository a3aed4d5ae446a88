"""Rows as scikit-learn takes them: features and labels, in the one form for released and for real rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.errors import ConfigError, SourceError
from threea_spark.source.reading import column_as_read, numbers_as_read

if TYPE_CHECKING:
    import pandas as pd


def to_xy(frame: pd.DataFrame, domain: Domain, levels: Mapping[str, tuple[str, ...]]) -> tuple[pd.DataFrame, pd.Series]:
    """Splits rows into features and labels; rows without a label are left out.

    Args:
      frame: Released or real rows that hold the domain's columns.
      domain: Says how columns are read: cell by cell, by the rules of `Synthesizer.fit`.
      levels: Categories by column; other values count as missing.

    Returns:
      X, with numbers as float64, times as seconds since 1970 in float64, categories in pandas' own type; y, with
      classes as text or numbers as float64.

    Raises:
      ConfigError: if the domain has no label.
      SourceError: if a column is missing.
    """
    import pandas as pd

    if domain.label is None:
        raise ConfigError("domain.label: there is none, so no y; use sample_local() for rows as they are")
    columns = {name: column for name, column in domain.columns.items() if name not in domain.keys}
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SourceError(f"columns {missing} are missing from the rows; they must hold the domain's columns")
    coded = {name: _coded(frame[name], column, levels.get(name, ())) for name, column in columns.items()}
    label = coded.pop(domain.label)
    known = label.notna()
    y = label[known].astype(object if domain.task == "classification" else float)
    return pd.DataFrame(coded, index=frame.index)[known], y


def _coded(cells: pd.Series, column: Column, levels: tuple[str, ...]) -> pd.Series:
    import pandas as pd

    if column.is_categorical:
        return pd.Series(pd.Categorical(column_as_read(cells, column), categories=levels), index=cells.index)
    return numbers_as_read(cells, column)
