"""Checks a source's schema against the domain, by names and types alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from threea_spark.config.columns import CategoricalColumn, Column
from threea_spark.config.domain import Domain
from threea_spark.config.label_columns import names_taken
from threea_spark.config.near_names import meant_or
from threea_spark.engine.types import castable, listed_twice
from threea_spark.errors import SchemaError
from threea_spark.source.rule_types import rule_type_problems

CHAR_DECLARED = "__CHAR_VARCHAR_TYPE_STRING"
"""Where Spark keeps that a column of text was declared CHAR(n) or VARCHAR(n), whatever a session makes of it."""
NUMERIC_TYPES = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
TIME_TYPES = ("timestamp", "timestamp_ntz", "date")
TEXT_TYPES = ("string", "boolean", "varchar", "char")
UNIT_TYPES = (
    "string", "varchar", "char", "tinyint", "smallint", "int", "bigint", "decimal", "date", "boolean", "binary",
)  # fmt: skip
"""Types in which two values are equal if and only if their text is: units are distinguished by that text's bytes.

This fails for floats (0.0 and -0.0), times (the hour that a time zone repeats), nested types, and text compared under a
collation (Bob and BOB), whose simple type string is `string collate ...`.
"""


def check_schema(
    found: Mapping[str, str], domain: Domain, unit_column: str | None, added: Collection[str] = ()
) -> None:
    """Refuses a table that does not fit the domain.

    Args:
      found: Spark's simple type string by column name.
      domain: The declared domain.
      unit_column: The column of the unit of privacy, if any.
      added: Columns that the release adds; the source must have none of these names, released or not.

    Raises:
      SchemaError: with one line for each column: what is wrong and how to fix it.
    """
    columns = {name: column for name, column in domain.columns.items() if name not in domain.keys}
    problems = [problem for name, column in columns.items() if (problem := _problem(name, column, found))]
    if unit_column is not None and (problem := unit_problem(unit_column, found)):
        problems.append(problem)
    problems += rule_type_problems(found, domain)
    problems += [added_problem(name) for name in names_taken(added, found)]
    if problems:
        raise SchemaError("\n".join(["the source does not fit the domain:", *problems]))


def check_names(columns: Sequence[str], wanted: Collection[str]) -> None:
    """Refuses columns that Spark does not tell apart, since their names differ in case alone or not at all.

    Args:
      columns: All of the source, of which a table in memory may have such.
      wanted: Those that are read.

    Raises:
      SchemaError: naming two of them.
    """
    seen: dict[str, str] = {}
    read = {name.lower() for name in wanted}
    for name in columns:
        if name.lower() in seen:
            raise SchemaError(
                f"the source has columns {seen[name.lower()]!r} and {name!r}, which Spark does not tell apart; rename "
                "one, or set spark.sql.caseSensitive to true"
            )
        if name.lower() in read:
            seen[name.lower()] = name


def added_problem(name: str) -> str:
    """Says in one line that the source has a column which the release would add."""
    return (
        f"  {name!r}: anonymize.label_probability adds a column of this name, but the source has one; drop the option, "
        "or rename the source's column"
    )


def unit_problem(name: str, found: Mapping[str, str]) -> str | None:
    """Describes in one line what is wrong with the column that identifies units; None if nothing is.

    Args:
      name: The column's name.
      found: Spark's simple type string by column name.
    """
    if name not in found:
        hint = meant_or(name, found, "fix privacy.unit.column")
        return f"  {name!r}: the unit of privacy is not a column of the source; {hint}"
    if base_type(found[name]) in UNIT_TYPES:
        return None
    return (
        f"  {name!r}: the unit of privacy is identified by its text, but equal values of {found[name]} may differ "
        "in text, or the other way round; name a column of plain text, whole numbers, decimals, dates, booleans or "
        "binary in privacy.unit.column, or store this one as such in the source"
    )


def left_out(found: Mapping[str, str], domain: Domain) -> list[str]:
    """Returns the columns of the source that the domain does not name; they are not released, as the receipt states."""
    return [name for name in found if name not in domain.columns and name not in domain.keys]


def base_type(simple: str) -> str:
    """Strips a type's parameters: decimal(10,2) becomes decimal."""
    return simple.split("(", 1)[0].split("<", 1)[0].strip().lower()


def holds_text(simple: str) -> bool:
    """Whether a type is text, of any length."""
    return base_type(simple) in ("string", "varchar", "char")


def released_type(simple: str) -> str:
    """The type in which a column of the source is released: text without a declared length."""
    return "string" if holds_text(simple) else simple


def _problem(name: str, column: Column, found: Mapping[str, str]) -> str | None:
    if name not in found:
        hint = meant_or(name, found, "drop it from the domain or correct its spelling")
        return f"  {name!r}: not a column of the source; {hint}"
    kind = base_type(found[name])
    allowed: tuple[str, ...]
    if column.is_categorical:
        allowed = NUMERIC_TYPES + TIME_TYPES + TEXT_TYPES
        fix = "store it as plain columns, or drop it from the domain"
    elif column.is_timestamp:
        allowed, fix = TIME_TYPES, "store it as a timestamp, or declare it categorical"
    else:
        allowed, fix = NUMERIC_TYPES, "store it as a number, or declare it categorical"
    if kind in allowed:
        return _category_problem(name, column, found[name]) if column.is_categorical else None
    return f"  {name!r}: the domain says {column.type}, the source has {found[name]}; {fix}"


def _category_problem(name: str, column: CategoricalColumn, simple: str) -> str | None:
    """Checks that the source's type, in which categories are released, can hold each of them."""
    if column.is_open:
        if holds_text(simple):
            return None
        return f"  {name!r}: an open set needs a text column, but the source has {simple}; list the values"
    values = tuple(column.values)
    if padded := [value for value in values if base_type(simple) == "char" and value.endswith(" ")]:
        return (
            f"  {name!r}: the source's {simple} is read without the blanks at its end; list {padded[0].rstrip(' ')!r}"
        )
    if wrong := castable(values, released_type(simple)):
        hint = ", which are true and false" if simple == "boolean" else ""
        return f"  {name!r}: the source's {simple} cannot hold the listed {wrong[:3]}{hint}; drop or correct them"
    if twice := listed_twice(values, released_type(simple)):
        return (
            f"  {name!r}: the listed {twice[0]!r} and {twice[1]!r} are equal in the source's {simple}; keep one of them"
        )
    return None
