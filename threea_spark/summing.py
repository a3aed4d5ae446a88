"""Sums integer arrays over a table: the one way in which Spark reads private rows for a noisy sum.

Each task adds its batches up in numpy and hands over one array, cut into chunks; Spark SQL adds the chunks of all
tasks in int64, where an overflow is an error and not a wrap. Order and number of partitions change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Int64Array = NDArray[np.int64]
Contribution = Callable[[pa.RecordBatch], Int64Array]

_CHUNK = 1 << 15
_SCHEMA = "chunk int, sums array<bigint>"


def exact_sums(rows: DataFrame, contribution: Contribution, size: int) -> Int64Array:
    """Adds up `contribution` over all batches of a table.

    Args:
      rows: PRIVATE.
      contribution: Gives the exact sum over one batch, int64, shape (size,). Runs on executors.
      size: Length of the sum.

    Returns:
      Shape (size,). PRIVATE; bounded by `size`, whatever the number of rows.
    """
    length = min(size, _CHUNK)
    n_chunks = -(-size // length)

    def partial(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums = np.zeros(n_chunks * length, dtype=np.int64)
        for batch in batches:
            sums[:size] += contribution(batch)
        chunks = pa.array(list(sums.reshape(n_chunks, length)), pa.list_(pa.int64()))
        yield pa.RecordBatch.from_arrays([pa.array(range(n_chunks), pa.int32()), chunks], ["chunk", "sums"])

    total = np.zeros(n_chunks * length, dtype=np.int64)
    for row in rows.mapInArrow(partial, _SCHEMA).groupBy("chunk").agg(summed_arrays("sums", length)).collect():
        total[row["chunk"] * length :][:length] = row["sums"]  # bounded: `size` numbers
    return total[:size]


def summed_arrays(column: str, length: int) -> Column:
    """Adds up arrays of equal length within a group; an overflow is an error.

    The list stands once in the expression: two collect_list may come in two orders.
    """
    from pyspark.sql import functions as F

    zeros = F.array_repeat(F.lit(0).cast("bigint"), length)
    added = F.aggregate(F.collect_list(column), zeros, lambda left, right: F.zip_with(left, right, lambda a, b: a + b))
    return added.alias(column)
