"""The kinds of columns that a domain declares: numbers, timestamps and categories, with public bounds or values."""

from __future__ import annotations

import datetime as dt
import math
from abc import abstractmethod
from collections.abc import Mapping, Set
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from threea_spark.config.reading import Frozen
from threea_spark.config.steps import DeclaredStep, number_step, time_step

OPEN = "open"
MAX_ATOMS = 64
_NO_TIMEZONE = dt.timezone.utc
_FARTHEST = 1e300  # beyond it float64 cannot represent the range, and a row's share of a moment would be NaN


class _Bounded(Frozen):
    is_categorical: ClassVar[Literal[False]] = False
    is_open: ClassVar[Literal[False]] = False
    nullable: bool = Field(default=False, description="keeps null; otherwise it counts as the middle of the bounds")

    def _check_order(self, lower: float, upper: float) -> None:
        if not lower < upper:
            raise ValueError(f"lower must be below upper, got {lower:g} and {upper:g}; widen the bounds")

    def _check_details(self, lower: float, upper: float) -> None:
        """Reads step and atoms, so that what is wrong with them is said when the domain is read."""
        atoms = self.atom_numbers
        if len(atoms) > MAX_ATOMS:
            raise ValueError(f"at most {MAX_ATOMS} atoms, got {len(atoms)}; list the most frequent ones")
        if any(not lower <= atom <= upper for atom in atoms):
            raise ValueError("atoms must lie within lower and upper; widen the bounds, or drop those outside")
        step = self.declared_step
        if step is not None and not step.months and step.numerator / step.denominator > upper - lower:
            raise ValueError("step must not exceed the distance of the bounds; make it finer")

    @property
    @abstractmethod
    def declared_step(self) -> DeclaredStep | None:
        """The step between values that the domain declares."""

    @property
    @abstractmethod
    def atom_numbers(self) -> tuple[float, ...]:
        """Values that the domain declares to be frequent, increasing; times in seconds since 1970."""


class _Numeric(_Bounded):
    step: float | None = Field(default=None, gt=0.0, description="public: values are multiples of it")
    atoms: tuple[float, ...] = Field(default=(), description="public: values that may be frequent, such as codes")

    @property
    def declared_step(self) -> DeclaredStep | None:
        """The step between values that the domain declares."""
        return None if self.step is None else number_step(self.step)

    @property
    def atom_numbers(self) -> tuple[float, ...]:
        """Values that the domain declares to be frequent, increasing."""
        return tuple(sorted({float(atom) for atom in self.atoms}))


class IntegerColumn(_Numeric):
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
        if any(detail != int(detail) for detail in (*self.atoms, self.step or 1)):
            raise ValueError("step and atoms of an integer column are whole numbers; round them or use type float")
        self._check_details(self.lower, self.upper)
        return self


class FloatColumn(_Numeric):
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
        self._check_details(self.lower, self.upper)
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
    step: str | None = Field(default=None, description="public: 1 day, 15 minutes, 1 month or the like, in UTC")
    atoms: tuple[dt.datetime, ...] = Field(default=(), description="public: times that may be frequent, in UTC")

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
        if any(atom.microsecond for atom in self.atoms):
            raise ValueError("atoms of a timestamp are whole seconds; round them")
        self._check_details(self.lower_seconds, self.upper_seconds)
        return self

    @property
    def declared_step(self) -> DeclaredStep | None:
        """The step between values that the domain declares."""
        return None if self.step is None else time_step(self.step)

    @property
    def atom_numbers(self) -> tuple[float, ...]:
        """Times that the domain declares to be frequent, increasing, in seconds since 1970."""
        return tuple(sorted({_epoch_seconds(atom) for atom in self.atoms}))

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


def value_text(value: object) -> str:
    """Formats a category as Spark's cast to string does, so that YAML's true, 1 and "a" match the rows."""
    if value is None:
        raise ValueError("a category cannot be null; write `nullable: true` instead, or quote the word")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | Mapping | Set | list | tuple):
        raise ValueError("a category must be text, a number, a date, true or false; write one of them")
    try:
        text = str(value)
        text.encode()
    except ValueError:  # a number with thousands of digits, or half of a surrogate pair
        raise ValueError("a category cannot be written as text; drop it") from None
    return text


def _epoch_seconds(moment: dt.datetime) -> float:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=_NO_TIMEZONE)
    return aware.timestamp()
