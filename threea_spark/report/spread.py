"""What one column holds, in numbers and words: its levels with their shares, or where its values lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.report.bins import OTHER, Values
from threea_spark.report.charts.scales import moment, percent, short

MAX_LEVELS = 12
_QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)
_FAR = 3.0  # an exponential distribution of a million rows stays below
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Spread:
    """What a column holds.

    Attributes:
      n_distinct: Number of different values.
      largest_share: Share of the known values that the most frequent one has; 0 where none is known.
      levels: A category's most frequent values with their shares of the known values, at most `MAX_LEVELS`.
      other_share: Share of a category's value `other`.
      quantiles: Of numbers and times, at 1, 5, 50, 95 and 99 %, shape (5,); NaN for a category or where none is known.
      lowest, highest: The smallest and the largest number or time; NaN as above.
    """

    n_distinct: int
    largest_share: float
    levels: tuple[tuple[str, float], ...]
    other_share: float
    quantiles: Float64Array
    lowest: float
    highest: float

    @property
    def is_constant(self) -> bool:
        """Whether there is one value at most."""
        return self.n_distinct <= 1

    def has_far_tail(self) -> bool:
        """Whether the highest hundredth of the numbers spans three times what all others do up from the median."""
        middle, high = float(self.quantiles[2]), float(self.quantiles[4])
        return bool(high > middle and self.highest - high > _FAR * (high - middle))


def spread_of(values: Values) -> Spread:
    """Describes one column; a function of these values alone."""
    known = values.cells[values.known]
    nothing = np.full(len(_QUANTILES), np.nan)
    if not len(known):
        return Spread(0, 0.0, (), 0.0, nothing, np.nan, np.nan)
    distinct, counts = np.unique(known.astype(str) if values.kind == "category" else known, return_counts=True)
    shares = counts / counts.sum()
    if values.kind == "category":
        order = np.lexsort((distinct, -shares))
        levels = tuple((str(distinct[place]), float(shares[place])) for place in order[:MAX_LEVELS])
        other = float(shares[distinct == OTHER].sum())
        return Spread(len(distinct), float(shares.max()), levels, other, nothing, np.nan, np.nan)
    numbers = known.astype(np.float64)
    quantiles = np.quantile(numbers, _QUANTILES, method="lower")  # values that occur, not means of two
    return Spread(
        len(distinct), float(shares.max()), (), 0.0, quantiles, float(numbers.min()), float(numbers.max())
    )  # fmt: skip


def number_in_words(number: float, kind: str, span: float = np.inf) -> str:
    """Formats a number, or a time by its seconds since 1970."""
    return moment(number, span) if kind == "time" else short(number)


def spread_in_words(values_kind: str, spread: Spread) -> str:
    """Describes a column's values in a line: the median and where nine tenths lie, or the levels with their shares."""
    if not spread.n_distinct:
        return "null only"
    if values_kind == "category":
        shown = ", ".join(f"{level} ({percent(share)})" for level, share in spread.levels)
        more = spread.n_distinct - len(spread.levels)
        return f"{shown}, and {more:,} more" if more else shown
    low, high = (float(spread.quantiles[place]) for place in (1, 3))
    low_text, middle, high_text = (
        number_in_words(number, values_kind, max(high - low, 10.0 * _DAY_SECONDS))
        for number in (low, float(spread.quantiles[2]), high)
    )
    if spread.is_constant:
        return f"always {middle}"
    return f"median {middle}; nine tenths lie from {low_text} to {high_text}"
