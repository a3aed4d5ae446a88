"""Rows on Spark: the passes of `mapInArrow` behind the sums, samples and counts that the meter asks for.

Each task adds its batches up in numpy and hands over one array (engine/partial_sums.py). Order and number of partitions
change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Generic

import pyarrow as pa

from threea_spark.arrays import Int64Array
from threea_spark.engine.batches import limited_in_rows
from threea_spark.engine.kept import (
    COLUMN,
    COUNT,
    COUNTS,
    KEPT_FILE_BLOCKS,
    KEPT_SCHEMA,
    VALUE,
    Keep,
    cells_in_blocks,
    coded_steps,
)
from threea_spark.engine.packed import BLOCK, SCHEMA, UNIT, PackedRows, blocks_of, joined, unpacked
from threea_spark.engine.partial_sums import CHUNK, SUMS_SCHEMA, PartialSums, most_tasks
from threea_spark.engine.rows import Exchange, Passes, RowForm, passed_values
from threea_spark.engine.staging import cached, kept_name, stage
from threea_spark.engine.task import ArrowTask, as_task
from threea_spark.engine.types import ddl_of
from threea_spark.privacy.query import R, SumQuery

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_MAX_TASKS = 2048


@dataclass
class SparkSource:
    """The source's rows on Spark; see `SourceRows`.

    Attributes:
      frame: Canonical columns, at most `max_rows` rows of each unit. PRIVATE.
      staging: Name of the private staging tables, which the caller drops; empty where nothing is staged.
      keeps: Whether the first reading keeps what it reads (engine/kept.py) for all others, until rows are packed.
      counted: Columns whose values may be asked for.
    """

    frame: DataFrame
    staging: str
    keeps: bool = False
    counted: tuple[str, ...] = ()
    _kept: DataFrame | None = field(default=None, init=False)

    @property
    def has_tokens(self) -> bool:
        """Whether each row holds its unit's token."""
        return UNIT in self.frame.columns

    def sums(self, queries: Sequence[SumQuery[pa.RecordBatch]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, in one pass."""
        if self.keeps and self._kept is None:
            summed = PartialSums(tuple(queries))
            return summed.total(self._keep(summed).where(f"{CHUNK} IS NOT NULL"))
        with self._batches:
            return _sums(self._rows, queries, self._reading)

    def passing_values(self, column: str, passes: Passes) -> list[tuple[str, int]]:
        """Returns the values that pass, with their noisy counts; what the driver collects has passed."""

        def select(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            passed = list(passed_values(batches, VALUE, passes))
            values, counts = [v for v, _ in passed], [n for _, n in passed]
            yield pa.RecordBatch.from_arrays([pa.array(values, pa.string()), pa.array(counts, pa.int64())], ["v", "n"])

        found = self._value_counts(column).mapInArrow(as_task(select), "v string, n bigint")
        return [(row["v"], row["n"]) for row in found.collect()]  # bounded: only values that passed the threshold

    def frequent_values(self, column: str, most: int, *, above: int) -> list[str]:
        """Returns the most frequent values, exactly."""
        from pyspark.sql import functions as F

        counted = self._value_counts(column).select(F.col(VALUE).cast("string").alias(VALUE), COUNT)
        top = counted.where(F.col(COUNT) > above).orderBy(F.desc(COUNT), VALUE).limit(most)
        return [str(row[VALUE]) for row in top.collect()]  # bounded: `most` values

    def staged(self, pack: ArrowTask, width: int) -> SparkStaged:
        """Writes packed rows once into the staging table; the kept rows are dropped then."""
        reading = self._reading

        def packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return pack(reading(batches))

        with self._batches:
            staged = stage(self._rows.mapInArrow(as_task(packed), SCHEMA), self.staging)
        if self._kept is not None:
            staged.sparkSession.sql(f"DROP TABLE IF EXISTS {kept_name(self.staging)}")
            self._kept = None
        return SparkStaged(staged, width, self.staging)

    def _keep(self, sums: PartialSums[pa.RecordBatch] | None) -> DataFrame:
        """Reads the source, the only time: keeps its rows, with their sums and the counts of values."""
        keep = as_task(Keep(sums, self.counted))
        with self._batches:
            kept = self.frame.mapInArrow(keep, KEPT_SCHEMA)
            self._kept = stage(kept, kept_name(self.staging), KEPT_FILE_BLOCKS)
        return self._kept

    @property
    def _rows(self) -> DataFrame:
        """The rows, in blocks if they were kept."""
        return self.frame if self._kept is None else self._kept.where(f"{BLOCK} IS NOT NULL").select(BLOCK)

    @property
    def _batches(self) -> AbstractContextManager[None]:
        """How `_rows` are cut into batches while a pass lasts."""
        return limited_in_rows(self.frame) if self._kept is None else nullcontext()

    @property
    def _reading(self) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
        """How batches of `_rows` become batches of canonical columns; sent with tasks."""
        if self._kept is None:
            return coded_steps
        doubles = frozenset(name for name, kind in self.frame.dtypes if kind == "double")
        return lambda batches: cells_in_blocks(batches, doubles)

    def _value_counts(self, column: str) -> DataFrame:
        """Counts the values of a column by their bytes, which no collation calls equal to others; nulls apart."""
        from pyspark.sql import functions as F

        if self.keeps and column in self.counted:
            kept = self._keep(None) if self._kept is None else self._kept
            counted = kept.where(F.col(COUNTS).isNotNull()).select(F.inline(COUNTS)).where(F.col(COLUMN) == column)
            return counted.groupBy(VALUE).agg(F.sum(COUNT).alias(COUNT))
        values = self.frame.where(F.col(column).isNotNull()).select(F.col(column).cast("binary").alias(VALUE))
        return values.groupBy(VALUE).agg(F.count(F.lit(1)).alias(COUNT))


@dataclass(frozen=True)
class SparkStaged:
    """Packed rows in a staging table; see `StagedRows`.

    Attributes:
      frame: The staging table (engine/packed.py). PRIVATE.
      width: Coordinates of a packed vector.
      name: Of that table: other forms of its rows are cached beside it.
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
        return most_tasks(self.frame)

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
    def cached_as(self, form: RowForm[R]) -> Iterator[SparkCached[R]]:
        """Caches the rows in another form: on executors, or in a private table of their own."""
        width = self.width

        def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return (form.write(rows) for rows in unpacked(batches, width))

        with cached(self.frame.mapInArrow(as_task(write), SCHEMA), f"{self.name}_{form.name}") as frame:
            yield SparkCached(frame, form, self._max_tasks)

    def exchanged(self, exchange: Exchange) -> DataFrame:
        """Routes blocks to the task that holds their part; a part without rows comes by name alone."""
        parts, key = exchange.n_parts, exchange.key
        named = self.frame.sparkSession.range(0, parts, 1, 1).mapInArrow(as_task(exchange.announce), exchange.routed)
        routed = self.frame.mapInArrow(as_task(exchange.route), exchange.routed).unionAll(named)
        sorted_parts = routed.repartition(min(parts, _MAX_TASKS), key).sortWithinPartitions(key)
        return sorted_parts.mapInArrow(as_task(exchange.release), ddl_of(exchange.types))


@dataclass(frozen=True)
class SparkCached(Generic[R]):
    """Rows in another form.

    Attributes:
      frame: Blocks. PRIVATE.
      form: How they are read.
      max_tasks: About the most tasks of a pass; None if that is not known.
    """

    frame: DataFrame
    form: RowForm[R]
    max_tasks: int | None

    def sums(self, queries: Sequence[SumQuery[R]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, in one pass."""
        return _sums(self.frame, queries, self.form.read, max_tasks=self.max_tasks)


def _sums(
    frame: DataFrame,
    queries: Sequence[SumQuery[R]],
    read: Callable[[Iterator[pa.RecordBatch]], Iterable[R]],
    max_tasks: int | None = None,
) -> list[Int64Array]:
    """Adds up the contributions of all queries over a table; bounded by the queries' sizes. PRIVATE."""
    summed = PartialSums(tuple(queries))

    def partial(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums = summed.zeros()
        for rows in read(batches):
            summed.add(sums, rows)
        yield summed.chunks(sums)

    return summed.total(frame.mapInArrow(as_task(partial), SUMS_SCHEMA), max_tasks)
