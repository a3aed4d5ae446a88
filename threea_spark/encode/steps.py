"""Steps: the sequences of values that numbers and times are written in, such as cents, halves, days or month starts.

A multiple is computed as index * numerator / denominator with one rounding, the last, so that it is the float64 nearest
to its decimal: 1823 hundredths are 18.23 and print so.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array

NumberKind: TypeAlias = Literal["integer", "float", "timestamp"]

_DAY = 86_400
_MONTH_SECONDS = 146_097 * _DAY / 4_800  # of the Gregorian calendar's 400 years
_SLACK = 2.0**-50
"""Relative: a value that was computed from decimals may miss the nearest float64 by some units in the last place."""
_COARSE = (1_000, 100, 10, 5, 1)
_FINE = (Fraction(1, 2), Fraction(1, 4), Fraction(1, 10), Fraction(1, 20), *(Fraction(1, 10**k) for k in range(2, 13)))
_FINEST = Fraction(1, 10**6)
_TIMES = (_DAY, 3_600, 1_800, 900, 300, 60, 1)
_RESOLVED = 10**6
"""Steps of less than a millionth of the range are told apart only down to `_FINEST`."""


@dataclass(frozen=True)
class Step:
    """An endless increasing sequence of values, counted by whole indices (as float64). Public.

    Attributes:
      numerator, denominator: Values are multiples of their quotient, in seconds since 1970 for times.
      months: Where it is not 0, values are the beginnings of every so many months instead.
    """

    numerator: int
    denominator: int = 1
    months: int = 0

    @property
    def size(self) -> float:
        """Mean distance of two values."""
        return self.months * _MONTH_SECONDS if self.months else self.numerator / self.denominator

    def divides(self, other: Step) -> bool:
        """Whether every value of the other step is one of this."""
        if self.months or other.months:
            whole_days = not self.months and self.denominator == 1 and _DAY % self.numerator == 0
            return whole_days if not self.months else bool(other.months) and other.months % self.months == 0
        own = Fraction(self.numerator, self.denominator)
        return (Fraction(other.numerator, other.denominator) / own).denominator == 1

    def value(self, index: Float64Array) -> Float64Array:
        """Returns the values of indices."""
        if not self.months:
            multiples = index if self.numerator == 1 else index * self.numerator
            return np.asarray(multiples / self.denominator, dtype=np.float64)
        months = (index.astype(np.int64) * self.months).astype("datetime64[M]")
        return months.astype("datetime64[s]").astype(np.int64).astype(np.float64)

    def first_at(self, values: Float64Array) -> Float64Array:
        """Returns the index of the first value that is not below each of these."""
        index = self._near(values) - 1.0
        for _ in range(3):
            index += self.value(index) < values
        return index

    def nearest(self, values: Float64Array) -> Float64Array:
        """Returns the index of the value nearest to each of these."""
        above = self.first_at(values)
        is_above = self.value(above) - values < values - self.value(above - 1.0)
        return np.asarray(np.where(is_above, above, above - 1.0), dtype=np.float64)

    def holds(self, values: Float64Array) -> BoolArray:
        """Which values belong to the sequence, but for the last places of float64 or, if stored so, of float32."""
        if self.months:
            held = np.asarray(np.rint(values / _DAY) * _DAY == values, dtype=np.bool_)
            held[held] = self.value(self.nearest(values[held])) == values[held]
            return held
        own = self.value(np.rint(self._scaled(values)))
        with np.errstate(over="ignore"):
            held = own.astype(np.float32) == values
        own -= values
        held |= np.abs(own, out=own) <= _SLACK * np.abs(values)
        return np.asarray(held, dtype=np.bool_)

    def _scaled(self, values: Float64Array) -> Float64Array:
        """The values in steps, with a fraction."""
        return values * self.denominator if self.numerator == 1 else values * self.denominator / self.numerator

    def _near(self, values: Float64Array) -> Float64Array:
        if not self.months:
            return np.floor(self._scaled(values))
        months = np.floor(values).astype(np.int64).astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
        return np.asarray(months // self.months, dtype=np.float64)


def public_steps(kind: NumberKind, span: float) -> tuple[Step, ...]:
    """The steps that a column is looked at for, coarse ones first; each value's first one is its own.

    Two of them have a common multiple among those before them, so that the steps of a value are those which divide its
    own.

    Args:
      kind: Kind of the column.
      span: Distance of its bounds; a coarser step says nothing.
    """
    if kind == "timestamp":
        steps = [Step(1, 1, 12), Step(1, 1, 1), *[Step(seconds) for seconds in _TIMES]]
    else:
        finest = min(_FINEST, Fraction(1, 10 ** int(np.clip(np.ceil(np.log10(_RESOLVED / span)), 6, 12))))
        fine = [] if kind == "integer" else [Step(*own.as_integer_ratio()) for own in _FINE if own >= finest]
        steps = [*[Step(own) for own in _COARSE], *fine]
    return tuple(own for own in steps if own.size <= span) or (steps[-1],)
