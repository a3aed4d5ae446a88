"""The coded columns of a domain with rules between columns: what is counted, modelled and drawn in their place.

Every stage after the reading of rows sees coded columns only; encode/between maps rows to them and back, row by row.
Names and bounds follow from the declared rules and bounds alone, so they are as public as these.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from threea_spark.config.columns import (
    CategoricalColumn,
    Column,
    FloatColumn,
    IntegerColumn,
    TimestampColumn,
)
from threea_spark.config.row_rules import (
    AllowedRule,
    Cells,
    ExactlyOneRule,
    FunctionalRule,
    Order,
    OrderRule,
    RowRule,
    SumRule,
    UniqueRule,
    of_kind,
)

if TYPE_CHECKING:
    from threea_spark.config.domain import Domain

UNIT_SECONDS = {"days": 86_400.0, "hours": 3_600.0, "minutes": 60.0, "seconds": 1.0}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_LONGEST = (dt.datetime(9999, 12, 31, tzinfo=dt.timezone.utc) - _EPOCH).total_seconds()


def ends_of(column: Column) -> tuple[float, float]:
    """The bounds of a number, or of a time in seconds since 1970."""
    if column.is_categorical:
        raise TypeError("a category has no bounds")
    if column.is_timestamp:
        return column.lower_seconds, column.upper_seconds
    return float(column.lower), float(column.upper)


@dataclass(frozen=True)
class OrderBounds:
    """Bounds of the columns of an order that leave room for each other.

    Attributes:
      lower, upper: Of each column: no lower than any before it, no higher than any behind it. A first column that
        another rule governs as well keeps its own.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def of(cls, order: Order, columns: Mapping[str, Column], *, is_based: bool = False) -> OrderBounds:
        """The bounds of an order's columns, as far as the others allow them.

        Args:
          order, columns: The rule, and the domain's columns.
          is_based: Whether another rule governs the first column.
        """
        ends = [ends_of(columns[name]) for name in order.columns]
        lower = [max(low for low, _ in ends[: place + 1]) for place in range(len(ends))]
        upper = [min(high for _, high in ends[place:]) for place in range(len(ends))]
        if is_based:
            lower[0], upper[0] = ends[0]
        return cls(tuple(lower), tuple(upper))

    def durations(self, place: int) -> tuple[float, float]:
        """The least and the greatest step to a column from the last one before it that is not null."""
        return max(0.0, self.lower[place] - self.upper[place - 1]), self.upper[place] - self.lower[0]


@dataclass(frozen=True)
class CodedNames:
    """Names of the coded columns that rules bring in.

    Attributes:
      duration: By column of an order, but the first: the step to it.
      combination: By first column of `allowed`: which of the combinations.
      choice: By first column of `exactly_one`: which of the columns.
    """

    duration: Mapping[str, str]
    combination: Mapping[str, str]
    choice: Mapping[str, str]

    @classmethod
    def of(cls, domain: Domain) -> CodedNames:
        """Names that no other column has."""
        taken = set(domain.columns)

        def free(name: str) -> str:
            while name in taken:
                name += "_"
            taken.add(name)
            return name

        duration = {
            later: free(f"{later} - {earlier}")
            for rule in of_kind(domain.rules, OrderRule)
            for earlier, later in zip(rule.order.columns, rule.order.columns[1:], strict=False)
        }
        combination = {
            rule.allowed.columns[0]: free(" and ".join(rule.allowed.columns))
            for rule in of_kind(domain.rules, AllowedRule)
        }
        choice = {
            rule.exactly_one[0]: free(f"one of {', '.join(rule.exactly_one)}")
            for rule in of_kind(domain.rules, ExactlyOneRule)
        }
        return cls(duration, combination, choice)


def is_based(order: Order, rules: Sequence[RowRule]) -> bool:
    """Whether another rule governs the first column of an order, so that this one only adds steps to it."""
    first = order.columns[0]
    sums = any(first in rule.named for rule in of_kind(rules, SumRule))
    return sums or sum(first in rule.order.columns for rule in of_kind(rules, OrderRule)) > 1


def not_coded(domain: Domain) -> set[str]:
    """Columns that follow from others: totals, row numbers and decided ones, but for those of `linked_columns`."""
    decided = {name for rule in of_kind(domain.rules, FunctionalRule) for name in rule.functional.to}
    return decided - {to for _, to in linked_columns(domain)} | _derived(domain)


