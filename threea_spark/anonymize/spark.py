"""Moves arrays for Anonymize: draws rows on executors, or sums the groups that are mixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.anonymize.blocks import BlockDraw, arrow_rows
from threea_spark.anonymize.mix import Mixer
from threea_spark.anonymize.ranges import RANGE, ROUTED, GroupRanges
from threea_spark.encode.encoding import Encoding
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.noise import NoiseSource
from threea_spark.staged import unpacked
from threea_spark.task import as_task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

IntArray = NDArray[np.int64]

_MAX_TASKS = 2048
_WANTED_TASKS = 32
_FEWEST_BLOCKS, _MOST_BLOCKS = 8, 64  # of a task and its file: starting a task costs about what two blocks do


def ddl_of(types: Mapping[str, str]) -> str:
    """Spark's DDL of columns, their names quoted."""
    return ", ".join("`" + name.replace("`", "``") + "` " + simple for name, simple in types.items())


def sampled_rows(spark: SparkSession, drawn: BlockDraw) -> DataFrame:
    """Draws rows in parallel, in blocks that are the same whatever the number of tasks. RELEASED.

    Args:
      spark: A session.
      drawn: Which rows.
    """

    def draw(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from map(drawn.block, batch.column(0).to_pylist())

    blocks = spark.range(0, drawn.n_blocks, 1, n_draw_tasks(drawn.n_blocks))
    return blocks.mapInArrow(as_task(draw), ddl_of(drawn.types))


def n_draw_tasks(n_blocks: int) -> int:
    """How many tasks draw so many blocks, each a file: enough for many cores, and none too small to be worth it."""
    per_task = min(max(n_blocks // _WANTED_TASKS, _FEWEST_BLOCKS), _MOST_BLOCKS)
    return min(max(1, -(-n_blocks // per_task)), _MAX_TASKS)


def mixed_rows(
    staged: DataFrame,
    mixer: Mixer,
    encoding: Encoding,
    label: str | None,
    types: Mapping[str, str],
    mechanism: NoisySum,
    noise: NoiseSource,
    seed: int,
) -> DataFrame:
    """Averages the rows of each group and adds its noise. RELEASED once written.

    Rows travel in blocks to the task that holds their range of groups. Every group is released, also an empty one, and
    a retried task adds the same noise.

    Args:
      staged: PRIVATE.
      mixer: Groups and centres.
      encoding, label, types: Of the table.
      mechanism: The booked noise of all groups.
      noise: The release's source of noise.
      seed: Public; draws the values inside cells.
    """
    width, ranges = encoding.width, GroupRanges.of(mixer)

    def route(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in unpacked(batches, width):
            yield from ranges.routed(rows, mixer.groups(rows, encoding.scores(rows.packed)))

    def announce(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield ranges.announced(batch.column(0).to_numpy())

    def release(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for groups, sums in ranges.summed(batches, mixer, width):
            noisy = np.stack([mechanism.noised(own, noise, (int(g),)) for g, own in zip(groups, sums, strict=True)])
            yield arrow_rows(mixer.decode(encoding, label, groups, noisy, seed), types)

    every = staged.sparkSession.range(0, ranges.n_ranges, 1, 1).mapInArrow(as_task(announce), ROUTED)
    routed = staged.mapInArrow(as_task(route), ROUTED).unionAll(every)
    by_range = routed.repartition(min(ranges.n_ranges, _MAX_TASKS), RANGE).sortWithinPartitions(RANGE)
    return by_range.mapInArrow(as_task(release), ddl_of(types))
