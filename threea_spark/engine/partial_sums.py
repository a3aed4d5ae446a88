"""What each task hands over of the sums of a pass: one array in int64, cut into chunks that Spark SQL adds up.

Order and number of partitions change nothing. An overflow is an error and not a wrap (in ANSI mode; 10^12 rows, the
most that are taken, do not come near it by default settings).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Int64Array
from threea_spark.privacy.query import R, SumQuery

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

CHUNK = "chunk"  # int: place of a chunk of the sums
SUMS = "sums"  # array<bigint>: the chunk
SUMS_SCHEMA = f"{CHUNK} int, {SUMS} array<bigint>"
_CHUNK_LENGTH = 1 << 12  # so that the arrays of ten thousand tasks still fit the task that adds them up


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

    def total(self, chunks: DataFrame) -> list[Int64Array]:
        """Adds up the chunks of all tasks, and returns the sum of each query. PRIVATE."""
        total = self.zeros()
        for row in chunks.groupBy(CHUNK).agg(summed_arrays(SUMS, self._length)).collect():
            total[row[CHUNK] * self._length :][: self._length] = row[SUMS]  # bounded by the queries' sizes
        return np.split(total[: self._ends[-1]], self._ends[:-1])


def summed_arrays(column: str, length: int) -> Column:
    """Adds up arrays of equal length within a group; an overflow is an error in ANSI mode, Spark's default.

    Not by `try_add`: its null becomes zero within an accumulator that holds no nulls.

    The list occurs once in the expression: two collect_list may come in two orders.
    """
    from pyspark.sql import functions as F

    zeros = F.array_repeat(F.lit(0).cast("bigint"), length)
    added = F.aggregate(F.collect_list(column), zeros, lambda left, right: F.zip_with(left, right, lambda a, b: a + b))
    return added.alias(column)
