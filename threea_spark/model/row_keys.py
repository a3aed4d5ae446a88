"""Columns that number released rows: whole numbers from one on, or text in the form of a UUID. No value is read.

Source: RFC 9562, section 5.8 (a UUID whose bits the application decides, version 8).
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

import pyarrow as pa

from threea_spark.arrays import Int64Array
from threea_spark.engine.types import arrow_type

_BYTES = 16
_VERSION_8, _VARIANT = 0x8 << 76, 0x2 << 62
_KEPT = ~((0xF << 76) | (0x3 << 62))


@dataclass(frozen=True)
class RowKeys:
    """How the rows of one table are numbered.

    Attributes:
      names: Columns that number rows.
      seed: Public; two tables with two seeds share no text.
      first: Number of the first row: one, or one more than the largest in a table that rows are appended to.
    """

    names: tuple[str, ...] = ()
    seed: int = 0
    first: int = 1

    def cells(self, name: str, simple: str, rows: Int64Array) -> pa.Array:
        """The keys of rows in a column of Spark's type `simple`.

        Args:
          name: Of the column.
          simple: A type of whole numbers, or text.
          rows: Places of the rows in the table from 0, shape (n,).
        """
        wanted = arrow_type(simple)
        if not pa.types.is_string(wanted):
            return pa.array(rows + self.first, pa.int64()).cast(wanted)
        return pa.array([self._text(name, row) for row in rows.tolist()], pa.string())

    def _text(self, name: str, row: int) -> str:
        told = f"{self.seed}:{self.first + row}:{name}".encode()
        bits = int.from_bytes(hashlib.blake2b(told, digest_size=_BYTES).digest(), "big")
        return str(uuid.UUID(int=bits & _KEPT | _VERSION_8 | _VARIANT))
