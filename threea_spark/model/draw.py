"""Draws released rows on executors, in blocks that are the same whatever the number of tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from threea_spark.engine.task import as_task
from threea_spark.engine.types import ddl_of
from threea_spark.model.blocks import BLOCK_ROWS, BlockDraw

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


_MAX_TASKS = 2048

_WANTED_TASKS = 32

_BATCH_BYTES = 1 << 22

_FEW_VALUES = 1 << 22  # fewer are not worth a task and its file: starting a task costs about what two blocks do

_MAX_BLOCKS = 64  # of a task


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

    blocks = spark.range(0, drawn.n_blocks, 1, n_draw_tasks(drawn.n_blocks, len(drawn.types)))
    return blocks.mapInArrow(as_task(draw), ddl_of(drawn.types))


def in_small_batches(block: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cuts a block for the JVM, which reads columns row by row, into batches that a cache holds.

    Rows are an odd multiple of 8: columns then lie an odd number of cache lines apart, and do not share a set.
    """
    n_batches = 2 + block.nbytes // _BATCH_BYTES
    n_rows = 8 * (-(-block.num_rows // (8 * n_batches)) | 1)
    return (block.slice(start, n_rows) for start in range(0, block.num_rows, n_rows))


def n_draw_tasks(n_blocks: int, n_columns: int) -> int:
    """How many tasks draw so many blocks, each a file: enough for many cores, and none too small to be worth it."""
    few = min(max(_FEW_VALUES // (BLOCK_ROWS * n_columns), 2), 16)
    per_task = min(max(n_blocks // _WANTED_TASKS, few), _MAX_BLOCKS)
    return min(max(1, -(-n_blocks // per_task)), _MAX_TASKS)
