"""The step between the values that a column may hold, as a domain declares it: a number, or `15 minutes` of a time."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_MONTHS = {"month": 1, "year": 12}
_TEXT = re.compile(r"\s*(\d{1,9})?\s*([a-z]+?)s?\s*", re.ASCII | re.IGNORECASE)
_DAY = 86_400
_FINEST = 10**12


class DeclaredStep(NamedTuple):
    """Values are multiples of numerator / denominator (times: seconds since 1970), or begin every `months`-th month.

    Attributes:
      numerator, denominator: The least terms of the step.
      months: 0 where values are multiples; else 1 or a divisor of 12.
    """

    numerator: int
    denominator: int
    months: int = 0


def number_step(value: float) -> DeclaredStep:
    """Reads a step by its decimals, as they are written: 0.01 is one hundredth.

    Raises:
      ValueError: if it is finer than a trillionth, or too long for exact multiples.
    """
    exact = Fraction(str(value))
    if exact.denominator > _FINEST or exact.numerator > _FINEST:
        raise ValueError("step must be a decimal from 1e-12 to 1e12 with at most 12 digits; round it")
    return DeclaredStep(exact.numerator, exact.denominator)


def time_step(text: str) -> DeclaredStep:
    """Reads `second`, `15 minutes`, `1 hour`, `day`, `1 month` or `year`.

    Raises:
      ValueError: if it is no such text, or no whole number of such steps makes a day (a year, for months).
    """
    found = _TEXT.fullmatch(text)
    count, unit = (int(found[1] or 1), found[2].lower()) if found else (0, "")
    if unit in _MONTHS and count and 12 % (count * _MONTHS[unit]) == 0:
        return DeclaredStep(1, 1, count * _MONTHS[unit])
    if unit in _SECONDS and count and _DAY % (count * _SECONDS[unit]) == 0:
        return DeclaredStep(count * _SECONDS[unit], 1)
    raise ValueError(
        "step must be `1 second`, `15 minutes`, `1 hour`, `1 day`, `1 month`, `1 year` or the like, a whole number of "
        f"which makes a day (months: a year), got {text[:40]!r}; correct it"
    )
