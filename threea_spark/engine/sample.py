"""Brings one Poisson sample of packed rows to the driver, of as many rows as its rate lets through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from threea_spark.engine.packed import SCHEMA, PackedRows, blocks_of, joined, unpacked
from threea_spark.engine.task import as_task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def poisson_sample(staged: DataFrame, width: int, rate: float) -> PackedRows:
    """Collects the units whose own secret coin falls below `rate`: an independent coin for each unit.

    Args:
      staged: PRIVATE.
      width: Coordinates of a packed vector.
      rate: Probability of each unit, chosen so that about max_rows rows come.

    Returns:
      The sample. PRIVATE.
    """

    def sampled(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in unpacked(batches, width):
            yield blocks_of(rows.sampled(rate))

    chosen = staged if rate >= 1.0 else staged.mapInArrow(as_task(sampled), SCHEMA)
    table: pa.Table = chosen.toArrow()  # bounded: the rate was set from max_rows
    return joined(unpacked(table.to_batches(), width), width)
