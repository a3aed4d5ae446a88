"""Draws released rows on executors, in blocks that are the same whatever the number of tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from threea_spark.engine.task import as_task
from threea_spark.engine.types import ddl_of
from threea_spark.model.blocks import BlockDraw

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


_MAX_TASKS = 2048

_WANTED_TASKS = 32

_BATCH_BYTES = 1 << 20
_ALIGNED_ROWS = 64  # validity bits of a slice then begin with a word, and are not copied

_MIN_BLOCKS, _MAX_BLOCKS = 8, 64  # of a task and its file: starting a task costs about what two blocks do


def sampled_rows(spark: SparkSession, drawn: BlockDraw) -> DataFrame:
    """Draws rows in parallel, in blocks that are the same whatever the number of tasks. RELEASED.

    Args:
      spark: A session.
      drawn: Which rows.
    """

    def draw(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from in_small_batches(drawn.block(number))

    blocks = spark.range(0, drawn.n_blocks, 1, n_draw_tasks(drawn.n_blocks))
    return blocks.mapInArrow(as_task(draw), ddl_of(drawn.types))


def in_small_batches(block: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cuts a block so that the JVM, which reads columns row by row, finds them in a core's own cache."""
    row_bytes = max(block.nbytes // max(block.num_rows, 1), 1)
    n_rows = max(_BATCH_BYTES // row_bytes // _ALIGNED_ROWS, 1) * _ALIGNED_ROWS
    return (block.slice(start, n_rows) for start in range(0, block.num_rows, n_rows))


def n_draw_tasks(n_blocks: int) -> int:
    """How many tasks draw so many blocks, each a file: enough for many cores, and none too small to be worth it."""
    per_task = min(max(n_blocks // _WANTED_TASKS, _MIN_BLOCKS), _MAX_BLOCKS)
    return min(max(1, -(-n_blocks // per_task)), _MAX_TASKS)
