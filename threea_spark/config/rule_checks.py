"""Refuses rules between columns that contradict each other, the columns' types or their bounds; each in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from threea_spark.config.coded import UNIT_SECONDS, OrderBounds, ends_of, is_based
from threea_spark.config.columns import Column
from threea_spark.config.functional_checks import functional_problems, shown, unlisted
from threea_spark.config.near_names import meant_or
from threea_spark.config.row_rules import (
    MAX_CHOICES,
    AllowedRule,
    ExactlyOneRule,
    FunctionalRule,
    Order,
    OrderRule,
    RowRule,
    Sum,
    SumRule,
    TogetherRule,
    UniqueRule,
    of_kind,
)

Columns = Mapping[str, Column]


_OF_ANY_BOUNDS = (TogetherRule, ExactlyOneRule, UniqueRule)


def rule_problems(columns: Columns, labels: Sequence[str], rules: tuple[RowRule, ...]) -> Iterator[str]:
    """Yields what is wrong with the rules of a domain, one sentence each.

    Args:
      columns, labels: As the domain declares them.
      rules: In order.
    """
    unknown = [found for rule in rules for found in _unknown(rule, columns)]
    if unknown:
        yield from unknown
        return
    yield from _clashes(rules, labels)
    for rule in rules:
        yield from (f"{rule.kind} of {', '.join(rule.named)}: {problem}" for problem in _own(rule, columns, rules))
    yield from _circles(rules)


def _unknown(rule: RowRule, columns: Columns) -> Iterator[str]:
    for name in rule.named:
        if name not in columns and rule.kind != UniqueRule.kind:
            hint = meant_or(name, columns, "add it there, or correct its spelling")
            yield f"rules: {rule.kind} names {name!r}, which is not among the columns; {hint}"
        if rule.named.count(name) > 1:
            yield f"rules: {rule.kind} names {name!r} twice; name each column once"


_ROLES_THAT_MEET = (
    {"decides"}, {"decides", "decided"}, {"decides", "low"}, {"decides", "order"}, {"decides", "part"},
    {"decides", "total"}, {"decides", "together"}, {"decides", "exactly_one"}, {"decides", "allowed"},
    {"together", "low"}, {"together", "order"}, {"together", "part"}, {"together", "total"},
    {"low"}, {"low", "order"}, {"low", "part"}, {"low", "total"},
)  # fmt: skip
"""What a column may be in two rules at once; whatever else meets might contradict."""


def _roles(rule: RowRule) -> Iterator[tuple[str, str]]:
    if isinstance(rule, FunctionalRule):
        yield from ((name, "decides") for name in rule.functional.from_)
        yield from ((name, "decided") for name in rule.functional.to)
    elif isinstance(rule, SumRule):
        yield from ((name, "part") for name in rule.sum.parts)
        yield rule.sum.total, "total"
    elif isinstance(rule, OrderRule):
        yield rule.order.columns[0], "low"
        yield from ((name, "order") for name in rule.order.columns[1:])
    else:
        yield from ((name, rule.kind) for name in rule.named)


def _clashes(rules: tuple[RowRule, ...], labels: Sequence[str]) -> Iterator[str]:
    held: dict[str, list[tuple[str, RowRule]]] = {}
    for rule in rules:
        for name, role in _roles(rule):
            if name in labels and role != "decides":
                yield (
                    f"rules: {rule.kind} of {', '.join(rule.named)} governs the label {name!r}, which is learned by "
                    "itself and may only be the `from` of functional; leave it out"
                )
            for other_role, other in held.setdefault(name, []):
                if {role, other_role} not in _ROLES_THAT_MEET:
                    yield (
                        f"rules: {name!r} is governed by {other.kind} of {', '.join(other.named)} and by {rule.kind} "
                        f"of {', '.join(rule.named)}, which may contradict each other; drop it from one"
                    )
            held[name].append((role, rule))


def _circles(rules: tuple[RowRule, ...]) -> Iterator[str]:
    """Finds columns that follow from themselves by way of others."""
    decided = {to: rule.functional.from_ for rule in of_kind(rules, FunctionalRule) for to in rule.functional.to}
    decided |= {later: rule.order.columns[:1] for rule in of_kind(rules, OrderRule) for later in rule.order.columns[1:]}
    decided |= {rule.sum.total: rule.sum.parts for rule in of_kind(rules, SumRule)}
    for start in decided:
        seen, waiting = set[str](), list(decided[start])
        while waiting:
            name = waiting.pop()
            if name == start:
                yield f"rules: {start!r} and {decided[start][0]!r} follow from each other; drop one of the rules"
                return
            if name not in seen:
                seen.add(name)
                waiting += decided.get(name, ())


def _own(rule: RowRule, columns: Columns, rules: tuple[RowRule, ...]) -> Iterator[str]:
    """What is wrong with one rule by itself, or with its columns."""
    without = [] if isinstance(rule, _OF_ANY_BOUNDS) else [name for name in rule.named if _lacks_bounds(columns[name])]
    if without:
        yield f"a bound of {without[0]!r} is auto, but this rule needs declared bounds; declare them"
        return
    if isinstance(rule, FunctionalRule):
        yield from functional_problems(rule.functional, columns)
    elif isinstance(rule, OrderRule):
        yield from _order(rule.order, columns, based=is_based(rule.order, rules))
    elif isinstance(rule, SumRule):
        yield from _sum(rule.sum, columns)
    elif isinstance(rule, TogetherRule | ExactlyOneRule):
        yield from _nulls(rule, columns, rules)
    elif isinstance(rule, AllowedRule):
        yield from _allowed(rule, columns)
    elif rule.unique in columns and not (columns[rule.unique].is_categorical or columns[rule.unique].type == "integer"):
        yield f"{rule.unique!r} is {columns[rule.unique].type}, but row numbers are whole numbers or text"


def _lacks_bounds(column: Column) -> bool:
    return not column.is_categorical and not column.has_bounds


def _order(rule: Order, columns: Columns, *, based: bool) -> Iterator[str]:
    for name in rule.columns:
        if columns[name].is_categorical:
            yield f"{name!r} is categorical; order takes numbers or timestamps"
            return
    for earlier, later in pairwise(rule.columns):
        if columns[earlier].is_timestamp != columns[later].is_timestamp:
            yield f"{earlier!r} is {columns[earlier].type} and {later!r} is {columns[later].type}, which do not compare"
            return
    for name in rule.columns[1:]:
        column = columns[name]
        if column.is_timestamp and column.parts:
            yield f"{name!r} is kept as the step from {rule.columns[0]!r}, which has no parts; drop its `parts`"
    bounds = OrderBounds.of(rule, columns, is_based=based)
    if based and bounds.upper[0] > bounds.upper[1]:
        yield (
            f"another rule governs {rule.columns[0]!r} as well, whose upper bound lies above that of "
            f"{rule.columns[1]!r}; raise the latter"
        )
    for place, name in enumerate(rule.columns):
        if not bounds.lower[place] < bounds.upper[place]:
            other = rule.columns[place - 1] if place else rule.columns[1]
            low, high = (name, other) if place == 0 else (other, name)
            yield f"the bounds of {low!r} and {high!r} leave no room for {low!r} <= {high!r}; widen them"
            return


def _sum(rule: Sum, columns: Columns) -> Iterator[str]:
    for name in (*rule.parts, rule.total):
        if columns[name].is_categorical:
            yield f"{name!r} is categorical; sum takes numbers"
            return
    total = columns[rule.total]
    times = [name for name in rule.parts if columns[name].is_timestamp]
    if len(times) != int(total.is_timestamp):
        yield (
            f"{rule.total!r} is {total.type} and {len(times)} of its parts are timestamps; a time is one time and "
            "numbers, a number is numbers"
        )
        return
    if total.type == "integer" and (broken := [name for name in rule.parts if columns[name].type == "float"]):
        yield f"{rule.total!r} is integer and its part {broken[0]!r} is float; declare the total float"
    if not total.nullable and (null := [name for name in rule.parts if columns[name].nullable]):
        yield f"{null[0]!r} may be null and {rule.total!r} not; write nullable: true there"
    ends = [ends_of(columns[name]) for name in rule.parts]
    scale = [part_scale(rule, columns, name) for name in rule.parts]
    least, most = (sum(end[side] * by for end, by in zip(ends, scale, strict=True)) for side in (0, 1))
    lower, upper = ends_of(total)
    if most < lower or least > upper:
        yield f"the bounds of {rule.parts[0]!r} and the other parts cannot sum to those of {rule.total!r}; widen them"


def part_scale(rule: Sum, columns: Columns, name: str) -> float:
    """What one of a part adds to the total: numbers that are added to a time are counted in the rule's unit."""
    return UNIT_SECONDS[rule.unit] if columns[rule.total].is_timestamp and not columns[name].is_timestamp else 1.0


