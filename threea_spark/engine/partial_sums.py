"""What each task hands over of the sums of a pass: one array in int64, cut into chunks.

The driver adds the chunks of few tasks; Spark SQL those of many, in a shuffle, which takes longer than some passes.
Order and number of partitions change nothing. An overflow is an error and not a wrap (in Spark SQL in ANSI mode; 10^12
rows, the most that are taken, do not come near it by default settings).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import Int64Array
from threea_spark.privacy.query import R, SumQuery

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

CHUNK = "chunk"  # int: place of a chunk of the sums
SUMS = "sums"  # array<bigint>: the chunk
SUMS_SCHEMA = f"{CHUNK} int, {SUMS} array<bigint>"
_CHUNK_LENGTH = 1 << 12  # so that the arrays of ten thousand tasks still fit the task that adds them up
_MAX_FILE_TASKS = 16  # that share a staged file: Spark cuts none of less than 4 MB from its at most 64
_DRIVER_BYTES = 1 << 25  # of all tasks' arrays


@dataclass(frozen=True)
class PartialSums(Generic[R]):
    """The sums of several queries as one array, cut into chunks.

    Attributes:
      queries: What is summed, in order.
    """

    queries: tuple[SumQuery[R], ...]

    @cached_property
    def _ends(self) -> list[int]:
        ends: list[int] = np.cumsum([query.size for query in self.queries]).tolist()
        return ends

    @property
    def _length(self) -> int:
        return min(self._ends[-1], _CHUNK_LENGTH)

    @property
    def _n_chunks(self) -> int:
        return -(-self._ends[-1] // self._length)

    def zeros(self) -> Int64Array:
        """An array for the sums of one task, padded to whole chunks."""
        return np.zeros(self._n_chunks * self._length, dtype=np.int64)

    def add(self, sums: Int64Array, rows: R) -> None:
        """Adds the contributions of a batch of rows in place. PRIVATE."""
        start = 0
        for query, end in zip(self.queries, self._ends, strict=True):
            sums[start:end] += query.contribution(rows)
            start = end

    def chunks(self, sums: Int64Array) -> pa.RecordBatch:
        """The chunks as rows of SUMS_SCHEMA. PRIVATE."""
        lists = pa.FixedSizeListArray.from_arrays(pa.array(sums), self._length).cast(pa.list_(pa.int64()))
        places = pa.array(range(self._n_chunks), pa.int32())
        return pa.RecordBatch.from_arrays([places, lists], [CHUNK, SUMS])

    def total(self, chunks: DataFrame, max_tasks: int | None = None) -> list[Int64Array]:
        """Adds up the chunks of all tasks, and returns the sum of each query. PRIVATE.

        Args:
          chunks: Rows of SUMS_SCHEMA.
          max_tasks: About the most tasks that they are of; None if that is not known.
        """
        if max_tasks is None or max_tasks * self.zeros().nbytes > _DRIVER_BYTES:
            chunks = chunks.groupBy(CHUNK).agg(summed_arrays(SUMS, self._length))
        table = chunks.toArrow()  # bounded: by `_DRIVER_BYTES`, or as many numbers as the queries ask for
        arrays = table[SUMS].combine_chunks().flatten().to_numpy().reshape(-1, self._length)
        total = added_chunks(table[CHUNK].to_numpy(), arrays, self._n_chunks)
        return np.split(total[: self._ends[-1]], self._ends[:-1])


def most_tasks(frame: DataFrame) -> int | None:
    """About the most tasks of a pass over a staged table; None if that cannot be known."""
    try:
        return _MAX_FILE_TASKS * len(frame.inputFiles())
    except Exception:  # a service that hides the files of its tables, which each reports in its own way
        return None


def added_chunks(chunks: NDArray[np.integer], arrays: Int64Array, n_chunks: int) -> Int64Array:
    """Adds up arrays by chunk; an overflow is an error. PRIVATE.

    Args:
      chunks: Of which chunk each array is, shape (n,).
      arrays: Shape (n, length).
      n_chunks: How many chunks there are.

    Raises:
      OverflowError: if a sum does not fit int64.
    """
    high, low = np.zeros((2, n_chunks, arrays.shape[1]), dtype=np.int64)  # halves: sums of 2^31 of them fit
    np.add.at(high, chunks, arrays >> 32)
    np.add.at(low, chunks, arrays & 0xFFFF_FFFF)
    high += low >> 32
    if high.min(initial=0) < -(2**31) or high.max(initial=0) >= 2**31:
        raise OverflowError("overflow: a sum over all rows does not fit int64")
    return ((high << 32) | (low & 0xFFFF_FFFF)).ravel()


def summed_arrays(column: str, length: int) -> Column:
    """Adds up arrays of equal length within a group; an overflow is an error in ANSI mode, Spark's default.

    Not by `try_add`: its null becomes zero within an accumulator that holds no nulls.

    The list occurs once in the expression: two collect_list may come in two orders.
    """
    from pyspark.sql import functions as F

    zeros = F.array_repeat(F.lit(0).cast("bigint"), length)
    added = F.aggregate(F.collect_list(column), zeros, lambda left, right: F.zip_with(left, right, lambda a, b: a + b))
    return added.alias(column)
