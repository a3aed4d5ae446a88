"""Arrow cells become numbers and levels, and drawn numbers and levels become Arrow cells in the source's types.

Reading follows fixed rules that never raise on a value: null and NaN count as null; numbers outside the bounds and
infinities count as the bound (in the codec, not here); what a value that is not listed counts as, the field says.
Writing keeps to what the type holds: whole numbers whole, nulls null.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.engine.types import arrow_type, categories_as, places_among

_MICROS = 1_000_000
DAY_SECONDS = 86_400
_LARGEST = 1e300  # in place of infinity: the codec clips it to a bound
_LARGEST_FLOAT = float(np.finfo(np.float32).max)


def numbers_of(cells: pa.Array) -> Float64Array:
    """Reads numbers, dates or timestamps (as seconds since 1970) with NaN for null. PRIVATE."""
    if pa.types.is_date32(cells.type):
        days = cells.cast(pa.int32()).cast(pa.float64())
        return _plain(days) * DAY_SECONDS
    if pa.types.is_timestamp(cells.type):
        micros = cells.cast(pa.timestamp("us", tz=cells.type.tz)).cast(pa.int64())
        return _plain(micros.cast(pa.float64(), safe=False)) / _MICROS
    return np.clip(_plain(cells.cast(pa.float64(), safe=False)), -_LARGEST, _LARGEST)


def levels_of(cells: pa.Array, values: tuple[str, ...], *, unknown: int, null: int) -> Int64Array:
    """Reads the place of each cell among the values. PRIVATE.

    Args:
      cells: In the source's type, whose values are compared: 1.0 is the listed 1; or coded by dictionary. PRIVATE.
      values: Listed or selected.
      unknown: Level of a value that is not among them.
      null: Level of null.
    """
    if pa.types.is_dictionary(cells.type):
        coded = np.append(levels_of(cells.dictionary, values, unknown=unknown, null=null), null)
        index = cells.indices.fill_null(len(coded) - 1)
        return np.asarray(coded[index.to_numpy()], dtype=np.int64)
    places = places_among(cells, values)
    levels = np.where(places < 0, unknown, places)
    return np.where(np.asarray(cells.is_null().to_numpy(zero_copy_only=False)), null, levels)


def _plain(cells: pa.Array) -> Float64Array:
    return np.asarray(cells.to_numpy(zero_copy_only=False), dtype=np.float64)


@dataclass(frozen=True)
class Numbers:
    """Values of a numeric column or seconds of a timestamp; NaN is null."""

    values: Float64Array
    is_category: ClassVar[Literal[False]] = False

    @property
    def cells(self) -> Float64Array:
        """One number a row, shape (n,)."""
        return self.values

    def with_cells(self, cells: NDArray[np.generic]) -> Numbers:
        """The same column in other rows."""
        return Numbers(np.asarray(cells, dtype=np.float64))

    @property
    def missing(self) -> BoolArray:
        """Which rows are null, shape (n,)."""
        return np.asarray(np.isnan(self.values), dtype=np.bool_)

    def within(self, low: float, high: float) -> BoolArray:
        """Which rows hold a number from low to high, shape (n,)."""
        return (self.values >= low) & (self.values <= high)

    def to_arrow(self, simple: str) -> pa.Array:
        """Writes numbers, dates or timestamps as near as the type can hold them.

        Args:
          simple: Spark's simple type string of the source's column.
        """
        wanted, missing = arrow_type(simple), np.isnan(self.values)
        holds_nulls = bool(missing.any())
        filled = np.where(missing, 0.0, self.values) if holds_nulls else self.values
        null = missing if holds_nulls else None
        if pa.types.is_decimal(wanted):
            within = _fitting_decimal(filled, wanted.precision, wanted.scale)
            return pc.round(pa.array(within, mask=null), wanted.scale).cast(wanted)
        if pa.types.is_date32(wanted):
            return _from_numpy(np.floor(filled / DAY_SECONDS).astype(np.int32), null, wanted)
        if pa.types.is_timestamp(wanted):
            return _from_numpy(np.rint(filled * _MICROS).astype(np.int64), null, wanted)
        if pa.types.is_integer(wanted):
            return _from_numpy(_fitting(filled, wanted.bit_width).astype(wanted.to_pandas_dtype()), null, wanted)
        if pa.types.is_string(wanted) or pa.types.is_boolean(wanted):
            raise TypeError(f"a column of {simple} holds no numbers")  # the schema check refuses it before any row
        if pa.types.is_float32(wanted):
            filled = np.clip(filled, -_LARGEST_FLOAT, _LARGEST_FLOAT).astype(np.float32)
        return _from_numpy(filled, null, wanted)


@dataclass(frozen=True)
class Levels:
    """Levels of a categorical column; -1 is null."""

    levels: Int64Array
    values: tuple[str, ...]
    is_category: ClassVar[Literal[True]] = True

    @property
    def cells(self) -> Int64Array:
        """One level a row, shape (n,)."""
        return self.levels

    def with_cells(self, cells: NDArray[np.generic]) -> Levels:
        """The same column in other rows."""
        return Levels(np.asarray(cells, dtype=np.int64), self.values)

    @property
    def missing(self) -> BoolArray:
        """Which rows are null, shape (n,)."""
        return np.asarray(self.levels < 0, dtype=np.bool_)

    def equals(self, value: str) -> BoolArray:
        """Which rows hold a category, shape (n,)."""
        wanted = self.values.index(value) if value in self.values else len(self.values)
        return np.asarray(self.levels == wanted, dtype=np.bool_)

    def to_arrow(self, simple: str) -> pa.Array:
        """Writes categories in the source's type, which the schema check found able to hold them.

        Args:
          simple: Spark's simple type string of the source's column.
        """
        return _null_and_categories(self.values, arrow_type(simple)).take(pa.array(self.levels + 1))


@lru_cache(maxsize=1_024)  # asked for every block of rows
def _null_and_categories(values: tuple[str, ...], wanted: pa.DataType) -> pa.Array:
    return pa.concat_arrays([pa.nulls(1, wanted), categories_as(values, wanted)])


def _from_numpy(values: NDArray[np.generic], missing: BoolArray | None, wanted: pa.DataType) -> pa.Array:
    """The numbers as they lie in memory, in an Arrow type that holds such."""
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(wanted, len(values), [valid, pa.py_buffer(np.ascontiguousarray(values))])


Decoded: TypeAlias = Numbers | Levels
"""A column of released rows."""


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
