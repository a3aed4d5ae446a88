"""Rows in this process: Arrow batches in memory, read by the same functions that Spark's tasks run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from threea_spark.arrays import Int64Array
from threea_spark.engine.packed import UNIT, PackedRows, joined, unpacked
from threea_spark.engine.rows import Exchange, Passes, RowForm, passed_values, texts_of
from threea_spark.engine.task import ArrowTask
from threea_spark.engine.threads import one_thread
from threea_spark.privacy.query import R, SumQuery


@dataclass(frozen=True)
class LocalSource:
    """The source's rows in memory; see `SourceRows`.

    Attributes:
      batches: Canonical columns, at most `max_rows` rows of each unit. PRIVATE.
    """

    batches: tuple[pa.RecordBatch, ...]

    @property
    def has_tokens(self) -> bool:
        """Whether each row holds its unit's token."""
        return UNIT in self.batches[0].schema.names

    def sums(self, queries: Sequence[SumQuery[pa.RecordBatch]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, in one pass."""
        return _sums(self.batches, queries, lambda batches: batches)

    def passing_values(self, column: str, passes: Passes) -> list[tuple[str, int]]:
        """Returns the values that pass, with their noisy counts."""
        counts = _value_counts(self.batches, column)
        counted = pa.RecordBatch.from_arrays([counts.field("values"), counts.field("counts")], [column, "n"])
        return list(passed_values(iter([counted]), column, passes))

    def frequent_values(self, column: str, most: int, *, above: int) -> list[str]:
        """Returns the most frequent values, exactly."""
        counts = _value_counts(self.batches, column)
        counted = zip(texts_of(counts.field("values")), counts.field("counts").to_pylist(), strict=True)
        found = [(value, count) for value, count in counted if value is not None and count > above]
        return [value for value, _ in sorted(found, key=lambda item: (-item[1], item[0]))[:most]]

    def staged(self, pack: ArrowTask, width: int) -> LocalStaged:
        """Packs all rows once."""
        with one_thread():
            return LocalStaged(tuple(pack(iter(self.batches))), width)


@dataclass(frozen=True)
class LocalStaged:
    """Packed rows in memory; see `StagedRows`.

    Attributes:
      batches: Blocks of packed rows (engine/packed.py). PRIVATE.
      width: Coordinates of a packed vector.
    """

    batches: tuple[pa.RecordBatch, ...]
    width: int

    def sums(self, queries: Sequence[SumQuery[PackedRows]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, in one pass."""
        return _sums(self.batches, queries, lambda batches: unpacked(batches, self.width))

    def sample(self, rate: float) -> PackedRows:
        """Returns the sampled rows."""
        return joined((rows.sampled(rate) for rows in unpacked(self.batches, self.width)), self.width)

    @contextmanager
    def cached_as(self, form: RowForm[R]) -> Iterator[LocalCached[R]]:
        """Turns all rows into another form."""
        with one_thread():
            cached = LocalCached(tuple(form.write(rows) for rows in unpacked(self.batches, self.width)), form)
        yield cached

    def exchanged(self, exchange: Exchange) -> pa.Table:
        """Sorts blocks by part, and releases the parts."""
        named = pa.RecordBatch.from_arrays([pa.array(range(exchange.n_parts), pa.int64())], ["id"])
        routed = [*exchange.route(iter(self.batches)), *exchange.announce(iter([named]))]
        in_order = pa.Table.from_batches(routed).combine_chunks().sort_by(exchange.key)
        with one_thread():
            return pa.Table.from_batches(list(exchange.release(iter(in_order.to_batches()))))


@dataclass(frozen=True)
class LocalCached(Generic[R]):
    """Rows in another form, in memory.

    Attributes:
      batches: Blocks. PRIVATE.
      form: How they are read.
    """

    batches: tuple[pa.RecordBatch, ...]
    form: RowForm[R]

    def sums(self, queries: Sequence[SumQuery[R]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, in one pass."""
        return _sums(self.batches, queries, self.form.read)


def _sums(
    batches: Sequence[pa.RecordBatch],
    queries: Sequence[SumQuery[R]],
    read: Callable[[Iterator[pa.RecordBatch]], Iterable[R]],
) -> list[Int64Array]:
    """Adds up the contributions of all queries in int64, as a task on Spark does. PRIVATE."""
    totals = [np.zeros(query.size, dtype=np.int64) for query in queries]
    with one_thread():  # as in a task: sums are the same to the last bit
        for rows in read(iter(batches)):
            for total, query in zip(totals, queries, strict=True):
                total += query.contribution(rows)
    return totals


def _value_counts(batches: Sequence[pa.RecordBatch], column: str) -> pa.StructArray:
    """Counts the values of a column by their bytes, nulls apart. PRIVATE."""
    cells = pa.chunked_array([batch.column(column).cast(pa.binary()) for batch in batches], pa.binary())
    return pc.value_counts(cells.drop_null())
