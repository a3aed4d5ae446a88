"""Rows on Spark: the passes of `mapInArrow` behind the sums, samples and counts that the meter asks for.

Each task adds its batches up in numpy and hands over one array, cut into chunks. The driver adds those of few tasks;
Spark SQL those of many, in a shuffle, which takes longer than some passes. Either adds int64, where an overflow is an
error and not a wrap (in ANSI mode; 10^12 rows, the most that are taken, do not come near it by default settings). Order
and number of partitions change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import Int64Array
from threea_spark.engine.packed import SCHEMA, UNIT, PackedRows, blocks_of, joined, unpacked
from threea_spark.engine.rows import Exchange, Passes, RowForm, passed_values
from threea_spark.engine.staging import kept, stage
from threea_spark.engine.task import ArrowTask, as_task
from threea_spark.engine.types import ddl_of
from threea_spark.privacy.query import R, SumQuery

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_CHUNK = 1 << 12  # so that the arrays of ten thousand tasks still fit the task that adds them up
_SUMS = "chunk int, sums array<bigint>"
_MAX_TASKS = 2048
_MAX_FILE_TASKS = 16  # that share a staged file: Spark cuts none of less than 4 MB from its at most 64
_DRIVER_BYTES = 1 << 25  # of all tasks' arrays


@dataclass(frozen=True)
class SparkSource:
    """The source's rows on Spark; see `SourceRows`.

    Attributes:
      frame: Canonical columns, at most `max_rows` rows of each unit. PRIVATE.
      staging: Name of the private staging table, which the caller drops.
    """

    frame: DataFrame
    staging: str

    @property
    def has_tokens(self) -> bool:
        """Whether each row holds its unit's token."""
        return UNIT in self.frame.columns

    def sums(self, queries: Sequence[SumQuery[pa.RecordBatch]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, in one pass."""
        return _sums(self.frame, queries, lambda batches: batches)

    def passing_values(self, column: str, passes: Passes) -> list[tuple[str, int]]:
        """Returns the values that pass, with their noisy counts; what the driver collects has passed."""
        from pyspark.sql import functions as F

        value = F.col(column).cast("binary").alias(column)  # which no collation calls equal to another
        counted = self.frame.where(F.col(column).isNotNull()).groupBy(value).agg(F.count(F.lit(1)).alias("n"))

        def select(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            passed = list(passed_values(batches, column, passes))
            values, counts = [v for v, _ in passed], [n for _, n in passed]
            yield pa.RecordBatch.from_arrays([pa.array(values, pa.string()), pa.array(counts, pa.int64())], ["v", "n"])

        found = counted.mapInArrow(as_task(select), "v string, n bigint")
        return [(row["v"], row["n"]) for row in found.collect()]  # bounded: only values that passed the threshold

    def frequent_values(self, column: str, most: int, *, above: int) -> list[str]:
        """Returns the most frequent values, exactly."""
        from pyspark.sql import functions as F

        counted = self.frame.where(F.col(column).isNotNull()).groupBy(column).agg(F.count(F.lit(1)).alias("n"))
        top = counted.where(F.col("n") > above).orderBy(F.desc("n"), column).limit(most)
        return [str(row[column]) for row in top.collect()]  # bounded: `most` values

    def staged(self, pack: ArrowTask, width: int) -> SparkStaged:
        """Writes packed rows once into the staging table."""
        frame = stage(self.frame.mapInArrow(as_task(pack), SCHEMA), self.staging)
        return SparkStaged(frame, width, self.staging)


@dataclass(frozen=True)
class SparkStaged:
    """Packed rows in a staging table; see `StagedRows`.

    Attributes:
      frame: The staging table (engine/packed.py). PRIVATE.
      width: Coordinates of a packed vector.
      name: Of that table: other forms of its rows are kept beside it.
    """

    frame: DataFrame
    width: int
    name: str = ""

    def sums(self, queries: Sequence[SumQuery[PackedRows]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, in one pass."""
        width = self.width
        return _sums(self.frame, queries, lambda batches: unpacked(batches, width), max_tasks=self._max_tasks)

    @cached_property
    def _max_tasks(self) -> int | None:
        """About the most tasks of a pass; None if that cannot be known."""
        try:
            return _MAX_FILE_TASKS * len(self.frame.inputFiles())
        except Exception:  # a service that hides the files of its tables, which each reports in its own way
            return None

    def sample(self, rate: float) -> PackedRows:
        """Brings the sampled rows to the driver."""
        width = self.width

        def sampled(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for rows in unpacked(batches, width):
                yield blocks_of(rows.sampled(rate))

        chosen = self.frame if rate >= 1.0 else self.frame.mapInArrow(as_task(sampled), SCHEMA)
        table: pa.Table = chosen.toArrow()  # bounded: the rate was set from max_rows
        return joined(unpacked(table.to_batches(), width), width)

    @contextmanager
    def kept_as(self, form: RowForm[R]) -> Iterator[SparkKept[R]]:
        """Keeps the rows in another form: on executors, or in a private table of their own."""
        width = self.width

        def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return (form.write(rows) for rows in unpacked(batches, width))

        with kept(self.frame.mapInArrow(as_task(write), SCHEMA), f"{self.name}_{form.name}") as frame:
            yield SparkKept(frame, form)

    def exchanged(self, exchange: Exchange) -> DataFrame:
        """Routes blocks to the task that holds their part; a part without rows comes by name alone."""
        parts, key = exchange.n_parts, exchange.key
        named = self.frame.sparkSession.range(0, parts, 1, 1).mapInArrow(as_task(exchange.announce), exchange.routed)
        routed = self.frame.mapInArrow(as_task(exchange.route), exchange.routed).unionAll(named)
        sorted_parts = routed.repartition(min(parts, _MAX_TASKS), key).sortWithinPartitions(key)
        return sorted_parts.mapInArrow(as_task(exchange.release), ddl_of(exchange.types))


@dataclass(frozen=True)
class SparkKept(Generic[R]):
    """Rows in another form.

    Attributes:
      frame: Blocks. PRIVATE.
      form: How they are read.
    """

    frame: DataFrame
    form: RowForm[R]

    def sums(self, queries: Sequence[SumQuery[R]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, in one pass."""
        return _sums(self.frame, queries, self.form.read)


def _sums(
    frame: DataFrame,
    queries: Sequence[SumQuery[R]],
    read: Callable[[Iterator[pa.RecordBatch]], Iterable[R]],
    max_tasks: int | None = None,
) -> list[Int64Array]:
    """Adds up the contributions of all queries over a table, as one array; bounded by the queries' sizes. PRIVATE."""
    ends = np.cumsum([query.size for query in queries]).tolist()
    size = ends[-1]
    length = min(size, _CHUNK)
    n_chunks = -(-size // length)
    contributions = [query.contribution for query in queries]

    def partial(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums = np.zeros(n_chunks * length, dtype=np.int64)
        own = np.split(sums[:size], ends[:-1])  # views
        for rows in read(batches):
            for total, contribution in zip(own, contributions, strict=True):
                total += contribution(rows)
        chunks = pa.FixedSizeListArray.from_arrays(pa.array(sums), length).cast(pa.list_(pa.int64()))
        yield pa.RecordBatch.from_arrays([pa.array(range(n_chunks), pa.int32()), chunks], ["chunk", "sums"])

    parts, n_bytes = frame.mapInArrow(as_task(partial), _SUMS), 8 * n_chunks * length
    if max_tasks is None or max_tasks * n_bytes > _DRIVER_BYTES:
        parts = parts.groupBy("chunk").agg(summed_arrays("sums", length))
    table = parts.toArrow()  # bounded: by `_DRIVER_BYTES`, or as many numbers as the queries ask for
    arrays = table["sums"].combine_chunks().flatten().to_numpy().reshape(-1, length)
    total = added_chunks(table["chunk"].to_numpy(), arrays, n_chunks)
    return np.split(total[:size], ends[:-1])


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
