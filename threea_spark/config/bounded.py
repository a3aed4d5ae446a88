"""What columns with bounds have in common: bounds that are declared or to be found, steps, and frequent values."""

from __future__ import annotations

import datetime as dt
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from threea_spark.config.reading import Frozen
from threea_spark.config.steps import DeclaredStep, number_step

MAX_ATOMS = 64
Auto: TypeAlias = Literal["auto"]
AUTO: Auto = "auto"
_NO_TIMEZONE = dt.timezone.utc


class Bounded(Frozen):
    """A column with bounds.

    Attributes:
      is_categorical, is_open: Always false.
    """

    is_categorical: ClassVar[Literal[False]] = False
    is_open: ClassVar[Literal[False]] = False
    nullable: bool = Field(default=False, description="keeps null; otherwise it counts as the middle of the bounds")
    if TYPE_CHECKING:  # fields of every kind of column, each of its own type
        lower: Any
        upper: Any

    @property
    def lower_number(self) -> float:
        """The lower bound, in seconds since 1970 if it is a time; -inf if it is `auto`."""
        return -math.inf if self.lower == AUTO else number_of_bound(self.lower)

    @property
    def upper_number(self) -> float:
        """The upper bound, in seconds since 1970 if it is a time; inf if it is `auto`."""
        return math.inf if self.upper == AUTO else number_of_bound(self.upper)

    @property
    def has_bounds(self) -> bool:
        """Whether both bounds are declared, so that none need be found."""
        return math.isfinite(self.lower_number) and math.isfinite(self.upper_number)

    def _check_bounds(self) -> None:
        if self.has_bounds:
            self._check_order(self.lower_number, self.upper_number)

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


class Numeric(Bounded):
    """A column of numbers."""

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


def number_of_bound(bound: float | dt.datetime) -> float:
    """A bound as a number, in seconds since 1970 if it is a time."""
    if not isinstance(bound, dt.datetime):
        return float(bound)
    aware = bound if bound.tzinfo is not None else bound.replace(tzinfo=_NO_TIMEZONE)
    return aware.timestamp()
