"""The staged format: blocks of packed rows, compressed, each one cell of a Spark table.

Handing a row to Python costs Spark far more than its few dozen bytes, so a row of the staged table holds some hundred
packed rows. Inside a block every column is stored by itself, as narrow as its values allow (block_columns.py), and read
as a whole. LZ4 costs a tenth of what zstd does, which would make scores of numbers hardly shorter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Int16Array, Int64Array, Uint32Array
from threea_spark.engine.block_columns import HEADER, ColumnCode, read_columns

N_ROWS = "n_rows"  # int: packed rows in a block
BLOCK = "block"  # binary: packed rows, compressed (engine/packed.py)
UNIT = "unit"  # bigint: secret uniform token of the row's unit of privacy
UNIT_ID = "unit_id"  # binary: the unit's identifier, dropped before staging
SCHEMA = f"{N_ROWS} int, {BLOCK} binary"
COINS = 2**32
"""A unit's coin is uniform on [0, COINS)."""
_BLOCK_BYTES = 1 << 16  # before compression
MAX_FILE_BLOCKS = 1024  # Spark's reader holds 4,096 cells at a time, but none of a second file
_STEP_COORDINATES, _STEP_ROWS = 1 << 21, 1 << 14  # most that are handed on together
_CODEC = "lz4_raw"
_ROW_OVERHEAD = 16  # bytes: class, coin, group token, score of the label
_LENGTH_BYTES = 4  # of the number that says how long a block is before compression
_CACHE_LINE = 32  # int16 values


@dataclass(frozen=True)
class PackedRows:
    """Rows as the stages after Encode see them. PRIVATE.

    Attributes:
      packed: Shape (n, width), on the public grid; each column is contiguous.
      classes: Class of each row, shape (n,).
      coins: Uniform on [0, COINS), one draw a unit: decides whether it is in the sample. Shape (n,).
      group_tokens: Uniform on [0, 2^32), independent of the coin: decides which group a row is mixed in; zeros where
        rows are not mixed. Shape (n,).
      label_scores: Score of a numeric label on its codec's grid; zeros where the label is a class. Shape (n,).
    """

    packed: Int16Array
    classes: Int64Array
    coins: Uint32Array
    group_tokens: Uint32Array
    label_scores: Int64Array

    def __len__(self) -> int:
        return len(self.classes)

    def where(self, chosen: BoolArray) -> PackedRows:
        """The rows of a mask of shape (n,)."""
        return PackedRows(
            self.packed.T[:, chosen].T,
            self.classes[chosen],
            self.coins[chosen],
            self.group_tokens[chosen],
            self.label_scores[chosen],
        )

    def sampled(self, rate: float) -> PackedRows:
        """The rows of units whose coin says so: each with a probability of `rate`, rounded down to a multiple of 2^-32.

        A sample at a lower rate is part of one at a higher rate.
        """
        return self if rate >= 1.0 else self.where(self.coins.astype(np.uint64) < np.uint64(rate * COINS))


def joined(parts: Iterable[PackedRows], width: int) -> PackedRows:
    """Puts rows together, in order; none of them gives an empty table of this width."""
    kept = list(parts)
    return PackedRows(
        np.concatenate([np.zeros((0, width), np.int16), *[part.packed for part in kept]]),
        np.concatenate([np.zeros(0, np.int64), *[part.classes for part in kept]]),
        np.concatenate([np.zeros(0, np.uint32), *[part.coins for part in kept]]),
        np.concatenate([np.zeros(0, np.uint32), *[part.group_tokens for part in kept]]),
        np.concatenate([np.zeros(0, np.int64), *[part.label_scores for part in kept]]),
    )


def blocks_of(rows: PackedRows) -> pa.RecordBatch:
    """Writes rows as one batch of the staged table. PRIVATE."""
    n_rows, columns = len(rows), np.ascontiguousarray(rows.packed.T)
    others = np.stack([rows.classes.astype("<u4"), rows.coins, rows.group_tokens, rows.label_scores.astype("<u4")])
    code = ColumnCode.of(columns)
    coded, per_block = code.coded(columns), max(1, int(_BLOCK_BYTES / (code.row_bytes + _ROW_OVERHEAD)))
    codec, blocks, sizes = pa.Codec(_CODEC), [], []
    for start in range(0, n_rows, per_block):
        own = slice(start, start + per_block)
        cells = others[:, own].tobytes() + coded.block(own)
        header = len(cells).to_bytes(_LENGTH_BYTES, "little") + code.header
        blocks.append(header + codec.compress(cells, asbytes=True))
        sizes.append(min(per_block, n_rows - start))
    return pa.RecordBatch.from_arrays([pa.array(sizes, pa.int32()), pa.array(blocks, pa.binary())], [N_ROWS, BLOCK])


def unpacked(batches: Iterable[pa.RecordBatch], width: int) -> Iterator[PackedRows]:
    """Reads batches of the staged table in steps of rows that stay in a core's caches. PRIVATE.

    Args:
      batches: With the columns of SCHEMA.
      width: Coordinates of a packed vector.
    """
    step_rows = min(max(1, _STEP_COORDINATES // max(width, 1)), _STEP_ROWS)
    for batch in batches:
        sizes = batch.column(N_ROWS).to_numpy()
        steps = (np.cumsum(sizes) - 1) // step_rows
        for step in np.unique(steps):
            own = np.flatnonzero(steps == step)
            yield _read(batch.column(BLOCK), own, sizes[own], width)


def _read(blocks: pa.Array, places: Int64Array, sizes: NDArray[np.int32], width: int) -> PackedRows:
    """Reads the blocks at some places. PRIVATE."""
    n_rows = int(sizes.sum())
    others = np.empty((4, n_rows), dtype="<u4")
    # columns that lie a multiple of 4 KB apart would share the lines of a cache
    columns = np.empty((width, n_rows + _CACHE_LINE), dtype="<i2")[:, :n_rows]
    codec, end = pa.Codec(_CODEC), 0
    for place, size in zip(places.tolist(), sizes.tolist(), strict=True):
        start, end = end, end + size
        block = blocks[place].as_buffer()
        header = np.frombuffer(block, HEADER, 1, _LENGTH_BYTES)[0]
        n_bytes = int.from_bytes(block[:_LENGTH_BYTES], "little")
        cells = codec.decompress(block[_LENGTH_BYTES + header.nbytes :], n_bytes)
        others[:, start:end] = np.frombuffer(cells, "<u4", 4 * size).reshape(4, size)
        read_columns(cells, _ROW_OVERHEAD * size, header, columns[:, start:end])
    label_scores = others[3].view("<i4").astype(np.int64)
    return PackedRows(columns.T, others[0].astype(np.int64), others[1], others[2], label_scores)


def column_name(position: int) -> str:
    """The name under which the domain's column at this position travels, free of dots, blanks and quotes."""
    return f"c{position}"
