"""The secret order in which the rows of a unit are kept: a keyed digest of everything that is read from a row.

Two rows with the same digest have the same cells (or BLAKE2b is broken), so which rows of a unit are read depends only
on the rows and the key: not on their order, files or partitions, nor on other units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Uint8Array

DIGEST_BYTES = 32
_ABSENT, _PRESENT = 0, 1


def row_digests(cells: Sequence[pa.Array], key: bytes) -> pa.Array:
    """Digests every row of a batch, by the bytes of its cells and by which of them are null.

    A null is encoded differently from every value, so rows that differ only in a null have different digests. Times are
    digested as microseconds since 1970, whatever the session's time zone.

    Args:
      cells: One array for each column that is read, all of length n, at least one. PRIVATE.
      key: The release's secret key.

    Returns:
      Fixed-size binary of DIGEST_BYTES, shape (n,), without nulls. PRIVATE.
    """
    rows: Uint8Array = np.hstack([part for column in cells for part in (_presence(column), _cell_bytes(column, key))])
    size, held = rows.shape[1], memoryview(rows.tobytes())
    digests = b"".join(
        hashlib.blake2b(held[start : start + size], digest_size=DIGEST_BYTES, key=key, person=b"row").digest()
        for start in range(0, rows.size, size)
    )
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(DIGEST_BYTES), len(rows), [None, pa.py_buffer(digests)])


def _presence(column: pa.Array) -> Uint8Array:
    """Encodes whether each cell is present, shape (n, 1)."""
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    return np.where(valid, _PRESENT, _ABSENT).astype(np.uint8)[:, None]


def _cell_bytes(column: pa.Array, key: bytes) -> Uint8Array:
    """Encodes cells at a fixed width, zeros for null: numbers as they are, text by its digest, shape (n, width)."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _text_digests(column.cast(pa.binary()), key)
    if pa.types.is_decimal(column.type):
        return _text_digests(column.cast(pa.string()).cast(pa.binary()), key)
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    numbers = column if pa.types.is_floating(column.type) else column.cast(pa.int64())
    values = np.ascontiguousarray(numbers.fill_null(0).to_numpy(zero_copy_only=False))
    return values.view(np.uint8).reshape(len(values), values.itemsize)


def _text_digests(column: pa.Array, key: bytes) -> Uint8Array:
    encoded = column.dictionary_encode()
    digests = [
        hashlib.blake2b(value, digest_size=DIGEST_BYTES, key=key, person=b"cell").digest()
        for value in encoded.dictionary.to_pylist()
    ]
    table = np.frombuffer(b"".join([*digests, bytes(DIGEST_BYTES)]), dtype=np.uint8).reshape(-1, DIGEST_BYTES)
    return np.asarray(table[encoded.indices.fill_null(len(digests)).to_numpy(zero_copy_only=False)])
