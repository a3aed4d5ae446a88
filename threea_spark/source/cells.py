"""Reads single cells of a pandas frame, by rules that depend on the cell and the domain only and never raise.

Neither the column's dtype nor any other row plays a part: both would be functions of all rows, and the release would
reveal them. A cell that cannot be read is null.
"""

from __future__ import annotations

import datetime as dt
import math
import numbers
import re
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Int64Array
from threea_spark.config.category_text import value_text
from threea_spark.engine.types import number_in

_EPOCH = dt.datetime(1970, 1, 1)
_MICRO = dt.timedelta(microseconds=1)
_FIRST, _LAST = np.datetime64("0001-01-01T00:00:00.000000"), np.datetime64("9999-12-31T23:59:59.999999")
_FIRST_MICROS, _LAST_MICROS = int(_FIRST.astype(np.int64)), int(_LAST.astype(np.int64))
_FINER_THAN_MICROS = {"ns": 10**3, "ps": 10**6, "fs": 10**9, "as": 10**12}
_MAX_DIGITS = 4_300  # in the text of a whole number, Python's own limit

_NUMBER = re.compile(r"\s*[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|inf|infinity)\s*", re.ASCII | re.IGNORECASE)
_MOMENT = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?: ?(?:(Z)|([+-])(\d\d)(?::?(\d\d))?))?)?\s*",
    re.ASCII,
)


def number_of(cell: object) -> float:
    """Reads a number, a boolean (as 1 or 0) or text that is a number; NaN for anything else."""
    if isinstance(cell, str):
        return float(cell) if _NUMBER.fullmatch(cell) else math.nan
    if not _is_number(cell) and not isinstance(cell, np.bool_):
        return math.nan
    try:
        return float(cell)  # type: ignore[arg-type]  # all of these types have __float__
    except OverflowError:  # a whole number beyond float64
        return math.inf if cell > 0 else -math.inf  # type: ignore[operator]
    except Exception:  # a signalling NaN, or a user-defined number
        return math.nan


def text_of(cell: object, listed: Mapping[str, str]) -> str | None:
    """Reads a category or an identifier; None for nested values, bytes, complex numbers and objects of other classes.

    Text is left as is. Equal numbers have the same text, whatever their type: that of the whole number if there is one,
    unless another spelling of the same number is listed. So it is with true and false, and with times.

    Args:
      cell: One cell. PRIVATE.
      listed: From `listed_spellings`; empty for open sets and identifiers.
    """
    if isinstance(cell, str):
        return _encodable(str.__str__(cell))
    if isinstance(cell, bool | np.bool_):
        return listed.get(word := value_text(bool(cell)), word)
    if _is_number(cell):
        text = _number_text(cell)
        return None if text is None else listed.get(text, text)
    if isinstance(cell, dt.date) and not isinstance(cell, dt.datetime):
        return listed.get(moment_text(_micros_of_date(cell)), dt.date.isoformat(cell))
    if (text := _other_text(cell)) is not None:
        return text
    micros = micros_of(cell)
    return None if micros is None else listed.get(moment := moment_text(micros), moment)


def _other_text(cell: object) -> str | None:
    """Formats a UUID, a time of day, a duration, a period or an interval, each as Python or pandas writes it."""
    import pandas as pd

    if cell is pd.NaT or (isinstance(cell, np.timedelta64) and np.isnat(cell)):
        return None
    try:
        if isinstance(cell, dt.timedelta | np.timedelta64):
            return str(pd.Timedelta(cell))
        return str(cell) if isinstance(cell, uuid.UUID | dt.time | pd.Period | pd.Interval) else None
    except Exception:  # a duration that pandas does not hold, the ends of an interval, a time zone: any user's code
        return None


def micros_of(cell: object) -> int | None:
    """Reads a time, a date, the start of a period or ISO 8601 text as microseconds since 1970, in UTC without a zone.

    None for anything else, and for times outside the years 1 to 9999.
    """
    import pandas as pd

    if cell is pd.NaT:  # an instance of datetime
        return None
    micros: int | None = None
    if isinstance(cell, str):
        micros = _micros_of_text(cell)
    elif isinstance(cell, pd.Timestamp | np.datetime64):
        moment = cell.to_datetime64() if isinstance(cell, pd.Timestamp) else cell
        found, missing = micros_of_moments(np.array([moment]))
        micros = None if missing[0] else int(found[0])
    elif isinstance(cell, pd.Period):
        return micros_of(cell.start_time)
    elif isinstance(cell, dt.datetime):
        micros = _micros_of_datetime(cell)
    elif isinstance(cell, dt.date):
        micros = _micros_of_date(cell)
    return micros if micros is not None and _FIRST_MICROS <= micros <= _LAST_MICROS else None


