"""Rows of a small table for thousands of runs: the library's own passes on Arrow batches, without a JVM.

All functions that Spark would run on executors run here as they are. What is replaced is the transport alone: Spark's
`mapInArrow` by a loop, and the addition of the tasks' int64 arrays by numpy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark import ReleaseConfig, stages
from threea_spark.anonymize.mix import Mixer
from threea_spark.encode.encoding import Encoding
from threea_spark.engine import sums
from threea_spark.engine.packed import PackedRows, blocks_of, joined, unpacked
from threea_spark.planned import make_plan
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.source import rows as table

ArrowTask = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class LocalRows:
    """Batches that answer to the few calls the stages make of a DataFrame."""

    batches: tuple[pa.RecordBatch, ...]

    @property
    def columns(self) -> list[str]:
        """Column names."""
        return list(self.batches[0].schema.names)

    def mapInArrow(self, task: ArrowTask, schema: object) -> LocalRows:
        """Runs a task over all batches."""
        return LocalRows(tuple(task(iter(self.batches))))

    def groupBy(self, column: str) -> LocalRows:
        """Kept for `agg`."""
        return self

    def agg(self, column: object) -> LocalRows:
        """Kept for `collect`."""
        return self

    def collect(self) -> list[dict[str, Any]]:
        """Adds the arrays of each chunk up."""
        totals: dict[int, Any] = {}
        for batch in self.batches:
            for chunk, added in zip(batch.column("chunk").to_pylist(), batch.column("sums"), strict=True):
                part = added.values.to_numpy()
                totals[chunk] = totals[chunk] + part if chunk in totals else part.copy()
        return [{"chunk": chunk, "sums": sums} for chunk, sums in totals.items()]

    def toArrow(self) -> pa.Table:
        """All batches as one table."""
        return pa.Table.from_batches(self.batches) if self.batches else pa.table({})

    def packed(self, width: int) -> PackedRows:
        """Staged rows in numpy."""
        return joined(unpacked(self.batches, width), width)


@contextmanager
def without_spark(stage: Callable[[LocalRows], LocalRows]) -> Iterator[None]:
    """Lets `run_stages` run on local rows: `stage` stands for the write and the reading back of the staged table."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(table, "canonical", lambda rows, domain, unit: rows))
        patches.enter_context(patch.object(table, "bound_rows", lambda rows, unit, key: rows))
        patches.enter_context(patch.object(stages, "stage", lambda rows, name: stage(rows)))
        patches.enter_context(patch.object(sums, "summed_arrays", lambda column, length: None))
        yield


def local_rows(columns: dict[str, Any]) -> LocalRows:
    """Canonical columns c0, c1, ... as one batch."""
    names = [f"c{place}" for place in range(len(columns))]
    return LocalRows((pa.RecordBatch.from_arrays([pa.array(column) for column in columns.values()], names),))


def plan_of(config: ReleaseConfig) -> PrivacyPlan:
    """Calibrated once for all runs of a configuration: with a sample that takes seconds."""
    if config.digest not in _plans:
        _plans[config.digest] = make_plan(config)
    return _plans[config.digest]


_plans: dict[str, PrivacyPlan] = {}


def group_sums(mixer: Mixer, rows: PackedRows, encoding: Encoding) -> NDArray[np.int64]:
    """The exact sum of every group that is mixed, shape (n_groups, length)."""
    return mixer.sums(rows, mixer.groups(rows, encoding.scores(rows.packed)), 0, mixer.n_groups)


def staged_rows(packed: PackedRows, chosen: Any) -> LocalRows:
    """Packed rows of a mask as a staged table."""
    return LocalRows((blocks_of(packed.where(np.asarray(chosen))),))
