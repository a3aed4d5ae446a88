"""Brings the rows of a group together: blocks of rows are routed to ranges of groups, and summed range by range.

A task holds the sums of one range at a time, so memory is bounded whatever the number of groups and of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Int64Array
from threea_spark.engine.packed import BLOCK, N_ROWS, SCHEMA, PackedRows, blocks_of, unpacked
from threea_spark.privacy.query import GroupQuery

RANGE = "groups"
ROUTED = f"{RANGE} bigint, {SCHEMA}"
_MIN_GROUPS = 1 << 12  # a block that is routed then holds many rows, and not one
_MAX_RANGES = 256
_MAX_SUMS = 1 << 23  # int64 held by a task: 64 MiB


@dataclass(frozen=True)
class GroupRanges:
    """Groups cut into ranges of equal length. RELEASED.

    Attributes:
      n_groups: Groups in all.
      length: Groups of a range, but for the last.
    """

    n_groups: int
    length: int

    @classmethod
    def of(cls, n_groups: int, length: int) -> GroupRanges:
        """Cuts so many groups, whose sums have so many coordinates."""
        wanted = max(_MIN_GROUPS, -(-n_groups // _MAX_RANGES))
        return cls(n_groups, max(1, min(wanted, _MAX_SUMS // length)))

    @property
    def n_ranges(self) -> int:
        """How many ranges there are."""
        return -(-self.n_groups // self.length)

    def routed(self, rows: PackedRows, groups: Int64Array) -> Iterator[pa.RecordBatch]:
        """Cuts rows into blocks of one range each; a row's place within its range takes the place of its token."""
        ranges = groups // self.length
        for index in np.unique(ranges):
            own = rows.where(ranges == index)
            place = (groups[ranges == index] - index * self.length).astype(np.uint32)
            yield _in_range(int(index), blocks_of(replace(own, group_tokens=place)))

    def announced(self, ranges: Int64Array) -> pa.RecordBatch:
        """Names ranges without a row, so that groups that no row falls into are released as well."""
        empty = [pa.array(ranges, pa.int64()), pa.array([0] * len(ranges), pa.int32())]
        return pa.RecordBatch.from_arrays([*empty, pa.array([b""] * len(ranges), pa.binary())], [RANGE, N_ROWS, BLOCK])

    def summed(
        self, batches: Iterable[pa.RecordBatch], query: GroupQuery[PackedRows], width: int
    ) -> Iterator[tuple[Int64Array, Int64Array]]:
        """Sums ranges that arrive in order.

        Args:
          batches: With the columns of ROUTED, sorted by range. PRIVATE.
          query: How groups are summed.
          width: Coordinates of a packed vector.

        Returns:
          For each range its groups, shape (g,), and exact sums, shape (g, length). PRIVATE.
        """
        current, sums = -1, np.zeros((0, query.length), dtype=np.int64)
        for index, batch in _by_range(batches):
            first = index * self.length
            n_groups = min(self.length, self.n_groups - first)
            if index != current:
                if current >= 0:
                    yield self._groups(current, len(sums)), sums
                current, sums = index, np.zeros((n_groups, query.length), dtype=np.int64)
            for rows in unpacked([batch], width):
                sums += query.sums_of(rows, first + rows.group_tokens.astype(np.int64), first, n_groups)
        if current >= 0:
            yield self._groups(current, len(sums)), sums

    def _groups(self, index: int, n_groups: int) -> Int64Array:
        return index * self.length + np.arange(n_groups, dtype=np.int64)


def _in_range(index: int, blocks: pa.RecordBatch) -> pa.RecordBatch:
    ranges = pa.array(np.full(blocks.num_rows, index, dtype=np.int64))
    return pa.RecordBatch.from_arrays([ranges, *blocks.columns], [RANGE, *blocks.schema.names])


def _by_range(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Cuts sorted batches where the range changes; rows that only name a range come as an empty batch."""
    for batch in batches:
        ranges = batch.column(RANGE).to_numpy()
        starts = [0, *(np.flatnonzero(np.diff(ranges)) + 1).tolist(), len(ranges)]
        for start, stop in pairwise(starts):
            own = batch.slice(start, stop - start)
            held = own.filter(pa.array(own.column(N_ROWS).to_numpy() > 0))
            if stop > start:
                yield int(ranges[start]), held
