"""Private rows, on Spark (classic or Connect) or in this process: what the stages see of either is the same.

`SourceRows` are the source's rows in canonical columns, `StagedRows` the packed vectors that Encode made of them. Both
are read by the privacy meter alone: sums, samples and values of a column (`privacy.query`). The rows of a local table
take the same steps, in the same code, as those that a Spark task reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import pyarrow as pa

from threea_spark.arrays import Int64Array
from threea_spark.engine.packed import PackedRows
from threea_spark.engine.task import ArrowTask
from threea_spark.privacy.query import R, Summable, SumQuery

Passes = Callable[[str, int], "int | None"]


@dataclass(frozen=True)
class Exchange:
    """Three tasks that bring rows which belong together to one place, and release something for each place.

    Attributes:
      route: Cuts staged batches into blocks of one part each. PRIVATE.
      announce: Names parts, so that one without rows is released too.
      release: Takes the blocks, sorted by part, and returns released rows.
      n_parts: How many parts there are.
      key: Column of the part's number.
      routed: Spark's DDL of the blocks.
      types: Spark's simple type string of each released column, in order.
    """

    route: ArrowTask
    announce: ArrowTask
    release: ArrowTask
    n_parts: int
    key: str
    routed: str
    types: dict[str, str]


@dataclass(frozen=True)
class RowForm(Generic[R]):
    """Another form of packed rows, made once and read many times; what a row becomes is a function of that row alone.

    Attributes:
      name: Of the form; part of a table's name on Spark.
      write: Turns packed rows into a batch with the columns of SCHEMA (engine/packed.py); may leave rows out.
      read: Reads such batches.
    """

    name: str
    write: Callable[[PackedRows], pa.RecordBatch]
    read: Callable[[Iterator[pa.RecordBatch]], Iterator[R]]


class StagedRows(Protocol):
    """Packed rows, staged once and read many times. PRIVATE."""

    def sums(self, queries: Sequence[SumQuery[PackedRows]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, all in one pass. PRIVATE."""
        ...

    def sample(self, rate: float) -> PackedRows:
        """Brings the rows of units whose secret coin falls below `rate` to this process. PRIVATE."""
        ...

    def cached_as(self, form: RowForm[R]) -> AbstractContextManager[Summable[R]]:
        """Caches the rows in another form while the block runs. PRIVATE."""
        ...

    def exchanged(self, exchange: Exchange) -> Any:  # noqa: ANN401 - a Spark DataFrame, or an Arrow table
        """Brings rows together by part, and releases the parts: as a Spark DataFrame, or as an Arrow table."""
        ...


class SourceRows(Protocol):
    """Rows of the source in canonical columns, at most `max_rows` of each unit. PRIVATE."""

    @property
    def has_tokens(self) -> bool:
        """Whether each row holds the secret token of its unit; else each row is a unit."""
        ...

    def sums(self, queries: Sequence[SumQuery[pa.RecordBatch]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, all in one pass. PRIVATE."""
        ...

    def passing_values(self, column: str, passes: Passes) -> list[tuple[str, int]]:
        """Returns the values for which `passes(value, exact count)` returns a noisy count, with that count.

        On Spark the exact counts stay on executors: the driver sees what has passed.
        """
        ...

    def frequent_values(self, column: str, most: int, *, above: int) -> list[str]:
        """Returns the most frequent values among those of more than `above` rows, exactly. PRIVATE."""
        ...

    def staged(self, pack: ArrowTask, width: int) -> StagedRows:
        """Runs `pack` over all rows once, and keeps the packed rows to be read again and again."""
        ...


def texts_of(cells: pa.Array) -> list[str | None]:
    """The text of each cell; None where its bytes are not valid UTF-8, so that no name can be made of them. PRIVATE."""

    def text(cell: bytes) -> str | None:
        try:
            return cell.decode()
        except UnicodeDecodeError:
            return None

    return [text(cell) for cell in cells.cast(pa.binary()).to_pylist()]


def passed_values(batches: Iterator[pa.RecordBatch], column: str, passes: Passes) -> Iterator[tuple[str, int]]:
    """Applies `passes` to counted values, a batch of (column, n) at a time. RELEASED."""
    for batch in batches:
        for value, count in zip(texts_of(batch.column(column)), batch.column("n").to_pylist(), strict=True):
            if value is not None and (noisy := passes(value, count)) is not None:
                yield value, noisy
