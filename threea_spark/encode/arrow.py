"""Decoded columns in the Arrow types of the source's columns."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.decode import Decoded, Levels
from threea_spark.engine.types import arrow_type

_MICROS = 1_000_000
_LARGEST_FLOAT = float(np.finfo(np.float32).max)
_DAY_SECONDS = 86_400


def to_arrow(column: Decoded, simple: str) -> pa.Array:
    """Writes a decoded column in the source's type.

    Args:
      column: Numbers (NaN is null) or levels (-1 is null).
      simple: Spark's simple type string of the source's column.
    """
    wanted = arrow_type(simple)
    if isinstance(column, Levels):
        index = pa.array(column.levels, mask=column.levels < 0)
        return pa.array(column.values, pa.string()).cast(wanted).take(index)
    values, missing = column.values, np.isnan(column.values)
    filled = np.where(missing, 0.0, values)
    if pa.types.is_date32(wanted):
        days = np.floor(filled / _DAY_SECONDS).astype(np.int32)
        return pa.array(days, mask=missing).cast(wanted)
    if pa.types.is_timestamp(wanted):
        return pa.array(np.rint(filled * _MICROS).astype(np.int64), mask=missing).cast(wanted)
    if pa.types.is_integer(wanted):
        return pa.array(_fitting(filled, wanted.bit_width), mask=missing).cast(wanted)
    if pa.types.is_decimal(wanted):
        within = _fitting_decimal(filled, wanted.precision, wanted.scale)
        return pc.round(pa.array(within, mask=missing), wanted.scale).cast(wanted)
    if pa.types.is_string(wanted) or pa.types.is_boolean(wanted):
        raise TypeError(f"a column of {simple} holds no numbers")  # the schema check refuses it before any row is read
    if pa.types.is_float32(wanted):
        filled = np.clip(filled, -_LARGEST_FLOAT, _LARGEST_FLOAT)
    return pa.array(filled, mask=missing).cast(wanted)


def _fitting_decimal(values: Float64Array, precision: int, scale: int) -> Float64Array:
    """Moves values to the nearest that the type holds once it has rounded them; whole numbers stay whole."""
    step = Fraction(1, 10**scale)
    end = 10 ** (precision - scale) - step
    nearest = float(end)
    largest = nearest if Fraction(nearest) <= end + step / 4 else math.nextafter(nearest, 0.0)
    within = np.clip(values, -largest, largest)
    return np.where((values == np.rint(values)) & (largest >= 1.0), np.trunc(within), within)


def _fitting(values: Float64Array, bits: int) -> Int64Array:
    """Rounds to whole numbers that the type holds; public bounds wider than the type would overflow it."""
    largest = 2.0 ** (bits - 1)
    return np.clip(np.rint(values), -largest, np.nextafter(largest, 0.0)).astype(np.int64)
