"""Checks, before a row is read, that a table can take what a release would append to it: names, types, constraints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.engine.types import castable
from threea_spark.errors import TargetExistsError
from threea_spark.publish.constraints import is_certain
from threea_spark.source.schema import CHAR_DECLARED, NUMERIC_TYPES, base_type, holds_text

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

_CHECK = "delta.constraints."
_DEFAULT = "CURRENT_DEFAULT"
_WHOLE = ("tinyint", "smallint", "int", "bigint")
_ROUNDED = ("float", "decimal")
_FRACTIONS = ("float", "double", "decimal")


@dataclass(frozen=True)
class TargetColumn:
    """A column of a table that exists.

    Attributes:
      name: As the table spells it.
      simple: Spark's simple type string, char(n) and varchar(n) as declared.
      nullable: Whether it may be null.
      has_default: Whether it need not be given.
    """

    name: str
    simple: str
    nullable: bool
    has_default: bool


def columns_of(schema: StructType) -> list[TargetColumn]:
    """Returns a table's columns."""
    return [
        TargetColumn(
            field.name,
            (field.metadata or {}).get(CHAR_DECLARED, field.dataType.simpleString()),
            field.nullable,
            _DEFAULT in (field.metadata or {}),
        )
        for field in schema.fields
    ]


def check_fits(
    place: object,
    found: list[TargetColumn],
    properties: Mapping[str, str],
    types: Mapping[str, str],
    domain: Domain,
    *,
    casts: bool,
) -> None:
    """Refuses a table that would refuse the release's rows, or keep other values than those that were released.

    Args:
      place: The table, for messages.
      found: Its columns.
      properties: Its properties, CHECK constraints among them.
      types: Spark's simple type string of each released column.
      domain: The declared domain, which bounds what is released.
      casts: Whether Spark casts rows that are appended: by a table's name it does, by its path it does not.

    Raises:
      TargetExistsError: with one line for each column and constraint.
    """
    inexact = {name for name, simple in types.items() if base_type(simple) in _ROUNDED}
    inexact |= {column.name for column in found if base_type(column.simple) in _ROUNDED}
    problems = [*_column_problems(found, types, domain, casts=casts), *_check_problems(properties, domain, inexact)]
    if problems:
        raise TargetExistsError("\n".join([f"target: {place} cannot take the rows of this release:", *problems]))


def _column_problems(
    found: list[TargetColumn], types: Mapping[str, str], domain: Domain, *, casts: bool
) -> Iterator[str]:
    by_name = {column.name.lower(): column for column in found}
    for name, simple in types.items():
        own, declared = by_name.pop(name.lower(), None), domain.columns.get(name)
        if own is None:
            yield f"  {name!r}: not a column of the target; add it there ({simple}), or drop it from the domain"
            continue
        if not own.nullable and declared is not None and declared.nullable:
            yield f"  {name!r}: NOT NULL in the target, but the domain says nullable; drop either"
        if problem := _type_problem(simple, own.simple, declared, casts=casts):
            yield f"  {name!r}: {own.simple} in the target, but {simple} in the release; {problem}"
    for own in by_name.values():
        if not own.nullable and not own.has_default:
            yield f"  {own.name!r}: NOT NULL in the target without a default, and not released; allow null there"


def _type_problem(simple: str, wanted: str, column: Column | None, *, casts: bool) -> str:
    """Says how to make a type fit; empty if it does."""
    if holds_text(simple) and holds_text(wanted):
        return _length_problem(wanted, column)
    if simple == wanted:
        return ""
    if not casts:
        return "a table at a path takes the same type only: cast the column in the source, or choose another target"
    if not _is_wider(simple, wanted):
        return "values would change: cast the column in the source, or choose another target"
    if column is not None and base_type(wanted) in NUMERIC_TYPES and (over := _too_large(column, wanted)):
        return f"it cannot hold {over[0]}, which the domain allows: narrow the domain, or choose another target"
    return ""


def _is_wider(simple: str, wanted: str) -> bool:
    """Whether a cast keeps what was released, if the numbers are not too large."""
    one, other = base_type(simple), base_type(wanted)
    if one in _WHOLE:
        return other in NUMERIC_TYPES or other == "string"
    if one in _FRACTIONS:
        return other in _FRACTIONS
    return (one, other) in (("date", "timestamp"), ("date", "timestamp_ntz"), ("date", "string"), ("boolean", "string"))


def _too_large(column: Column, wanted: str) -> list[str]:
    """What the domain allows and a numeric type cannot hold."""
    if column.is_categorical:
        return [] if column.is_open else castable(tuple(column.values), wanted)
    if column.is_timestamp or base_type(wanted) in ("float", "double"):
        return []
    if not column.has_bounds:
        return ["every number"]
    return castable((str(math.floor(column.lower_number)), str(math.ceil(column.upper_number))), wanted)


def _length_problem(wanted: str, column: Column | None) -> str:
    if base_type(wanted) not in ("char", "varchar") or column is None or not column.is_categorical:
        return ""
    length = int(wanted.partition("(")[2].rstrip(") "))
    if column.is_open:
        return "values that are found may be longer: list them, or allow text of any length in the target"
    long = [value for value in column.values if len(value) > length]
    return f"the listed {long[0]!r} is longer: drop it, or allow longer text in the target" if long else ""


def _check_problems(properties: Mapping[str, str], domain: Domain, inexact: set[str]) -> Iterator[str]:
    for key, expression in properties.items():
        if key.startswith(_CHECK) and not is_certain(expression, domain.columns, inexact):
            yield (
                f"  CHECK {key.removeprefix(_CHECK)} ({expression}): the domain does not rule out rows that break it; "
                "narrow its bounds, values or nullable, drop the constraint, or choose another target"
            )
