"""The released rows of `mix` and `random`: each is the noisy average of one group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from threea_spark.anonymize.groups import RANGE, ROUTED, GroupRanges
from threea_spark.anonymize.mix import Mixer
from threea_spark.encode.codec import Encoding
from threea_spark.engine.packed import PackedRows, unpacked
from threea_spark.engine.rows import Exchange
from threea_spark.model.blocks import arrow_rows
from threea_spark.model.row_keys import RowKeys
from threea_spark.privacy.mechanism import NoisyGroups

_NO_KEYS = RowKeys()


def mixing(
    mixer: Mixer,
    granted: NoisyGroups[PackedRows],
    encoding: Encoding,
    label: str | None,
    types: Mapping[str, str],
    seed: int,
    keys: RowKeys = _NO_KEYS,
) -> Exchange:
    """Averages the rows of each group and adds its noise. What it releases is RELEASED once written.

    Rows travel in blocks to the task that holds their range of groups. Every group is released, also an empty one, and
    a task that is tried again adds the same noise.

    Args:
      mixer: Groups and centres.
      granted: The sums of the groups, with their booked noise.
      encoding, label, types: The table's codes, label and Spark types.
      seed: Public; draws the values inside cells.
      keys: Columns that number rows.
    """
    width, query = encoding.width, granted.query
    ranges = GroupRanges.of(query.n_groups, query.length)

    def route(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in unpacked(batches, width):
            yield from ranges.routed(rows, query.groups_of(rows))

    def announce(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield ranges.announced(batch.column(0).to_numpy())

    def release(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for groups, sums in ranges.summed(batches, query, width):
            rows = mixer.decode(encoding, label, groups, granted.noised(groups, sums), seed)
            yield arrow_rows(encoding.restored(rows, types), types, keys, groups)

    return Exchange(route, announce, release, ranges.n_ranges, RANGE, ROUTED, dict(types))
