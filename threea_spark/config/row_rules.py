"""Rules between the columns of a row, which a domain declares: public knowledge, like bounds and listed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from threea_spark.config.category_text import value_text
from threea_spark.config.reading import Frozen

KINDS = ("functional", "order", "sum", "together", "exactly_one", "unique", "allowed")
MAX_CHOICES = 12
"""Columns of which exactly one may be asked to hold a value: each is a category with a cell of its own."""

Names: TypeAlias = Annotated[tuple[str, ...], Field(min_length=1)]
Several: TypeAlias = Annotated[tuple[str, ...], Field(min_length=2)]
Cells: TypeAlias = tuple[str | None, ...]


class Functional(Frozen):
    """`from` decides `to`: each value of `from` has one of `to`, found by noisy counts or given by `mapping`."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)
    from_: Names = Field(alias="from", description="columns that decide")
    to: Names = Field(description="columns that are decided, each by itself; they are not modelled")
    mapping: tuple[tuple[Cells, Cells], ...] | None = Field(
        default=None,
        description="public, and free: {city: state}, or rows of values of from and of to; else counted",
    )

    @field_validator("from_", "to", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("mapping", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return tuple((_cells(key), _cells(held)) for key, held in value.items())
        if isinstance(value, list | tuple):
            return tuple(_pair(row) for row in value)
        return value


class Order(Frozen):
    """Numbers or times that do not decrease from column to column; null is passed over."""

    columns: Several = Field(description="in increasing order; `low` and `high` in place of two")

    @model_validator(mode="before")
    @classmethod
    def _low_and_high(cls, value: object) -> object:
        if isinstance(value, Mapping) and set(value) == {"low", "high"}:
            return {"columns": (value["low"], value["high"])}
        return value


class Sum(Frozen):
    """The parts add up to the total, which is null where a part is."""

    parts: Several = Field(description="numbers, or one time and numbers of `unit`")
    total: str = Field(description="a number, or a time if one part is a time")
    unit: Literal["days", "hours", "minutes", "seconds"] = Field(
        default="days", description="of the numbers that are added to a time"
    )


class Allowed(Frozen):
    """Only the listed combinations of values occur."""

    columns: Several = Field(description="categories with listed values")
    combinations: tuple[Cells, ...] = Field(min_length=1, description="one value a column in each; null where nullable")

    @field_validator("combinations", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return tuple(_cells(row) if isinstance(row, list | tuple) else row for row in value)
        return value


class _Rule(Frozen):
    """One item of `rules`: its kind, and what it says."""

    kind: ClassVar[str]


class FunctionalRule(_Rule):
    """`functional: {from: city, to: state}`."""

    kind: ClassVar[str] = "functional"
    functional: Functional

    @property
    def named(self) -> tuple[str, ...]:
        """Columns that the rule is about."""
        return (*self.functional.from_, *self.functional.to)

    def in_words(self) -> str:
        """The rule as a sentence."""
        known = "found by noisy counts" if self.functional.mapping is None else "by a public mapping"
        return f"{_and(self.functional.from_)} decides {_and(self.functional.to)} ({known})"


class OrderRule(_Rule):
    """`order: {low: start, high: end}`."""

    kind: ClassVar[str] = "order"
    order: Order

    @property
    def named(self) -> tuple[str, ...]:
        """Columns that the rule is about."""
        return self.order.columns

    def in_words(self) -> str:
        """The rule as a sentence."""
        return " <= ".join(self.order.columns)


class SumRule(_Rule):
    """`sum: {parts: [a, b], total: t}`."""

    kind: ClassVar[str] = "sum"
    sum: Sum

    @property
    def named(self) -> tuple[str, ...]:
        """Columns that the rule is about."""
        return (*self.sum.parts, self.sum.total)

    def in_words(self) -> str:
        """The rule as a sentence."""
        return f"{' + '.join(self.sum.parts)} = {self.sum.total}"


class TogetherRule(_Rule):
    """`together: [a, b]`."""

    kind: ClassVar[str] = "together"
    together: Several

    @property
    def named(self) -> tuple[str, ...]:
        """Columns that the rule is about."""
        return self.together

    def in_words(self) -> str:
        """The rule as a sentence."""
        return f"{_and(self.together)} are null together"


class ExactlyOneRule(_Rule):
    """`exactly_one: [a, b]`."""

    kind: ClassVar[str] = "exactly_one"
    exactly_one: Several

    @property
    def named(self) -> tuple[str, ...]:
        """Columns that the rule is about."""
        return self.exactly_one

    def in_words(self) -> str:
        """The rule as a sentence."""
        return f"exactly one of {_and(self.exactly_one)} is not null"


class UniqueRule(_Rule):
    """`unique: key`."""

    kind: ClassVar[str] = "unique"
    unique: str = Field(min_length=1)

    @property
    def named(self) -> tuple[str, ...]:
        """Columns that the rule is about."""
        return (self.unique,)

    def in_words(self) -> str:
        """The rule as a sentence."""
        return f"{self.unique} numbers the rows; no value of the source is read"


class AllowedRule(_Rule):
    """`allowed: {columns: [a, b], combinations: [[x, y], ...]}`."""

    kind: ClassVar[str] = "allowed"
    allowed: Allowed

    @property
    def named(self) -> tuple[str, ...]:
        """Columns that the rule is about."""
        return self.allowed.columns

    def in_words(self) -> str:
        """The rule as a sentence."""
        return f"{_and(self.allowed.columns)} take one of {len(self.allowed.combinations)} listed combinations"


def _kind_of(value: object) -> str | None:
    if isinstance(value, Mapping):
        return str(next(iter(value))) if len(value) == 1 else None
    return getattr(value, "kind", None)


RowRule: TypeAlias = Annotated[
    Annotated[FunctionalRule, Tag("functional")]
    | Annotated[OrderRule, Tag("order")]
    | Annotated[SumRule, Tag("sum")]
    | Annotated[TogetherRule, Tag("together")]
    | Annotated[ExactlyOneRule, Tag("exactly_one")]
    | Annotated[UniqueRule, Tag("unique")]
    | Annotated[AllowedRule, Tag("allowed")],
    Discriminator(
        _kind_of,
        custom_error_type="rule_kind",
        custom_error_message=f"a rule has one key, its kind: {', '.join(KINDS)}; write one of them",
    ),
]
R = TypeVar("R", bound=_Rule)


def of_kind(rules: Sequence[RowRule], kind: type[R]) -> list[R]:
    """The rules of one kind, in order."""
    return [rule for rule in rules if isinstance(rule, kind)]


def _cells(value: object) -> Cells:
    held = value if isinstance(value, list | tuple) else (value,)
    return tuple(None if cell is None else value_text(cell) for cell in held)


def _pair(row: Any) -> tuple[Cells, Cells]:  # noqa: ANN401 - whatever a file holds
    """Reads a row of a mapping: two cells, or values of `from` and of `to` as two lists."""
    if not isinstance(row, list | tuple) or len(row) != 2:
        raise ValueError("a row of a mapping is [from, to]; with several columns [[from, ...], [to, ...]]")
    return _cells(row[0]), _cells(row[1])


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
