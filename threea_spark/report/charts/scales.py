"""Scales, and numbers formatted for people: round ticks, short numbers, percentages."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

_SPACE = "\u00a0"  # so that no line breaks before the percent sign
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_DAY_SECONDS = 86_400.0
_YEAR_DAYS = 366.0
_MAX_SECONDS = 200_000_000_000.0  # about the year 8300: within the range of datetime


@dataclass(frozen=True)
class Scale:
    """Maps values in [low, high] to pixels in [start, end]; an empty range maps to the middle.

    Attributes:
      low, high: Range of the values.
      start, end: Range of the pixels; start may be greater than end, as on a vertical axis.
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Returns the pixel of a value, rounded to a tenth."""
        if not self.high > self.low:
            return round((self.start + self.end) / 2.0, 1)
        share = value / (self.high - self.low) - self.low / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Returns about `wanted` round numbers within [low, high]; only `low` if the range is empty or infinite."""
    if not (high > low and math.isfinite(high - low)):
        return [low]
    raw = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in _STEPS if power * factor >= raw * (1.0 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(int(first), int(last) + 1)]


def short(value: float) -> str:
    """Formats a number in few characters: 12, 3.5, 1.2k, 4M, 2e-05."""
    if not math.isfinite(value):
        return "-"
    for size, mark in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size <= abs(value) < 1e12:
            return f"{value / (1e3 if mark == 'k' else size):.3g}{mark}"
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e4 else f"{value:.3g}"


def percent(share: float) -> str:
    """Formats a share as a percentage in few characters, never a small one as 0 %."""
    hundred = 100.0 * share
    if not math.isfinite(hundred):
        return "-"
    if 0.0 < hundred < 0.05:
        return f"<{_SPACE}0.1{_SPACE}%"
    return f"{min(hundred, 99.9) if hundred < 100.0 else hundred:.1f}{_SPACE}%"


def percent_at_most(share: float) -> str:
    """Formats an upper bound as a percentage, rounded up, so that it remains valid."""
    return f"{math.ceil(1e3 * share - 1e-9) / 10.0:.1f}{_SPACE}%"


def moment(seconds: float, span: float) -> str:
    """Formats seconds since 1970 as a date, with the time if the axis spans only a few days.

    Args:
      seconds: Seconds since 1970, UTC.
      span: Length of the axis, in seconds.
    """
    if not abs(seconds) < _MAX_SECONDS:
        return "-"
    if abs(seconds) > _MAX_SECONDS / 4.0:
        return f"{1970 + seconds / _DAY_SECONDS / 365.2425:.0f}"
    at = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=round(seconds))
    if span < 4.0 * _DAY_SECONDS:
        return at.strftime("%d %b %H:%M")
    return at.strftime("%Y-%m-%d" if span < 4.0 * _YEAR_DAYS * _DAY_SECONDS else "%Y-%m")
