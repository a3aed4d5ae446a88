"""Maps Spark's types to Arrow's, and checks which categories a type can hold."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa

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


def arrow_type(simple: str) -> pa.DataType:
    """Returns the Arrow type for Spark's simple type string; text for anything but numbers, times and booleans."""
    if found := _DECIMAL.fullmatch(simple):
        return pa.decimal128(int(found[1]), int(found[2]))
    return _PLAIN.get(simple, pa.string())


def castable(values: tuple[str, ...], simple: str) -> list[str]:
    """Lists the categories that the column's type cannot hold."""
    wrong = []
    for value in values:
        try:
            pa.array([value]).cast(arrow_type(simple))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            wrong.append(value)
    return wrong


def ddl_of(types: Mapping[str, str]) -> str:
    """Spark's DDL of columns, their names quoted."""
    return ", ".join(f"{quoted_name(name)} {simple}" for name, simple in types.items())
