"""Finds a frame's columns by the domain's names, and refuses dtypes of which no cell can be read. Looks at no cell."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from threea_spark.config.columns import Column
from threea_spark.config.label_columns import names_taken
from threea_spark.config.near_names import meant_or
from threea_spark.errors import SchemaError
from threea_spark.source.schema import CHAR_DECLARED, added_problem, base_type

if TYPE_CHECKING:
    import pandas as pd

_SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"
_DURATIONS = "write it as seconds (.dt.total_seconds()), or declare it categorical"
_FIXES = {
    "durations": (_DURATIONS, _DURATIONS),
    "periods": ("write it as timestamps (.dt.to_timestamp()), or declare it categorical", ""),
    "intervals": ("declare it categorical", "declare it categorical"),
    "times of day": ("declare it categorical", "declare it categorical"),
}
"""What to do where a number is declared, and where a timestamp is; nothing where cells can be read."""
_UNREADABLE = ("nested values", "bytes", "complex numbers")


def columns_by_name(frame: pd.DataFrame, wanted: Mapping[str, Column], added: Collection[str]) -> dict[str, pd.Series]:
    """Returns the wanted columns; labels that are no text are named by their text, as the domain must write them.

    Args:
      frame: The source. PRIVATE.
      wanted: The columns to read, by name.
      added: Columns that the release adds; the frame must have none of these names.

    Raises:
      SchemaError: with one line for each column that is missing, there twice, added, or of a dtype that no cell of the
        declared type has.
    """
    places = _places(frame)
    found: dict[str, pd.Series] = {}
    problems: list[str] = []
    for name, column in wanted.items():
        own = places.get(name, [])
        if len(own) == 1:
            found[name] = frame.iloc[:, own[0]]
            problems += dtype_problem(name, found[name].dtype, column)
        else:
            problems.append(f"  {name!r}: " + (_TWICE if own else _absent(name, places)))
    problems += [added_problem(name) for name in names_taken(added, places)]
    if problems:
        raise SchemaError("\n".join(["the frame does not fit the domain:", *problems]))
    return found


def labels_by_name(frame: pd.DataFrame) -> dict[str, object]:
    """The frame's own label of each column, by its text."""
    return {str(label): label for label in frame.columns}


def dtype_problem(name: str, dtype: object, column: Column) -> list[str]:
    """Says in one line that no cell of a dtype can be read as the column's type; nothing for ordinary dtypes.

    Only kinds of values that Spark does not have are refused. A column of numbers where a timestamp is declared is not:
    pandas infers the dtype from all rows, so that a refusal would tell of one.
    """
    kind = _kind_of(dtype)
    if kind in _UNREADABLE:
        return [f"  {name!r}: holds {kind} ({dtype}), which cannot be released; make plain columns of it, or drop it"]
    if column.is_categorical or kind not in _FIXES:
        return []
    fix = _FIXES[kind][1 if column.is_timestamp else 0]
    return [f"  {name!r}: the domain says {column.type}, the frame has {kind} ({dtype}); {fix}"] if fix else []


def trimmed(table: pa.Table) -> pa.Table:
    """An Arrow table whose columns of Spark's CHAR(n) have no blanks at their end, as a release on Spark reads them."""
    for place, field in enumerate(table.schema):
        if base_type(_declared(table.schema, field)) == "char" and pa.types.is_string(field.type):
            table = table.set_column(place, field, pc.utf8_rtrim(table.column(place), " "))
    return table


def _declared(schema: pa.Schema, field: pa.Field) -> str:
    """The type that Spark has noted for a column of text, in the field itself or in a Parquet file's footer."""
    if own := (field.metadata or {}).get(CHAR_DECLARED.encode()):
        return str(own.decode())
    try:
        fields = json.loads((schema.metadata or {}).get(_SPARK_SCHEMA, b"{}"))["fields"]
        noted = {one["name"]: one.get("metadata", {}).get(CHAR_DECLARED, "") for one in fields}
    except (ValueError, KeyError, TypeError):  # not what Spark writes
        return ""
    return str(noted.get(field.name, ""))


_TWICE = "appears twice in the frame; drop one, or correct the domain"


def _places(frame: pd.DataFrame) -> dict[str, list[int]]:
    """Where columns lie, by the text of their label."""
    places: dict[str, list[int]] = {}
    for place, label in enumerate(frame.columns.tolist()):
        places.setdefault(str(label), []).append(place)
    return places


def _absent(name: str, places: Collection[str]) -> str:
    return f"is not a column of the frame; {meant_or(name, places, 'add it, or correct the domain')}"


def _kind_of(dtype: object) -> str:
    """What all cells of a dtype are, if Spark has no such values; else empty."""
    import pandas as pd

    if isinstance(dtype, pd.PeriodDtype):
        return "periods"
    if isinstance(dtype, pd.IntervalDtype):
        return "intervals"
    if isinstance(dtype, pd.CategoricalDtype):
        return _kind_of(dtype.categories.dtype) if len(dtype.categories) else ""
    if isinstance(dtype, pd.SparseDtype):
        return _kind_of(dtype.subtype)
    if isinstance(dtype, pd.ArrowDtype):
        return _kind_of_arrow(dtype.pyarrow_dtype)
    return {"c": "complex numbers", "m": "durations"}.get(getattr(dtype, "kind", ""), "")


def _kind_of_arrow(held: pa.DataType) -> str:
    if pa.types.is_nested(held):
        return "nested values"
    if pa.types.is_binary(held) or pa.types.is_large_binary(held) or pa.types.is_fixed_size_binary(held):
        return "bytes"
    if pa.types.is_time(held):
        return "times of day"
    return "durations" if pa.types.is_duration(held) else ""
