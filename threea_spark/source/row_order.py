"""The secret order in which the rows of a unit are kept: a keyed digest of everything that is read of a row.

Two rows with one digest hold the same cells (or BLAKE2b is broken), so that nothing but a row and the key can decide
which rows of a unit are read: not their order, their files, their partitions, nor the other units.
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

    A null is marked apart from every value, so rows that hold the same values in other columns differ. Instants are
    digested as microseconds since 1970, whatever the zone of the session.

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
    """Whether each cell is there, shape (n, 1)."""
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    return np.where(valid, _PRESENT, _ABSENT).astype(np.uint8)[:, None]


def _cell_bytes(column: pa.Array, key: bytes) -> Uint8Array:
    """The cells at one width each, zeros for null: numbers as they are, text by its digest, shape (n, width)."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _text_digests(column.cast(pa.binary()), key)
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
