"""The kinds of columns that a domain declares: numbers, timestamps and categories, with public bounds or values."""

from __future__ import annotations

import datetime as dt
import math
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from threea_spark.config.bounded import AUTO, Auto, Bounded, Numeric, number_of_bound
from threea_spark.config.category_text import value_text
from threea_spark.config.reading import Frozen
from threea_spark.config.steps import DeclaredStep, time_step

OPEN = "open"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_LARGEST_WHOLE = 2**53
_FARTHEST = 1e300  # beyond it float64 cannot represent the range, and a row's share of a moment would be NaN


class IntegerColumn(Numeric):
    """Whole numbers in [lower, upper]; values outside count as the nearest bound.

    Attributes:
      is_categorical, is_timestamp: Always false.
      is_open: Always false.
      is_whole: Always true.
    """

    is_timestamp: ClassVar[Literal[False]] = False
    is_whole: ClassVar[Literal[True]] = True
    type: Literal["integer"] = Field(description="always integer")
    lower: int | Auto = Field(description="public, inclusive; auto: found from noisy counts")
    upper: int | Auto = Field(description="public, inclusive; auto: found from noisy counts")

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
        if any(bound != AUTO and abs(bound) > _LARGEST_WHOLE for bound in (self.lower, self.upper)):
            raise ValueError("integer bounds must lie within 2^53, up to which float64 represents every integer")
        self._check_bounds()
        if any(detail != int(detail) for detail in (*self.atoms, self.step or 1)):
            raise ValueError("step and atoms of an integer column are whole numbers; round them or use type float")
        self._check_details(self.lower_number, self.upper_number)
        return self

    def bounds_from(self, low: float, high: float) -> tuple[int, int]:
        """Whole bounds that hold a range."""
        lower, upper = max(math.floor(low), -_LARGEST_WHOLE), min(math.ceil(high), _LARGEST_WHOLE)
        return min(lower, upper - 1), upper


class FloatColumn(Numeric):
    """Real numbers in [lower, upper]; values outside count as the nearest bound.

    Attributes:
      is_categorical, is_timestamp: Always false.
      is_open: Always false.
      is_whole: Always false.
    """

    is_timestamp: ClassVar[Literal[False]] = False
    is_whole: ClassVar[Literal[False]] = False
    type: Literal["float"] = Field(description="always float")
    lower: float | Auto = Field(description="public, inclusive; auto: found from noisy counts")
    upper: float | Auto = Field(description="public, inclusive; auto: found from noisy counts")

    @field_validator("lower", "upper", mode="before")
    @classmethod
    def _finite(cls, value: object) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"must be a finite number, got {value}; state a public bound")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> FloatColumn:
        self._check_bounds()
        declared = [float(bound) for bound in (self.lower, self.upper) if bound != AUTO]
        is_apart = not self.has_bounds or self.upper_number - self.lower_number >= 1.0 / _FARTHEST
        if not (is_apart and all(abs(bound) <= _FARTHEST for bound in declared)):
            raise ValueError(
                f"float bounds must lie within {_FARTHEST:g} and be at least {1.0 / _FARTHEST:g} apart; rescale"
            )
        self._check_details(self.lower_number, self.upper_number)
        return self

    def bounds_from(self, low: float, high: float) -> tuple[float, float]:
        """The range itself."""
        return low, high


class TimestampColumn(Bounded):
    """Timestamps (or dates) in [lower, upper]; `parts` are learned one by one and released within the timestamp.

    Attributes:
      is_categorical, is_timestamp: Always false and true.
      is_open: Always false.
    """

    is_timestamp: ClassVar[Literal[True]] = True
    type: Literal["timestamp"] = Field(description="always timestamp")
    lower: dt.datetime | Auto = Field(description="public, inclusive; UTC unless it names a zone; auto: found")
    upper: dt.datetime | Auto = Field(description="public, inclusive; UTC unless it names a zone; auto: found")
    parts: tuple[Literal["hour", "weekday", "month"], ...] = Field(default=(), description="kept besides the date")
    time_zone: str | None = Field(default=None, description="the zone whose clocks show the parts; None: UTC")
    step: str | None = Field(default=None, description="public: 1 day, 15 minutes, 1 month or the like, in UTC")
    atoms: tuple[dt.datetime, ...] = Field(default=(), description="public: times that may be frequent, in UTC")

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
        self._check_bounds()
        if self.has_bounds and math.ceil(self.lower_number) > math.floor(self.upper_number):
            raise ValueError("no whole second lies between lower and upper; widen the bounds")
        if any(atom.microsecond for atom in self.atoms):
            raise ValueError("atoms of a timestamp are whole seconds; round them")
        self._check_details(self.lower_number, self.upper_number)
        return self

    def bounds_from(self, low: float, high: float) -> tuple[dt.datetime, dt.datetime]:
        """The range as times in UTC, no finer than a microsecond."""
        lower, upper = (_EPOCH + dt.timedelta(seconds=bound) for bound in (low, high))
        return lower, upper

    @property
    def declared_step(self) -> DeclaredStep | None:
        """The step between values that the domain declares."""
        return None if self.step is None else time_step(self.step)

    @property
    def atom_numbers(self) -> tuple[float, ...]:
        """Times that the domain declares to be frequent, increasing, in seconds since 1970."""
        return tuple(sorted({number_of_bound(atom) for atom in self.atoms}))

    @model_serializer(mode="wrap")
    def _without_default(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out a zone that is not given: 0.2.0, which reads saved models and receipts too, does not know it."""
        found: dict[str, Any] = plain(self)
        return {name: value for name, value in found.items() if name != "time_zone" or value is not None}


class CategoricalColumn(Frozen):
    """One of the listed values, compared as text; `open` finds the frequent ones by DP partition selection.

    Attributes:
      is_categorical, is_timestamp: Always true and false.
      has_bounds: Always true: there are none to be found.
    """

    is_categorical: ClassVar[Literal[True]] = True
    is_timestamp: ClassVar[Literal[False]] = False
    has_bounds: ClassVar[Literal[True]] = True
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


BoundedColumn: TypeAlias = IntegerColumn | FloatColumn | TimestampColumn
Column: TypeAlias = Annotated[
    IntegerColumn | FloatColumn | TimestampColumn | CategoricalColumn, Field(discriminator="type")
]
