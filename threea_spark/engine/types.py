"""Maps Spark's types to Arrow's, and writes categories, which are listed as text, in a column's own type."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from threea_spark.arrays import Int64Array
from threea_spark.config.table_names import quoted_name

_PLAIN = {
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}

_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_EXACT = Context(prec=400)  # more digits than any category that is a number has
_BOOLEANS = {"true": True, "false": False}


def arrow_type(simple: str) -> pa.DataType:
    """Returns the Arrow type for Spark's simple type string; text for anything but numbers, times and booleans."""
    if found := _DECIMAL.fullmatch(simple):
        return pa.decimal128(int(found[1]), int(found[2]))
    return _PLAIN.get(simple, pa.string())


@functools.lru_cache(maxsize=1_024)  # asked for every batch of rows
def categories_as(values: tuple[str, ...], wanted: pa.DataType) -> pa.Array:
    """Writes categories in a column's type: 1, 1.0 and 01 are one number, true and True one boolean.

    Args:
      values: As they are listed.
      wanted: Text, boolean, a number, a date, or microseconds.

    Returns:
      Array of that type; null where it cannot hold the category.
    """
    if pa.types.is_string(wanted) or pa.types.is_large_string(wanted):
        return pa.array(values, wanted)
    if pa.types.is_boolean(wanted):
        return pa.array([_BOOLEANS.get(value.lower()) for value in values], wanted)
    if pa.types.is_temporal(wanted):
        return pa.concat_arrays([_moment_as(value, wanted) for value in values]) if values else pa.array([], wanted)
    return pa.concat_arrays([_number_as(value, wanted) for value in values]) if values else pa.array([], wanted)


def places_among(cells: pa.Array, values: tuple[str, ...]) -> Int64Array:
    """Finds each cell among listed categories: text by its characters, numbers, booleans and times by their value.

    Args:
      cells: Of any type that `categories_as` writes. PRIVATE.
      values: As they are listed.

    Returns:
      The place of the first that is equal; -1 where there is none, and for null.
    """
    listed = categories_as(values, cells.type)
    if pa.types.is_timestamp(cells.type):
        cells, listed = cells.cast(pa.int64()), listed.cast(pa.int64())
    if pa.types.is_floating(cells.type):  # -0.0 becomes 0.0
        cells, listed = pc.add(cells, pa.scalar(0.0, cells.type)), pc.add(listed, pa.scalar(0.0, cells.type))
    found = pc.fill_null(pc.index_in(cells, value_set=listed, skip_nulls=True), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)


def castable(values: tuple[str, ...], simple: str) -> list[str]:
    """Lists the categories that the column's type cannot hold."""
    held = categories_as(values, arrow_type(simple)).is_valid().to_pylist()
    return [value for value, is_held in zip(values, held, strict=True) if not is_held]


def listed_twice(values: tuple[str, ...], simple: str) -> list[str]:
    """Lists the categories that are the same in the column's type as an earlier one, each after that one."""
    first = places_among(categories_as(values, arrow_type(simple)), values)
    again = [place for place, earlier in enumerate(first.tolist()) if 0 <= earlier < place]
    return [values[index] for place in again for index in (int(first[place]), place)]


def ddl_of(types: Mapping[str, str]) -> str:
    """Spark's DDL of columns, their names quoted."""
    return ", ".join(f"{quoted_name(name)} {simple}" for name, simple in types.items())


def number_in(text: str) -> Decimal | None:
    """Reads a category as a number, however it is spelt; None if it is none."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _number_as(value: str, wanted: pa.DataType) -> pa.Array:
    number = number_in(value)
    if number is None:
        return pa.nulls(1, wanted)
    try:
        if pa.types.is_integer(wanted):
            return pa.array([int(number) if number == number.to_integral_value() else None], wanted)
        if pa.types.is_decimal(wanted):
            return pa.array([number.normalize(_EXACT)], wanted)
        near = np.float64(number).astype(wanted.to_pandas_dtype())
        return pa.array([near if math.isfinite(near) else None], wanted)
    except (ArithmeticError, ValueError, pa.ArrowException):  # too large for the type, or with too many digits
        return pa.nulls(1, wanted)


def _moment_as(value: str, wanted: pa.DataType) -> pa.Array:
    text = pa.array([value])
    if pa.types.is_date(wanted):
        forms = [wanted]
    else:
        forms = [pa.timestamp("us"), pa.timestamp("us", tz="UTC")]  # without a zone, and with one
    for form in forms:
        try:
            moment = text.cast(form)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
        return moment if form == wanted else moment.cast(pa.int64()).cast(wanted)
    return pa.nulls(1, wanted)
