"""Drafts a domain or a release from a table's schema, never from its rows, so bounds are left to the user."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from threea_spark.config.yaml_files import plain, plain_path, quoted
from threea_spark.engine.delta import Place, no_delta, read_latest
from threea_spark.source.identifying import what_it_looks_like
from threea_spark.source.proposed_rules import proposed_rules
from threea_spark.source.rows import schema_of
from threea_spark.source.schema import NUMERIC_TYPES, TEXT_TYPES, TIME_TYPES, base_type

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_HEAD = """# Domain of {place}, drafted from its schema alone: no row was read.
# Replace every `TODO` with what is publicly known. Bounds taken from the rows would leak them.
# Remove columns that must not be released, above all identifiers. Columns whose name looks like an identifier or free
# text are left out: remove the `#` if everyone may see their values.
"""
_RELEASE_HEAD = """# Release of {place}, drafted from its schema alone: no row was read.
source: {{{kind}: {source}}}
target: {{{kind}: {target}}}
privacy:
  epsilon: TODO        # how much the release may reveal about one unit: 1 is strict, 10 protects little
  delta: TODO          # well below one over the number of people in the table
  unit: TODO           # row, or {{column: ..., max_rows: ...}}: the column that identifies a person

# What is publicly known about the table. Replace every `TODO`; bounds taken from the rows would leak them.
# Remove columns that must not be released, above all identifiers, and the column of the unit of privacy. Columns whose
# name looks like an identifier or free text are left out: remove the `#` if everyone may see their values.
domain:
"""
_DOMAIN = """label: TODO            # the column that a model will predict, or a list of them; its values must be listed
task: classification   # regression: label a number | none: drop the label
columns:
"""
WHOLE_TYPES = ("tinyint", "smallint", "int", "bigint")


def drafted(spark: SparkSession, place: str, text_of: Callable[[str, Mapping[str, str]], str]) -> str:
    """Drafts the YAML of a domain (`domain_text`) or of a whole release (`release_text`).

    Args:
      spark: A session.
      place: A table's name, or the path of a Delta table.
      text_of: Formats the draft of a table with the given types by column.

    Raises:
      SourceError: if the table cannot be read.
    """
    found, other = schema_at(spark, place), no_delta(spark, Place.named(place))
    text = text_of(place, found)
    return text if other is None else f"# {plain_path(place)} {other.what}, and {other.fix}\n{text}"


def domain_text(place: str, found: Mapping[str, str]) -> str:
    """Formats the domain of a table with the given types by column."""
    return _HEAD.format(place=plain_path(place)) + _domain(found)


def release_text(place: str, found: Mapping[str, str]) -> str:
    """Formats the release of a table with the given types by column; the target is next to the source."""
    kind = "path" if Place.named(place).is_path else "table"
    source, target = (quoted(name) for name in (place, place.rstrip("/") + "_released"))
    head = _RELEASE_HEAD.format(place=plain_path(place), kind=kind, source=source, target=target)
    return head + textwrap.indent(_domain(found), "  ")


def schema_at(spark: SparkSession, place: str) -> dict[str, str]:
    """Returns Spark's simple type string by column of a table; reads no row.

    Raises:
      SourceError: if the table cannot be read.
    """
    return schema_of(read_latest(spark, Place.named(place)))


def _domain(found: Mapping[str, str]) -> str:
    return _DOMAIN + "".join(_line(name, simple) for name, simple in found.items()) + proposed_rules(found)


def _line(name: str, simple: str) -> str:
    looks_like = what_it_looks_like(name, simple)
    line = _described(name, simple)
    return line if looks_like is None else f"  # {line.strip()}   # looks like {looks_like}: left out\n"


def _described(name: str, simple: str) -> str:
    kind = base_type(simple)
    key = quoted(name)
    if kind in WHOLE_TYPES:
        return f"  {key}: {{type: integer, lower: TODO, upper: TODO, nullable: true}}\n"
    if kind in NUMERIC_TYPES:
        return f"  {key}: {{type: float, lower: TODO, upper: TODO, nullable: true}}\n"
    if kind in TIME_TYPES:
        return f"  {key}: {{type: timestamp, lower: TODO, upper: TODO, nullable: true}}\n"
    if kind == "boolean":
        return f"  {key}: {{type: categorical, values: [true, false], nullable: true}}\n"
    if kind in TEXT_TYPES:
        return f"  {key}: {{type: categorical, values: open, nullable: true}}   # or list them\n"
    return f"  # {key}: {plain(simple)} cannot be released; store it as plain columns\n"
