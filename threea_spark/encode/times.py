"""A timestamp: a number of seconds, and the parts that it owns: hour, weekday and month are features of their own.

When rows are drawn, the seconds are moved to the nearest point in time that has the parts that were drawn.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.categories import CategoryCodec, CategoryField
from threea_spark.encode.cells import DAY_SECONDS, Levels, Numbers, numbers_of
from threea_spark.encode.numbers import NumberCodec
from threea_spark.encode.quantiles import QuantileField
from threea_spark.encode.steps import Step

PARTS = {"hour": 24, "weekday": 7, "month": 12}
_COARSE_FIRST = ("month", "weekday", "hour")
_HOUR_SECONDS = 3_600
_QUARTER = 900
_QUARTERS = (-6e10 // _QUARTER, 2.5e11 // _QUARTER)  # years 68 to 9892


def local_seconds(seconds: Float64Array, zone: str | None) -> Float64Array:
    """Returns what clocks of a time zone show, as seconds since the first of January 1970 on them.

    Args:
      seconds: Since 1970, UTC, without NaN, shape (n,). PRIVATE if the rows are.
      zone: An IANA name; None for UTC.
    """
    return seconds if zone is None else seconds + _offsets(seconds, zone)


def utc_seconds(local: Float64Array, zone: str | None) -> Float64Array:
    """Returns points in time by what clocks show; of an hour that a zone repeats or skips, one nearby."""
    return local if zone is None else local - _offsets(local - _offsets(local, zone), zone)


def _offsets(seconds: Float64Array, zone: str) -> Float64Array:
    """Seconds by which a zone is ahead of UTC; zones change at quarters of an hour."""
    clock = ZoneInfo(zone)
    quarters, place = np.unique(np.clip(np.floor(seconds / _QUARTER), *_QUARTERS), return_inverse=True)
    moments = (dt.datetime.fromtimestamp(int(quarter) * _QUARTER, clock) for quarter in quarters)
    found = [(moment.utcoffset() or dt.timedelta()).total_seconds() for moment in moments]
    return np.asarray(np.array(found, dtype=np.float64)[place])


def part_of(seconds: Float64Array, part: str) -> Int64Array:
    """Returns the hour, the weekday (Monday is 0) or the month (January is 0) that clocks show.

    Args:
      seconds: From `local_seconds`, shape (n,). PRIVATE if the rows are.
      part: hour, weekday or month.
    """
    whole = np.clip(np.floor(seconds), -6e10, 2.5e11).astype(np.int64)  # years 68 to 9892
    if part == "hour":
        return whole // _HOUR_SECONDS % 24
    if part == "weekday":
        return (whole // DAY_SECONDS + 3) % 7
    months = whole.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    return np.asarray(months % 12, dtype=np.int64)


@dataclass(frozen=True)
class TimeField:
    """A timestamp before its distributions are known.

    Attributes:
      instant: Codec of the seconds since 1970.
      parts: Codecs of the parts, each named hour, weekday or month.
      time_zone: The zone whose clocks show the parts; None for UTC.
    """

    instant: QuantileField
    parts: tuple[CategoryField, ...]
    time_zone: str | None = None

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.instant.name

    @property
    def fields(self) -> tuple[QuantileField | CategoryField, ...]:
        """The seconds, then the parts."""
        return (self.instant, *self.parts)

    def read(self, cells: pa.Array) -> list[NDArray[np.generic]]:
        """Reads seconds with NaN for null, then the level of each part. PRIVATE."""
        seconds = numbers_of(cells)
        missing = np.isnan(seconds)
        known = local_seconds(np.where(missing, 0.0, seconds), self.time_zone if self.parts else None)
        parts = [np.where(missing, part.null_level, part_of(known, part.name)) for part in self.parts]
        return [seconds, *parts]

    def join(self, codecs: Sequence[NumberCodec | CategoryCodec]) -> TimeCodec:
        """Makes the column's codec from those of its features, in the order of `fields`."""
        return _joined(codecs, self.time_zone)


def time_field(instant: QuantileField, parts: Sequence[str], time_zone: str | None = None) -> TimeField:
    """Makes the field of a timestamp and of the parts that the domain names."""
    fields = [CategoryField(part, tuple(map(str, range(PARTS[part]))), instant.nullable) for part in parts]
    return TimeField(instant, tuple(fields), time_zone)


