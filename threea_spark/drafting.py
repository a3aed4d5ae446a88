"""A domain skeleton from a table's schema: never from its rows, so every bound is left for a person to state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from threea_spark.places import Place, read_latest
from threea_spark.table.schema import NUMERIC_TYPES, TEXT_TYPES, TIME_TYPES, base_type
from threea_spark.table.spark import schema_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_HEAD = """# Domain of {place}, drafted from its schema alone: no row was read.
# Replace every `TODO` by what is publicly known. Bounds that were looked up in the rows would leak them.
# Remove columns that shall not be released, and identifiers above all.
label: TODO         # the column a model is to predict; drop it for task: none
task: classification   # regression | none
columns:
"""
_WHOLE = ("tinyint", "smallint", "int", "bigint")


def draft_domain(spark: SparkSession, place: str) -> str:
    """Drafts the YAML of a domain.

    Args:
      spark: A session.
      place: A table's name, or the path of a Delta table.

    Raises:
      SourceError: if it cannot be read.
    """
    found = schema_of(read_latest(spark, Place.named(place)))
    return _HEAD.format(place=place) + "".join(_line(name, simple) for name, simple in found.items())


def _line(name: str, simple: str) -> str:
    kind = base_type(simple)
    key = json.dumps(name, ensure_ascii=False)
    if kind in _WHOLE:
        return f"  {key}: {{type: integer, lower: TODO, upper: TODO, nullable: true}}\n"
    if kind in NUMERIC_TYPES:
        return f"  {key}: {{type: float, lower: TODO, upper: TODO, nullable: true}}\n"
    if kind in TIME_TYPES:
        return f"  {key}: {{type: timestamp, lower: TODO, upper: TODO, nullable: true}}\n"
    if kind == "boolean":
        return f"  {key}: {{type: categorical, values: [true, false], nullable: true}}\n"
    if kind in TEXT_TYPES:
        return f"  {key}: {{type: categorical, values: open, nullable: true}}   # or list them\n"
    return f"  # {key}: {simple} cannot be released; flatten it to plain columns in a view\n"
