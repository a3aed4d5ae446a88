"""Moves arrays for Anonymize: draws rows on executors, or sums the groups that are mixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from threea_spark.anonymize.groups import RANGE, ROUTED, GroupRanges
from threea_spark.anonymize.mix import Mixer
from threea_spark.encode.codec import Encoding
from threea_spark.engine.packed import unpacked
from threea_spark.engine.task import as_task
from threea_spark.model.blocks import arrow_rows
from threea_spark.model.draw import _MAX_TASKS, ddl_of
from threea_spark.privacy.meter import NoisySum
from threea_spark.privacy.noise import NoiseSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


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
