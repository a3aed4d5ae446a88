"""What a released type holds of a number, so that rules are kept by the values that are written, not those drawn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Float64Array
from threea_spark.config.columns import Column
from threea_spark.encode.cells import DAY_SECONDS, Numbers, numbers_of
from threea_spark.engine.types import arrow_type

Types = Mapping[str, str]
"""Spark's simple type string by column; a column without one is written as it is."""


def as_written(values: Float64Array, simple: str | None) -> Float64Array:
    """Rounds numbers, or seconds since 1970, as they will be written; NaN is null, shape (n,)."""
    return values if simple is None else numbers_of(Numbers(values).to_arrow(simple))


def step_of(column: Column, simple: str | None) -> float:
    """Distance between two values that a column may hold once written; 0 where they lie as close as float64 allows."""
    wanted = None if simple is None else arrow_type(simple)
    if column.is_timestamp:
        return float(DAY_SECONDS) if wanted is not None and pa.types.is_date32(wanted) else 1.0
    if column.type == "integer" or (wanted is not None and pa.types.is_integer(wanted)):
        return 1.0
    return 10.0**-wanted.scale if wanted is not None and pa.types.is_decimal(wanted) else 0.0


def filled(values: Float64Array, column: Column) -> Float64Array:
    """Null as a number that is never null counts: as the middle of the bounds, whole where the column is."""
    if column.is_categorical:
        raise TypeError("a category has no middle")
    ends = (column.lower_seconds, column.upper_seconds) if column.is_timestamp else (column.lower, column.upper)
    middle = 0.5 * (ends[0] + ends[1])
    return np.where(np.isnan(values), middle if column.type == "float" else np.floor(middle), values)


def arrow_numbers(values: Float64Array) -> pa.Array:
    """Numbers as cells, NaN as null."""
    return pa.array(values, pa.float64(), mask=np.isnan(values))