@dataclass(frozen=True)
class TimeCodec:
    """A timestamp and its parts. RELEASED.

    Attributes:
      instant: Codec of the seconds since 1970.
      parts: Codecs of the parts, each named hour, weekday or month.
      time_zone: The zone whose clocks show the parts; None for UTC.
    """

    instant: NumberCodec
    parts: tuple[CategoryCodec, ...]
    time_zone: str | None = None
    is_category: ClassVar[Literal[False]] = False

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.instant.name

    @property
    def features(self) -> tuple[NumberCodec | CategoryCodec, ...]:
        """The seconds, then the parts."""
        return (self.instant, *self.parts)

    def with_features(self, features: Sequence[NumberCodec | CategoryCodec]) -> TimeCodec:
        """The same column, coded otherwise."""
        return _joined(features, self.time_zone)

    def decode(self, cells: Int64Array, rng: np.random.Generator) -> Numbers:
        """Draws points in time and moves each to its drawn month, then weekday, then hour.

        Args:
          cells: Cells of the seconds and of each part, shape (n, 1 + n_parts).
          rng: Public randomness.
        """
        seconds = self.instant.decode_cells(cells[:, 0], rng).values
        levels = {part.name: part.decode_cells(cells[:, 1 + i], rng) for i, part in enumerate(self.parts)}
        if "hour" in levels and 0.0 < self._day_share < 1.0:
            seconds = self._midnight_at_hour_0(seconds, levels["hour"].levels, rng)
        return self.moved(seconds, levels)

    @cached_property
    def _calendar_steps(self) -> tuple[tuple[Step, float], ...]:
        """The steps of a day or more that values follow, and their shares."""
        steps = self.instant.steps
        own = () if steps is None else zip(steps.steps, steps.shares.tolist(), strict=False)
        return tuple((step, share) for step, share in own if step.size >= DAY_SECONDS and share > 0.0)

    @property
    def _day_share(self) -> float:
        """Share of the rows that are at midnight because they follow such steps."""
        return sum(share for _, share in self._calendar_steps)

    def _midnight_at_hour_0(self, seconds: Float64Array, hours: Int64Array, rng: np.random.Generator) -> Float64Array:
        """Lets the drawn hour decide who is at midnight, where a part of the rows is: others would have lost it."""
        (hour,) = (part for part in self.parts if part.name == "hour")
        at_0 = float(hour.level_mass[0]) / max(float(hour.level_mass[: PARTS["hour"]].sum()), 1e-12)
        within = rng.random((2, len(seconds)))
        midnight = np.floor(seconds / DAY_SECONDS) * DAY_SECONDS
        to_0 = (hours == 0) & (within[0] * at_0 < self._day_share) & (midnight >= self.instant.lower)
        steps = () if self.instant.steps is None else self.instant.steps.steps
        finest = min([step.size for step in steps if step.size < _HOUR_SECONDS], default=0.0)
        late = midnight + (np.floor(within[1] * _HOUR_SECONDS / finest) * finest if finest else 0.0)
        leaves_0 = (hours > 0) & (seconds == midnight)
        return np.where(to_0, midnight, np.where(leaves_0 & (late <= self.instant.upper), late, seconds))

    def _keeps(self, seconds: Float64Array, part: str) -> BoolArray:
        """Rows at a beginning that moving to another level of a part would undo: of a day, a month, a year."""
        least = {"hour": 0, "weekday": 1, "month": 12}[part]
        keeps = np.zeros(len(seconds), dtype=np.bool_)
        for step, _ in self._calendar_steps:
            if step.months >= least:
                keeps |= step.holds(seconds)
        return keeps

    def moved(self, seconds: Float64Array, levels: dict[str, Levels]) -> Numbers:
        """Moves points in time to the nearest ones with the wanted parts, where the bounds allow it.

        Args:
          seconds: Since 1970, NaN for null, shape (n,).
          levels: By part.
        """
        for part in _COARSE_FIRST:  # a later, finer part is not undone by a coarser one
            if part in levels:
                wanted = levels[part].levels
                known = ~np.isnan(seconds) & (wanted >= 0)
                known[known] &= ~self._keeps(seconds[known], part)
                local = local_seconds(np.where(known, seconds, 0.0), self.time_zone)
                moved = utc_seconds(_nearest(local, part, wanted), self.time_zone)
                inside = known & (moved >= self.instant.lower) & (moved <= self.instant.upper)
                seconds = np.where(inside, moved, seconds)
        return Numbers(seconds)


def _joined(features: Sequence[NumberCodec | CategoryCodec], time_zone: str | None) -> TimeCodec:
    instant, *parts = features
    if instant.is_category:
        raise TypeError(f"a timestamp begins with its seconds, not with {instant.name!r}")
    return TimeCodec(instant, tuple(part for part in parts if part.is_category), time_zone)


def _nearest(start: Float64Array, part: str, level: Int64Array) -> Float64Array:
    """Returns the nearest points in time with the wanted part on the same day, the same time of day or both.

    Args:
      start: From `local_seconds`, shape (n,).
      part: hour (of the same day), weekday (at most three days away) or month (at most six months away).
      level: Wanted, shape (n,).
    """
    now = part_of(start, part)
    if part == "hour":
        return np.asarray(start + (level - now) * _HOUR_SECONDS)
    if part == "weekday":
        return np.asarray(start + ((level - now + 3) % 7 - 3) * DAY_SECONDS)
    month = start.astype(np.int64).astype("datetime64[s]").astype("datetime64[M]")
    wanted = month + ((level - now + 5) % 12 - 5).astype("timedelta64[M]")
    shift = (wanted.astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    moved = start + shift * DAY_SECONDS
    late = part_of(moved, "month") != level  # the 31st of a shorter month: fall back to its 28th
    return np.asarray(np.where(late, moved - 3.0 * DAY_SECONDS, moved))
