"""The kinds of columns that a domain declares: numbers, timestamps and categories, with public bounds or values."""

from __future__ import annotations

import datetime as dt
import math
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from threea_spark.config.category_text import value_text
from threea_spark.config.reading import Frozen

OPEN = "open"
_NO_TIMEZONE = dt.timezone.utc
_FARTHEST = 1e300  # beyond it float64 cannot represent the range, and a row's share of a moment would be NaN


class _Bounded(Frozen):
    is_categorical: ClassVar[Literal[False]] = False
    is_open: ClassVar[Literal[False]] = False
    nullable: bool = Field(default=False, description="keeps null; otherwise it counts as the middle of the bounds")

    def _check_order(self, lower: float, upper: float) -> None:
        if not lower < upper:
            raise ValueError(f"lower must be below upper, got {lower:g} and {upper:g}; widen the bounds")


class IntegerColumn(_Bounded):
    """Whole numbers in [lower, upper]; values outside count as the nearest bound.

    Attributes:
      is_categorical, is_timestamp: Always false.
      is_open: Always false.
      is_whole: Always true.
    """

    is_timestamp: ClassVar[Literal[False]] = False
    is_whole: ClassVar[Literal[True]] = True
    type: Literal["integer"] = Field(description="always integer")
    lower: int = Field(description="public, inclusive")
    upper: int = Field(description="public, inclusive")

    @field_validator("lower", "upper", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        if isinstance(value, float) and math.isfinite(value) and value != int(value):
            raise ValueError(f"bounds of an integer column are whole numbers, got {value}; round it or use type float")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"bounds must be finite, got {value}; state a public bound")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> IntegerColumn:
        if max(abs(self.lower), abs(self.upper)) > 2**53:
            raise ValueError("integer bounds must lie within 2^53, up to which float64 represents every integer")
        self._check_order(self.lower, self.upper)
        return self


class FloatColumn(_Bounded):
    """Real numbers in [lower, upper]; values outside count as the nearest bound.

    Attributes:
      is_categorical, is_timestamp: Always false.
      is_open: Always false.
      is_whole: Always false.
    """

    is_timestamp: ClassVar[Literal[False]] = False
    is_whole: ClassVar[Literal[False]] = False
    type: Literal["float"] = Field(description="always float")
    lower: float = Field(description="public, inclusive")
    upper: float = Field(description="public, inclusive")

    @model_validator(mode="after")
    def _ordered(self) -> FloatColumn:
        self._check_order(self.lower, self.upper)
        if not (max(abs(self.lower), abs(self.upper)) <= _FARTHEST and self.upper - self.lower >= 1.0 / _FARTHEST):
            raise ValueError(
                f"float bounds must lie within {_FARTHEST:g} and be at least {1.0 / _FARTHEST:g} apart; rescale"
            )
        return self


class TimestampColumn(_Bounded):
    """Timestamps (or dates) in [lower, upper]; `parts` are learned one by one and released within the timestamp.

    Attributes:
      is_categorical, is_timestamp: Always false and true.
      is_open: Always false.
    """

    is_timestamp: ClassVar[Literal[True]] = True
    type: Literal["timestamp"] = Field(description="always timestamp")
    lower: dt.datetime = Field(description="public, inclusive; UTC unless it names a zone")
    upper: dt.datetime = Field(description="public, inclusive; UTC unless it names a zone")
    parts: tuple[Literal["hour", "weekday", "month"], ...] = Field(default=(), description="kept besides the date")
    time_zone: str | None = Field(default=None, description="the zone whose clocks show the parts; None: UTC")

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, zone: str | None) -> str | None:
        try:
            if zone is not None:
                ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("time_zone is not a known zone; write one such as Europe/Berlin") from None
        return zone

    @field_validator("lower", "upper", mode="before")
    @classmethod
    def _from_date(cls, value: object) -> object:
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return dt.datetime(value.year, value.month, value.day)
        return value

    @model_validator(mode="after")
    def _ordered(self) -> TimestampColumn:
        self._check_order(self.lower_seconds, self.upper_seconds)
        if math.ceil(self.lower_seconds) > math.floor(self.upper_seconds):
            raise ValueError("no whole second lies between lower and upper; widen the bounds")
        return self

    @model_serializer(mode="wrap")
    def _without_default(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out a zone that is not given: 0.2.0, which reads saved models and receipts too, does not know it."""
        found: dict[str, Any] = plain(self)
        return {name: value for name, value in found.items() if name != "time_zone" or value is not None}

    @property
    def lower_seconds(self) -> float:
        """Lower bound in seconds since 1970, UTC."""
        return _epoch_seconds(self.lower)

    @property
    def upper_seconds(self) -> float:
        """Upper bound in seconds since 1970, UTC."""
        return _epoch_seconds(self.upper)


class CategoricalColumn(Frozen):
    """One of the listed values, compared as text; `open` finds the frequent ones by DP partition selection.

    Attributes:
      is_categorical, is_timestamp: Always true and false.
    """

    is_categorical: ClassVar[Literal[True]] = True
    is_timestamp: ClassVar[Literal[False]] = False
    type: Literal["categorical"] = Field(description="always categorical")
    values: tuple[str, ...] | Literal["open"] = Field(description="public, or open")
    nullable: bool = Field(default=False, description="keeps null; otherwise it counts as the first value")
    max_values: int = Field(default=200, ge=1, le=100_000, description="maximum number of values kept by an open set")
    min_units: int = Field(
        default=10, ge=2, le=1_000_000, description="an open set keeps no name held by fewer units than this"
    )

    @field_validator("values", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        if isinstance(value, (list, tuple)):
            return tuple(value_text(item) for item in value)
        return value

    @model_validator(mode="after")
    def _distinct(self) -> CategoricalColumn:
        if self.values == OPEN:
            return self
        if not self.values:
            raise ValueError("values is empty; list the categories or write `values: open`")
        if len(set(self.values)) != len(self.values):
            twice = sorted({v for v in self.values if self.values.count(v) > 1})[:3]
            raise ValueError(f"values contains {twice} twice; list each category once")
        return self

    @property
    def is_open(self) -> bool:
        """Whether the categories are found in the data, not public."""
        return self.values == OPEN


Column: TypeAlias = Annotated[
    IntegerColumn | FloatColumn | TimestampColumn | CategoricalColumn, Field(discriminator="type")
]


def _epoch_seconds(moment: dt.datetime) -> float:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=_NO_TIMEZONE)
    return aware.timestamp()
