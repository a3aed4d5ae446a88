"""The columns of a block of packed rows, each as narrow as its values allow.

A column of zeros and one more value, as the levels of a category are, takes a bit a row; one of at most 256 values, as
ages and counts have, takes a byte, which stands for its place in a list of them; others take an int16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Int16Array

HEADER = np.dtype([("n_coded", "<u4"), ("n_binary", "<u4"), ("n_values", "<u4")])
"""What a block says before its columns: how many take a byte and a bit, and how many values it lists."""
_NUMBER, _CODED, _BINARY = range(3)
_MAX_VALUES = 256
_MIN_ROWS = 4 * _MAX_VALUES  # that make a list of values pay


@dataclass(frozen=True)
class ColumnCode:
    """How columns are written. PRIVATE.

    Attributes:
      kind: Of each column, shape (width,).
      lists: Values of each column that takes a byte, in order.
      ones: The value beside zero of each column that takes a bit, shape (n_binary,).
    """

    kind: NDArray[np.uint8]
    lists: tuple[Int16Array, ...]
    ones: Int16Array

    @classmethod
    def of(cls, columns: Int16Array) -> ColumnCode:
        """The narrowest code of each column, shape (width, n)."""
        largest, least = columns.max(axis=1, initial=0), columns.min(axis=1, initial=0)
        other = np.where(largest != 0, largest, least)
        kind = np.full(len(columns), _NUMBER, dtype=np.uint8)
        kind[((columns == 0) | (columns == other[:, None])).all(axis=1)] = _BINARY
        found: list[Int16Array] = []
        for column in np.flatnonzero(kind == _NUMBER).tolist() if columns.shape[1] >= _MIN_ROWS else ():
            occurs = np.zeros(1 << 16, dtype=np.bool_)
            occurs[columns[column].view(np.uint16)] = True
            if np.count_nonzero(occurs) <= _MAX_VALUES:
                kind[column] = _CODED
                found.append(np.flatnonzero(occurs).astype(np.uint16).view(np.int16))
        return cls(kind, tuple(found), other[kind == _BINARY])

    @property
    def row_bytes(self) -> float:
        """Bytes of a row."""
        return 2.0 * np.count_nonzero(self.kind == _NUMBER) + len(self.lists) + len(self.ones) / 8.0

    @cached_property
    def header(self) -> bytes:
        """As `HEADER` says."""
        return np.array((len(self.lists), len(self.ones), sum(map(len, self.lists))), dtype=HEADER).tobytes()

    @cached_property
    def _layout(self) -> bytes:
        sizes = np.array([len(values) for values in self.lists], dtype="<u2")
        values = np.concatenate([np.zeros(0, dtype=np.int16), *self.lists, self.ones]).astype("<i2")
        return sizes.tobytes() + values.tobytes() + self.kind.tobytes()

    def coded(self, columns: Int16Array) -> CodedColumns:
        """Codes all columns, shape (width, n), to be written block by block."""
        coded, place = np.empty((len(self.lists), columns.shape[1]), dtype=np.uint8), np.empty(1 << 16, dtype=np.uint8)
        for own, column, values in zip(coded, columns[self.kind == _CODED], self.lists, strict=True):
            place[values.view(np.uint16)] = np.arange(len(values))
            np.take(place, column.view(np.uint16), out=own)
        numbers = columns[self.kind == _NUMBER].astype("<i2")
        return CodedColumns(numbers, coded, columns[self.kind == _BINARY] != 0, self._layout)


@dataclass(frozen=True)
class CodedColumns:
    """Columns as they are written, by kind, each of shape (columns of the kind, n). PRIVATE."""

    numbers: Int16Array
    coded: NDArray[np.uint8]
    bits: BoolArray
    layout: bytes

    def block(self, rows: slice) -> bytes:
        """The bytes of some rows."""
        bits = np.packbits(self.bits[:, rows], axis=1)
        return self.numbers[:, rows].tobytes() + self.layout + self.coded[:, rows].tobytes() + bits.tobytes()


def read_columns(cells: pa.Buffer, start: int, header: NDArray[np.void], out: Int16Array) -> None:
    """Reads the columns of a block. PRIVATE.

    Args:
      cells: The block's bytes, after `start` those that `CodedColumns.block` wrote.
      start: Where they begin.
      header: As `HEADER` says.
      out: Shape (width, n), overwritten.
    """
    (width, n_rows), (n_coded, n_binary, n_values) = out.shape, header.tolist()

    def taken(dtype: str, *shape: int) -> NDArray[Any]:
        nonlocal start
        found = np.frombuffer(cells, dtype, math.prod(shape), start).reshape(shape)
        start += found.nbytes
        return found

    numbers = taken("<i2", width - n_coded - n_binary, n_rows)
    if not n_coded and not n_binary:
        out[:] = numbers
        return
    sizes, values, ones = taken("<u2", n_coded), taken("<i2", n_values), taken("<i2", n_binary)
    kind = taken("u1", width)
    out[kind == _NUMBER] = numbers
    if n_coded:
        first = (np.cumsum(sizes, dtype=np.uint32) - sizes)[:, None]
        out[kind == _CODED] = np.take(values, first + taken("u1", n_coded, n_rows))
    if n_binary:
        bits = taken("u1", n_binary, -(-n_rows // 8))
        held = np.unpackbits(bits, axis=1, count=n_rows).astype(np.int16)
        held *= ones[:, None]
        out[kind == _BINARY] = held
