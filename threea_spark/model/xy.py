"""Rows as scikit-learn takes them: features and labels, in the one form for released and for real rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.engine.types import arrow_type, categories_as
from threea_spark.errors import ConfigError, SourceError
from threea_spark.source.reading import column_as_read, numbers_as_read

if TYPE_CHECKING:
    import pandas as pd


_HELD: dict[str, type] = {"boolean": np.bool_, "float": np.float64, "double": np.float64} | dict.fromkeys(
    ("tinyint", "smallint", "int", "bigint"), np.int64
)
_MIDDLE = 0.5
_DIGITS = 18  # of a number that int64 surely holds


def to_xy(
    frame: pd.DataFrame, domain: Domain, levels: Mapping[str, tuple[str, ...]], label_type: str = "string"
) -> tuple[pd.DataFrame, pd.Series]:
    """Splits rows into features and labels; rows without a label are left out.

    Args:
      frame: Released or real rows that hold the domain's columns.
      domain: Says how columns are read: cell by cell, by the rules of `Synthesizer.fit`.
      levels: Categories by column; other values count as missing.
      label_type: Spark's simple type string of the label's column.

    Returns:
      X, with numbers as float64, times as seconds since 1970 in float64, categories in pandas' own type; y, with
      numbers as float64, or classes: in the column's type if that is of numbers or booleans, as int64 if each is the
      text of a whole number, else as text.

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
    if domain.task == "classification":
        y = _classes(y, domain.classes, label_type)
    return pd.DataFrame(coded, index=frame.index)[known], y


def encoded(features: pd.DataFrame, domain: Domain) -> pd.DataFrame:
    """Features of `to_xy` as numbers from 0 to 1, for models that take nothing else.

    Args:
      features: X of `to_xy`, (n, columns).
      domain: With all bounds, declared or found.

    Returns:
      float64 without NaN, the same columns for all rows of one model: a number or a time as its place between the
      bounds, a null as the middle, and `<column> is null` where the domain says nullable; of a category an indicator
      `<column>=<value>` for each value, all 0 for null.
    """
    import pandas as pd

    parts: dict[str, pd.Series] = {}
    for name, cells in features.items():
        column = domain.columns[str(name)]
        if column.is_categorical:
            parts |= {f"{name}={level}": (cells == level).astype(float) for level in cells.cat.categories}
            continue
        low, high = column.lower_number, column.upper_number
        parts[str(name)] = ((cells - low) / (high - low if high > low else 1.0)).clip(0.0, 1.0).fillna(_MIDDLE)
        if column.nullable:
            parts[f"{name} is null"] = cells.isna().astype(float)
    return pd.DataFrame(parts, index=features.index)


def _classes(texts: pd.Series, classes: tuple[str, ...], label_type: str) -> pd.Series:
    """Classes in the type of their column; whole numbers are numbers in any column."""
    import pandas as pd

    held = _HELD.get(label_type)
    if held is None and all(_is_whole(text) for text in classes):
        held = np.int64
    if held is None:
        return texts
    values = categories_as(classes, arrow_type("bigint" if held is np.int64 else label_type)).to_pylist()
    places = texts.map({text: place for place, text in enumerate(classes)}).to_numpy(dtype=np.int64)
    return pd.Series(np.array(values, dtype=held)[places], index=texts.index, name=texts.name)


def _is_whole(text: str) -> bool:
    """Whether a text is how a whole number of int64 is written: 12, not 012 or 1.0."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS and str(int(text)) == text


def _coded(cells: pd.Series, column: Column, levels: tuple[str, ...]) -> pd.Series:
    import pandas as pd

    if column.is_categorical:
        return pd.Series(pd.Categorical(column_as_read(cells, column), categories=levels), index=cells.index)
    return numbers_as_read(cells, column)
