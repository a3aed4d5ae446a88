"""Reads what `where` asks of one column: a category, a range, or null. Cells are read as those of a frame are."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np

from threea_spark.config.category_text import value_text
from threea_spark.config.columns import CategoricalColumn, Column
from threea_spark.config.near_names import meant_or
from threea_spark.engine.types import number_in
from threea_spark.errors import ConfigError
from threea_spark.source.cells import listed_spellings, micros_of, number_of, text_of

_TO, _NULL = "..", "null"
_MICROS = 1e6
_NAMED = 10
_DAY_SECONDS = 86_400.0
_LAST_MOMENT = 1e-6  # before the next day begins


@dataclass(frozen=True)
class Wanted:
    """What a row must hold in one column: exactly one of the three.

    Attributes:
      category: The category, as it is listed.
      ends: The lowest and the highest number, or seconds since 1970.
      null: Whether it must be null.
    """

    category: str | None = None
    ends: tuple[float, float] | None = None
    null: bool = False


def wanted_of(name: str, column: Column, asked: object, found: tuple[str, ...] = ()) -> Wanted:
    """Reads one condition.

    Args:
      name, column: The column, as the domain declares it.
      asked: A category; a number, a date or a time; a pair (lowest, highest) of them, of which one may be None; None or
        NaN for null. Text may be any of them too, as on the command line: 60..80, 2020-01-31.., null.
      found: The categories of an open column, as far as they are known.

    Raises:
      ConfigError: if the domain does not know such a value, or the column is never null.
    """
    if column.is_categorical:
        return _category(name, column, asked, found)
    if _is_null(asked) or (isinstance(asked, str) and asked.strip().lower() == _NULL):
        return _null(name, column)
    return Wanted(ends=_ends(name, column, asked))


def class_named(classes: tuple[str, ...], asked: object) -> str | None:
    """The class that is meant by its text, a number or a boolean; None if there is none."""
    text = _listed_text(asked, classes)
    return text if text in classes else None


def _category(name: str, column: CategoricalColumn, asked: object, found: tuple[str, ...]) -> Wanted:
    if _is_null(asked):
        return _null(name, column)
    listed = found if column.is_open else tuple(column.values)
    text = _listed_text(asked, listed)
    if text is None:
        try:
            text = value_text(asked)
        except ValueError as error:
            raise ConfigError(f"where: {name!r}: {error}") from None
    if text in listed or (column.is_open and not listed):
        return Wanted(category=text)
    if text.strip().lower() == _NULL:
        return _null(name, column)
    fix = meant_or(text, listed, f"choose one of {', '.join(listed[:_NAMED])}")
    raise ConfigError(f"where: {name!r} has no category {text[:80]!r}; {fix}")


def _listed_text(asked: object, listed: tuple[str, ...]) -> str | None:
    """The text of a category, in the spelling that is listed where it is a number, a boolean or a time."""
    spellings = listed_spellings(listed)
    text = text_of(asked, spellings)
    if isinstance(asked, str) and text is not None and text not in listed:
        own = listed_spellings((text,))  # "1" for a listed 1.0
        return next((spellings[key] for key in own if key in spellings), text)
    return text


def _null(name: str, column: Column) -> Wanted:
    if not column.nullable:
        raise ConfigError(
            f"where: {name!r} is never null, for the domain does not say `nullable: true`; ask for a value"
        )
    return Wanted(null=True)


def _is_null(asked: object) -> bool:
    import pandas as pd

    is_moment = isinstance(asked, np.datetime64) and np.isnat(asked)
    return (
        asked is None or asked is pd.NA or asked is pd.NaT or is_moment or (isinstance(asked, float) and asked != asked)
    )


def _ends(name: str, column: Column, asked: object) -> tuple[float, float]:
    pair = asked
    if isinstance(asked, str) and _TO in asked:
        pair = tuple(end.strip() or None for end in asked.split(_TO, 1))
    if isinstance(pair, tuple | list):
        if len(pair) != 2 or (pair[0] is None and pair[1] is None):
            raise ConfigError(f"where: {name!r}: a range is a pair (lowest, highest), of which one may be None")
        low = -math.inf if pair[0] is None else _span(name, column, pair[0])[0]
        high = math.inf if pair[1] is None else _span(name, column, pair[1])[1]
    else:
        low, high = _span(name, column, pair)
    if not low <= high:
        raise ConfigError(f"where: {name!r}: the lowest value must not lie above the highest")
    return low, high


def _span(name: str, column: Column, asked: object) -> tuple[float, float]:
    """The numbers that one value stands for: a day has many seconds, anything else is one number."""
    if column.is_timestamp and (micros := micros_of(asked)) is not None:
        start = micros / _MICROS
        return start, start + (_DAY_SECONDS - _LAST_MOMENT if _is_day(asked) else 0.0)
    found = number_in(asked.strip()) if isinstance(asked, str) else number_of(asked)
    if found is not None and not math.isnan(found):
        return float(found), float(found)
    form = "a date, a time such as 2020-01-31T12:30:00Z," if column.is_timestamp else "a number"
    raise ConfigError(
        f"where: {name!r} is {'a time' if column.is_timestamp else 'numeric'}; give {form} or a pair of them"
    )


def _is_day(asked: object) -> bool:
    if isinstance(asked, str):
        return ":" not in asked
    if isinstance(asked, np.datetime64):
        return np.datetime_data(asked)[0] == "D"
    return isinstance(asked, dt.date) and not isinstance(asked, dt.datetime)