def micros_of_moments(moments: NDArray[np.datetime64]) -> tuple[Int64Array, BoolArray]:
    """Reads times of any unit like `micros_of`, and marks those that are null or out of range."""
    unit, _ = np.datetime_data(moments.dtype)
    if unit in _FINER_THAN_MICROS:  # these units cannot leave the years 1 to 9999
        missing = np.isnat(moments)
        ticks = moments.astype(f"datetime64[{unit}]").astype(np.int64)
        return np.where(missing, 0, ticks // _FINER_THAN_MICROS[unit]), missing
    if unit == "generic":  # can only hold NaT
        return np.zeros(len(moments), dtype=np.int64), np.ones(len(moments), dtype=np.bool_)
    missing = ~((moments >= _FIRST.astype(moments.dtype)) & (moments <= _LAST.astype(moments.dtype)))
    within = moments.copy()
    within[missing] = np.datetime64(0, "s")
    return within.astype("datetime64[us]").astype(np.int64), missing


def moment_text(micros: int) -> str:
    """Formats a time as Spark's cast to string does in a UTC session."""
    text = (_EPOCH + micros * _MICRO).isoformat(sep=" ")
    return text.rstrip("0") if "." in text else text


def listed_spellings(values: Sequence[str]) -> dict[str, str]:
    """Maps the text that a number, a boolean or a time has by itself to its listed spelling.

    The spelling is that text itself if it is listed, else the first: as `engine.types.places_among` finds it.
    """
    found: dict[str, str] = {}
    for value in values:
        if (text := _own_text(value)) is not None:
            found[text] = value if value == text else found.get(text, value)
    return found


def _own_text(value: str) -> str | None:
    """The text of the number, boolean or time that a category spells; None if it spells none."""
    if (number := number_in(value)) is not None:
        return _decimal_text(number)
    if value.lower() in ("true", "false"):
        return value.lower()
    micros = micros_of(value)
    return None if micros is None else moment_text(micros)


def _is_number(cell: object) -> bool:
    return isinstance(cell, numbers.Real | Decimal) and not isinstance(cell, np.timedelta64)


def _number_text(cell: object) -> str | None:
    if isinstance(cell, Decimal):
        return _decimal_text(cell)
    if isinstance(cell, numbers.Integral):
        return _whole_text(int(cell))
    value = number_of(cell)
    if math.isnan(value):
        return None
    return _whole_text(int(value)) if value.is_integer() else repr(value)


def _whole_text(value: int) -> str | None:
    try:
        return str(value)
    except ValueError:  # thousands of digits
        return None


def _decimal_text(cell: Decimal) -> str | None:
    """Formats a decimal like the float or whole number of the same value, if there is one; exact in any context."""
    sign, all_digits, exponent = cell.as_tuple()
    if not isinstance(exponent, int):
        return None if cell.is_nan() else repr(float(cell))
    digits = "".join(map(str, all_digits)).rstrip("0")
    exponent += len(all_digits) - len(digits)
    if not digits:
        return "0"
    if exponent >= 0:
        return "-" * sign + digits + "0" * exponent if len(digits) + exponent <= _MAX_DIGITS else None
    short = repr(float(cell))
    return short if Decimal(short) == cell else str(Decimal(f"{'-' * sign}{digits}e{exponent}"))


def _encodable(text: str) -> str | None:
    try:
        return value_text(text)
    except ValueError:  # a lone surrogate
        return None


def _micros_of_date(cell: dt.date) -> int:
    return (dt.datetime(cell.year, cell.month, cell.day) - _EPOCH) // _MICRO


def _micros_of_datetime(cell: dt.datetime) -> int | None:
    try:
        offset = cell.utcoffset() or dt.timedelta()
        return (cell.replace(tzinfo=None) - _EPOCH - offset) // _MICRO
    except Exception:  # a tzinfo may be any user's code
        return None


def _micros_of_text(cell: str) -> int | None:
    found = _MOMENT.fullmatch(cell)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = found.groups()
    try:
        moment = dt.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
        zone = dt.timezone(dt.timedelta(hours=int(hours or 0), minutes=int(minutes or 0)))
    except ValueError:  # 30 February, an offset of a day or more
        return None
    offset = zone.utcoffset(None) if sign != "-" else -zone.utcoffset(None)
    return (moment - _EPOCH - offset) // _MICRO + int((fraction or "")[:6].ljust(6, "0"))