def _nulls(rule: TogetherRule | ExactlyOneRule, columns: Columns, rules: tuple[RowRule, ...]) -> Iterator[str]:
    if strict := [name for name in rule.named if not columns[name].nullable]:
        other = next(name for name in rule.named if name != strict[0])
        yield f"{strict[0]!r} is not nullable, so it cannot be null with or instead of {other!r}; write nullable: true"
    if rule.kind == ExactlyOneRule.kind and len(rule.named) > MAX_CHOICES:
        yield f"at most {MAX_CHOICES} columns, from {rule.named[0]!r} to {rule.named[-1]!r} there are {len(rule.named)}"
    for own in of_kind(rules, SumRule):
        if own.sum.total in rule.named and (absent := [name for name in own.sum.parts if name not in rule.named]):
            yield f"{own.sum.total!r} is null where {absent[0]!r} is, by the rule sum; name {absent[0]!r} here too"


def _allowed(rule: AllowedRule, columns: Columns) -> Iterator[str]:
    own = rule.allowed
    for name in own.columns:
        if not columns[name].is_categorical or columns[name].is_open:
            yield f"{name!r} is not a category with listed values; list them, or drop it"
            return
    for cells in own.combinations:
        if len(cells) != len(own.columns):
            yield f"[{shown(cells)}] needs {len(own.columns)} values, one for each of {', '.join(own.columns)}"
            return
        for name, cell in zip(own.columns, cells, strict=True):
            if problem := unlisted(name, columns[name], cell):
                yield problem
                return
    if len(set(own.combinations)) != len(own.combinations):
        yield "lists a combination twice; keep one"
