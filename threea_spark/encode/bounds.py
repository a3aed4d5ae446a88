"""Bounds that are `auto`: found from noisy counts of public bins, before the histograms, whose leaves depend on them.

Bins of numbers end at zero and at signed powers of two, those of times at 1 January of years whose distance from 2000
is a power of two. A row adds one to one bin of each column, so its squared norm is at most the number of columns.
Source: the threshold by the number of bins is that of ApproxBounds in google/differential-privacy (Wilson et al. 2020,
Differentially Private SQL with Bounded User Contribution, arXiv 1909.01917, section 5.1), with Gaussian noise.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.domain import Domain
from threea_spark.encode.cells import numbers_of
from threea_spark.encode.misfits import stands_out
from threea_spark.engine.packed import column_name
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

_SMALLEST_POWER, _LARGEST_POWER = -30, 60
_LARGEST_WHOLE_POWER = 53
_FIRST_YEAR, _MIDDLE_YEAR, _LAST_YEAR = 1, 2000, 9999
_NEXT_STDDEVS = 1.0
"""Standard deviations from which a bin beside those that stand out is taken with them: at most a factor of two."""
_NEAR_ZERO = 0.125
"""A number's bound at most this share of the other's away from zero becomes zero: the range hardly grows."""

Found: TypeAlias = "dict[str, FoundBounds]"


@dataclass(frozen=True)
class FoundBounds:
    """Bounds of one column. RELEASED.

    Attributes:
      lower, upper: As in the domain: whole numbers, numbers, or times in UTC.
      is_clear: Whether any bin stood out from the noise; else they are those of the largest noisy count.
    """

    lower: float | int | dt.datetime
    upper: float | int | dt.datetime
    is_clear: bool

    @property
    def plain(self) -> list[float | int | str]:
        """Lower and upper, for JSON."""
        return [own.date().isoformat() if isinstance(own, dt.datetime) else own for own in (self.lower, self.upper)]


@dataclass(frozen=True)
class ColumnBins:
    """The public bins of one column.

    Attributes:
      name, source: The column, and the canonical column it is read from.
      edges: Where bins begin and the last one ends, increasing, shape (n_bins + 1,); the outer bins hold all beyond.
      lower, upper: Declared bounds, infinite where they are to be found; values beyond count as the bound.
      is_time: Whether values are seconds since 1970.
    """

    name: str
    source: str
    edges: Float64Array
    lower: float
    upper: float
    is_time: bool

    @property
    def n_bins(self) -> int:
        """How many bins there are."""
        return len(self.edges) - 1

    def counts(self, cells: pa.Array) -> Int64Array:
        """Exact counts of one batch, without nulls, shape (n_bins,). PRIVATE."""
        numbers = numbers_of(cells)
        known = np.clip(numbers[~np.isnan(numbers)], self.lower, self.upper)
        bins = np.clip(np.searchsorted(self.edges, known, side="right") - 1, 0, self.n_bins - 1)
        return np.bincount(bins, minlength=self.n_bins).astype(np.int64)

    def span(self, noisy: Float64Array, least: float, next_to: float) -> tuple[float, float, bool]:
        """From the lowest to the highest bin that stands out, or that lies beside such and may hold rows.

        Args:
          noisy: Counts of the bins. RELEASED.
          least: From which a bin stands out.
          next_to: From which a bin beside it is taken with it.

        Returns:
          Lower and upper bound, and whether any bin stood out.
        """
        occupied = np.flatnonzero(noisy >= max(least, 1.0))
        is_clear = len(occupied) > 0
        first, last = (occupied[0], occupied[-1]) if is_clear else (int(noisy.argmax()),) * 2
        while first > 0 and noisy[first - 1] >= max(next_to, 1.0):
            first -= 1
        while last < self.n_bins - 1 and noisy[last + 1] >= max(next_to, 1.0):
            last += 1
        low, high = self._declared_or(float(self.edges[first]), float(self.edges[last + 1]))
        return low, high, is_clear

    def _declared_or(self, low: float, high: float) -> tuple[float, float]:
        """Keeps the bound that is declared, and moves one that is nearly zero there."""
        if not self.is_time and 0.0 < low <= _NEAR_ZERO * high:
            low = 0.0
        if not self.is_time and 0.0 < -high <= _NEAR_ZERO * -low:
            high = 0.0
        if np.isfinite(self.lower):  # a declared bound may lie beyond all bins that stand out
            beyond = self.edges[self.edges > self.lower]
            low, high = self.lower, max(high, float(beyond[0]) if len(beyond) else np.nextafter(self.lower, np.inf))
        if np.isfinite(self.upper):
            beyond = self.edges[self.edges < self.upper]
            low, high = min(low, float(beyond[-1]) if len(beyond) else np.nextafter(self.upper, -np.inf)), self.upper
        return low, high


@dataclass(frozen=True)
class BoundsLayout:
    """The bins of all columns whose bounds are to be found."""

    columns: tuple[ColumnBins, ...]

    @property
    def size(self) -> int:
        """Coordinates of the sum."""
        return sum(column.n_bins for column in self.columns)

    @property
    def bound(self) -> RowBound:
        """A row falls into one bin of each column."""
        return RowBound.count(len(self.columns))

    def query(self) -> SumQuery[pa.RecordBatch]:
        """The counts of all bins, as one sum."""
        columns = self.columns
        return SumQuery(
            stage=Stage.ENCODE,
            name="bounds",
            bound=self.bound,
            size=self.size,
            contribution=lambda batch: np.concatenate([own.counts(batch.column(own.source)) for own in columns]),
        )

    def found(self, noisy: Float64Array, stddev: float, domain: Domain) -> Found:
        """Reads the bounds off the noisy counts.

        Args:
          noisy: Shape (size,). RELEASED.
          stddev: Standard deviation of the noise on each count.
          domain: The declared domain, which says of what type a bound is.
        """
        ends = np.cumsum([column.n_bins for column in self.columns])[:-1]
        least, next_to = stands_out(self.size) * stddev, _NEXT_STDDEVS * stddev
        found = {}
        for column, own in zip(self.columns, np.split(noisy, ends), strict=True):
            low, high, is_clear = column.span(own, least, next_to)
            declared = domain.columns_without_bounds[column.name]
            atoms = declared.atom_numbers  # public, and within whatever is found
            lower, upper = declared.bounds_from(min([low, *atoms]), max([high, *atoms]))
            found[column.name] = FoundBounds(lower, upper, is_clear)
        return found


def bounds_layout(domain: Domain) -> BoundsLayout:
    """Lists the columns whose bounds are to be found, with their bins."""
    places = {name: column_name(place) for place, name in enumerate(domain.columns)}
    columns = []
    for name, column in domain.columns_without_bounds.items():
        low, high = column.lower_number, column.upper_number
        edges = _years() if column.is_timestamp else _powers(whole=column.is_whole)
        columns.append(ColumnBins(name, places[name], edges, low, high, column.is_timestamp))
    return BoundsLayout(tuple(columns))


def bounded(domain: Domain, found: Mapping[str, FoundBounds]) -> Domain:
    """The domain with the bounds that were found in place of `auto`."""
    if not found:
        return domain
    columns = {
        name: column.model_copy(update={"lower": found[name].lower, "upper": found[name].upper})
        if name in found
        else column
        for name, column in domain.columns.items()
    }
    return domain.with_columns(columns)


def with_widest_bounds(domain: Domain) -> Domain:
    """The domain with the widest bounds that may be found: their columns' trees are as deep as any."""
    found = {}
    for own in bounds_layout(domain).columns:
        low, high = max(own.lower, float(own.edges[0])), min(own.upper, float(own.edges[-1]))
        lower, upper = domain.columns_without_bounds[own.name].bounds_from(low, max(high, low + 1.0))
        found[own.name] = FoundBounds(lower, upper, is_clear=False)
    return bounded(domain, found)


def _powers(*, whole: bool) -> Float64Array:
    """Zero, and signed powers of two; those of a half and less are of no use to whole numbers."""
    smallest, largest = (0, _LARGEST_WHOLE_POWER) if whole else (_SMALLEST_POWER, _LARGEST_POWER)
    powers = np.exp2(np.arange(smallest, largest + 1, dtype=np.float64))
    return np.concatenate([-powers[::-1], [0.0], powers])


def _years() -> Float64Array:
    """Seconds since 1970 at 1 January of the bins' years."""
    steps = [0, *(2**power for power in range(14))]
    near = {_MIDDLE_YEAR + sign * step for step in steps for sign in (-1, 1)}
    years = sorted({_FIRST_YEAR, _LAST_YEAR} | {year for year in near if _FIRST_YEAR < year < _LAST_YEAR})
    starts = [dt.datetime(year, 1, 1, tzinfo=dt.timezone.utc) for year in years]
    return np.array([start.timestamp() for start in starts])
