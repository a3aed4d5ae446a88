"""Sums integer arrays over a table: the one way in which Spark reads private rows for a noisy sum.

Each task adds its batches up in numpy and hands over one array, cut into chunks; Spark SQL adds the chunks of all
tasks in int64, where an overflow is an error and not a wrap (in ANSI mode; 10^12 rows, the most that are taken, do not
come near it by default settings). Order and number of partitions change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Int64Array
from threea_spark.engine.packed import PackedRows, unpacked
from threea_spark.engine.task import as_task

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Contribution = Callable[[pa.RecordBatch], Int64Array]

_CHUNK = 1 << 12  # so that the arrays of ten thousand tasks still fit the task that adds them up
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
    return _added_up(rows, lambda batches: map(contribution, batches), size)


def staged_sums(
    staged: DataFrame, width: int, contribution: Callable[[PackedRows], Int64Array], size: int
) -> Int64Array:
    """Adds up `contribution` over all staged rows; as `exact_sums`, but it is handed packed rows.

    Args:
      staged: PRIVATE.
      width: Coordinates of a packed vector.
      contribution, size: As for `exact_sums`.
    """
    return _added_up(staged, lambda batches: map(contribution, unpacked(batches, width)), size)


def _added_up(
    rows: DataFrame, contributions: Callable[[Iterator[pa.RecordBatch]], Iterable[Int64Array]], size: int
) -> Int64Array:
    length = min(size, _CHUNK)
    n_chunks = -(-size // length)

    def partial(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums = np.zeros(n_chunks * length, dtype=np.int64)
        for part in contributions(batches):
            sums[:size] += part
        chunks = pa.FixedSizeListArray.from_arrays(pa.array(sums), length).cast(pa.list_(pa.int64()))
        yield pa.RecordBatch.from_arrays([pa.array(range(n_chunks), pa.int32()), chunks], ["chunk", "sums"])

    total = np.zeros(n_chunks * length, dtype=np.int64)
    for row in rows.mapInArrow(as_task(partial), _SCHEMA).groupBy("chunk").agg(summed_arrays("sums", length)).collect():
        total[row["chunk"] * length :][:length] = row["sums"]  # bounded: `size` numbers
    return total[:size]


def summed_arrays(column: str, length: int) -> Column:
    """Adds up arrays of equal length within a group; an overflow is an error in ANSI mode, Spark's default.

    Not by `try_add`: its null becomes zero within an accumulator that holds no nulls.

    The list stands once in the expression: two collect_list may come in two orders.
    """
    from pyspark.sql import functions as F

    zeros = F.array_repeat(F.lit(0).cast("bigint"), length)
    added = F.aggregate(F.collect_list(column), zeros, lambda left, right: F.zip_with(left, right, lambda a, b: a + b))
    return added.alias(column)
