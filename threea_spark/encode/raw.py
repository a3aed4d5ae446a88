"""Cells of Arrow batches become numbers and levels by fixed rules that never raise on a value.

null and NaN count as null; numbers outside the bounds and infinities count as the bound (in the code, not here);
a value that is not listed counts as null where the column is nullable, else as the first value; in an open set it
counts as `other`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.histogram import CategoryField, Field, NumberField
from threea_spark.encode.moments import MomentField

_MICROS = 1_000_000
_DAY_SECONDS = 86_400
_LARGEST = 1e300  # stands for infinity: the code clips it to a bound


def columns_of(batch: pa.RecordBatch, fields: Sequence[Field], sources: Sequence[str]) -> list[NDArray[np.generic]]:
    """Reads one array for each field.

    Args:
      batch: Canonical columns. PRIVATE.
      fields: What is coded.
      sources: The canonical column each field is read from, shape (n_fields,).

    Returns:
      float64 with NaN for null for numbers, int64 levels for categories, each of shape (n,). PRIVATE.
    """
    arrays: list[NDArray[np.generic]] = []
    for field, source in zip(fields, sources, strict=True):
        cells = batch.column(source)
        if isinstance(field, NumberField | MomentField):
            arrays.append(numbers_of(cells))
        elif field.part:
            arrays.append(_levels_of_part(cells, field))
        else:
            arrays.append(_levels_of(cells, field))
    return arrays


def numbers_of(cells: pa.Array) -> Float64Array:
    """Reads numbers, dates or timestamps (as seconds since 1970) with NaN for null. PRIVATE."""
    if pa.types.is_date32(cells.type):
        days = cells.cast(pa.int32()).cast(pa.float64())
        return _plain(days) * _DAY_SECONDS
    if pa.types.is_timestamp(cells.type):
        micros = cells.cast(pa.timestamp("us", tz=cells.type.tz)).cast(pa.int64())
        return _plain(micros.cast(pa.float64(), safe=False)) / _MICROS
    return np.clip(_plain(cells.cast(pa.float64(), safe=False)), -_LARGEST, _LARGEST)


def _plain(cells: pa.Array) -> Float64Array:
    return np.asarray(cells.to_numpy(zero_copy_only=False), dtype=np.float64)


def _levels_of(cells: pa.Array, field: CategoryField) -> Int64Array:
    listed = pa.array(field.values, type=cells.type)
    found = pc.fill_null(pc.index_in(cells, value_set=listed), field.unknown_level)
    levels = np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)
    return np.where(np.asarray(cells.is_null().to_numpy(zero_copy_only=False)), field.null_level, levels)


def _levels_of_part(cells: pa.Array, field: CategoryField) -> Int64Array:
    seconds = numbers_of(cells)
    missing = np.isnan(seconds)
    level = part_of(np.where(missing, 0.0, seconds), field.part)
    return np.where(missing, field.null_level, level)


def part_of(seconds: Float64Array, part: str) -> Int64Array:
    """Gives the hour, the weekday (Monday is 0) or the month (January is 0) of points in time, UTC."""
    whole = np.clip(np.floor(seconds), -6e10, 2.5e11).astype(np.int64)  # years 68 to 9892
    if part == "hour":
        return whole // 3600 % 24
    if part == "weekday":
        return (whole // _DAY_SECONDS + 3) % 7
    months = whole.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    return np.asarray(months % 12, dtype=np.int64)
