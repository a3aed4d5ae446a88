"""Refuses functional rules whose columns are of the wrong kind, or whose public mapping does not fit the domain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from threea_spark.config.columns import Column
from threea_spark.config.row_rules import Cells, Functional

MAX_WHOLE = 1_000
"""Whole numbers that a column of a functional rule may have, between its bounds."""
MAX_PAIRS = 1_000_000
"""Pairs that a functional rule may count."""
Columns = Mapping[str, Column]


def levels_of(column: Column) -> tuple[str, ...]:
    """The values that a column of a functional rule may have, as text; empty where they are not known beforehand."""
    if column.is_categorical:
        return () if column.is_open else tuple(column.values)
    if column.type == "integer":
        return tuple(map(str, range(column.lower, column.upper + 1)))
    return ()


def _n_levels(column: Column) -> int:
    known = column.max_values + 1 if column.is_open else len(levels_of(column))
    return known + int(column.nullable)


def functional_problems(rule: Functional, columns: Columns) -> Iterator[str]:
    """Yields what is wrong with a functional rule, one sentence each."""
    for name in (*rule.from_, *rule.to):
        column = columns[name]
        is_few = column.type == "integer" and column.upper - column.lower < MAX_WHOLE
        if not (column.is_categorical or is_few):
            yield (
                f"{name!r} is {column.type}; functional takes categories, and whole numbers with at most {MAX_WHOLE:,} "
                "values between their bounds"
            )
            return
    size = math.prod(_n_levels(columns[name]) for name in rule.from_)
    if rule.mapping is not None and size <= MAX_PAIRS:
        yield from _mapping(rule, columns)
        return
    for name in rule.to:
        if size * _n_levels(columns[name]) > MAX_PAIRS:
            yield (
                f"{size:,} values of {', '.join(rule.from_)} times {_n_levels(columns[name]):,} of {name!r} are more "
                f"than {MAX_PAIRS:,} pairs; give a public `mapping`, or lower max_values"
            )


def _mapping(rule: Functional, columns: Columns) -> Iterator[str]:
    width = len(rule.from_), len(rule.to)
    known = {given for given, _ in rule.mapping or ()}
    for given, held in rule.mapping or ():
        if (len(given), len(held)) != width:
            yield f"mapping: {shown(given)} needs {width[0]} value(s) of from, and {width[1]} of to"
            return
        for name, cell in zip((*rule.from_, *rule.to), (*given, *held), strict=True):
            if problem := unlisted(name, columns[name], cell):
                yield f"mapping: {problem}"
    for name in rule.to:
        if columns[name].is_open:
            yield f"mapping: {name!r} is open, but a mapping is public; list its values"
    if len(known) != len(rule.mapping or ()):
        yield "mapping: gives the same values of from twice; keep one"
    missing, covers = list[str](), False
    if len(rule.from_) == 1:
        column = columns[rule.from_[0]]
        missing = [value for value in levels_of(column) if (value,) not in known]
        covers = not column.is_open and not missing and (not column.nullable or (None,) in known)
    if not covers and (strict := [name for name in rule.to if not columns[name].nullable]):
        what = f"has no entry for {missing[0]!r}" if missing else "does not cover every value of from"
        yield f"mapping: {what}, and {strict[0]!r} is not nullable; add the entry, or write nullable: true"


def unlisted(name: str, column: Column, cell: str | None) -> str | None:
    """Says that a column cannot hold a value that a rule names; None if it can."""
    if cell is None:
        return None if column.nullable else f"null for {name!r}, which is not nullable; write nullable: true"
    if column.is_open or cell in levels_of(column):
        return None
    known = "its bounds hold" if column.type == "integer" else "is listed"
    return f"{cell[:80]!r} is no value of {name!r} that {known}; correct one of them"


def shown(cells: Cells) -> str:
    """Values on one line, cut if there are many."""
    return ", ".join("null" if cell is None else cell for cell in cells)[:80]
