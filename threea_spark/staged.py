"""The staged format: packed vectors in one binary column, read as a matrix without a copy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.columns import CLASS, UNIT, VECTOR

Int64Array = NDArray[np.int64]


def unpack(batch: pa.RecordBatch, width: int) -> tuple[NDArray[np.int16], Int64Array, Int64Array]:
    """Reads staged rows without a copy of the vectors: (n, width) int16, classes (n,), unit tokens (n,). PRIVATE."""
    vectors = vectors_of(batch.column(VECTOR), width)
    classes = batch.column(CLASS).to_numpy(zero_copy_only=False).astype(np.int64)
    return vectors, classes, batch.column(UNIT).to_numpy(zero_copy_only=False).astype(np.int64)


def vectors_of(column: pa.Array, width: int) -> NDArray[np.int16]:
    """Views a binary column of packed vectors as one matrix, shape (n, width)."""
    if width == 0:
        return np.zeros((len(column), 0), dtype=np.int16)
    data = np.frombuffer(column.buffers()[2], dtype="<i2")
    start = column.offset * width
    return data[start : start + len(column) * width].reshape(len(column), width)


def packed_column(vectors: NDArray[np.int16]) -> pa.Array:
    """Writes a matrix of int16, shape (n, width), as a binary column. PRIVATE."""
    n_rows, width = vectors.shape
    offsets = np.arange(n_rows + 1, dtype=np.int32) * (2 * width)
    data = pa.py_buffer(np.ascontiguousarray(vectors, dtype="<i2").tobytes())
    return pa.Array.from_buffers(pa.binary(), n_rows, [None, pa.py_buffer(offsets.tobytes()), data])