def linked_columns(domain: Domain) -> list[tuple[str, str]]:
    """Deciding and decided columns that are both coded: one feature decides the other, see encode/between/links.py."""
    combined = {name for rule in of_kind(domain.rules, AllowedRule) for name in rule.allowed.columns}
    later = {name for rule in of_kind(domain.rules, OrderRule) for name in rule.order.columns[1:]}
    hidden = set(domain.labels) | combined | later | _derived(domain)
    found = list[tuple[str, str]]()
    for rule in of_kind(domain.rules, FunctionalRule):
        if len(rule.functional.from_) == 1 and rule.functional.from_[0] not in hidden:
            found += [(rule.functional.from_[0], to) for to in rule.functional.to]
    return _reachable(found, domain)


def _reachable(found: list[tuple[str, str]], domain: Domain) -> list[tuple[str, str]]:
    """Leaves out columns whose deciding column is itself decided without being coded."""
    decided = {name for rule in of_kind(domain.rules, FunctionalRule) for name in rule.functional.to}
    while True:
        coded = {to for _, to in found}
        kept = [(own, to) for own, to in found if own not in decided or own in coded]
        if len(kept) == len(found):
            return kept
        found = kept


def _derived(domain: Domain) -> set[str]:
    """Totals and row numbers."""
    totals = {rule.sum.total for rule in of_kind(domain.rules, SumRule)}
    return totals | {rule.unique for rule in of_kind(domain.rules, UniqueRule)}


def coded_columns(domain: Domain) -> dict[str, Column]:
    """The coded columns by name, in the order of the columns that they stand for."""
    names, dropped = CodedNames.of(domain), not_coded(domain)
    replaced = _ordered(domain, names) | _combined(domain, names)
    choices = {rule.exactly_one[0]: rule.exactly_one for rule in of_kind(domain.rules, ExactlyOneRule)}
    coded: dict[str, Column] = {}
    for name, column in domain.columns.items():
        if name in choices:
            coded[names.choice[name]] = _listed(choices[name])
        if name in replaced:
            coded |= replaced[name]
        elif name not in dropped:
            coded[name] = column
    return coded


def combination_text(cells: Cells) -> str:
    """The name of a combination as a category; two combinations have two names."""
    return json.dumps(list(cells), ensure_ascii=False)


def _listed(values: Iterable[str]) -> CategoricalColumn:
    return CategoricalColumn(type="categorical", values=tuple(values))


def _combined(domain: Domain, names: CodedNames) -> dict[str, dict[str, Column]]:
    found: dict[str, dict[str, Column]] = {}
    for rule in of_kind(domain.rules, AllowedRule):
        first, *others = rule.allowed.columns
        found[first] = {names.combination[first]: _listed(map(combination_text, rule.allowed.combinations))}
        found |= {name: {} for name in others}
    return found


def _ordered(domain: Domain, names: CodedNames) -> dict[str, dict[str, Column]]:
    found: dict[str, dict[str, Column]] = {}
    for rule in of_kind(domain.rules, OrderRule):
        own, based = rule.order.columns, is_based(rule.order, domain.rules)
        bounds = OrderBounds.of(rule.order, domain.columns, is_based=based)
        if not based:
            found[own[0]] = {own[0]: _within(domain.columns[own[0]], bounds.lower[0], bounds.upper[0])}
        for place, name in enumerate(own[1:], start=1):
            found[name] = {names.duration[name]: _duration(own, domain.columns, name, bounds.durations(place))}
    return found


def _within(column: Column, lower: float, upper: float) -> Column:
    """The same column within tighter bounds."""
    if (lower, upper) == ends_of(column):
        return column
    if column.is_timestamp:
        return column.model_copy(update={"lower": _moment(lower), "upper": _moment(upper)})
    own = int if column.type == "integer" else float
    return column.model_copy(update={"lower": own(lower), "upper": own(upper)})


def _duration(own: Sequence[str], columns: Mapping[str, Column], name: str, ends: tuple[float, float]) -> Column:
    """A step between columns: a number, or a time that many seconds after 1970 began."""
    lower, upper = ends
    nullable = columns[name].nullable
    if columns[name].is_timestamp:
        start, end = _moment(math.floor(lower)), _moment(min(math.ceil(upper), _LONGEST))
        return TimestampColumn(type="timestamp", lower=start, upper=end, nullable=nullable)
    if all(column.type == "integer" for column in map(columns.__getitem__, own)):
        return IntegerColumn(type="integer", lower=int(lower), upper=int(upper), nullable=nullable)
    return FloatColumn(type="float", lower=lower, upper=upper, nullable=nullable)


def _moment(seconds: float) -> dt.datetime:
    return _EPOCH + dt.timedelta(seconds=seconds)
