"""The noisy sum that tells in which steps a table's numbers and times are written.

A row counts once in each column: at the coarsest public step that its value follows, or as following none. So the
squared norm of what it adds is at most the number of columns. Null, zero, the bounds and declared atoms say nothing of
a step and are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.histogram import Field
from threea_spark.encode.packing import Reader
from threea_spark.encode.quantiles import QuantileField
from threea_spark.encode.steps import Step, public_steps
from threea_spark.encode.written import StepMixture, step_mixture
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage


@dataclass(frozen=True)
class GranularityLayout:
    """Where each column's counts lie in the noisy sum, column after column, its steps in order and none of them last.

    Attributes:
      fields: Of all features, as a reader lists them.
    """

    fields: tuple[Field, ...]

    @cached_property
    def places(self) -> tuple[int, ...]:
        """The fields that are counted: numbers on trees of two levels or more whose step is not declared."""
        return tuple(place for place, field in enumerate(self.fields) if steps_of(field))

    @property
    def bound(self) -> RowBound:
        """One for each column that is counted."""
        return RowBound.count(len(self.places))

    @cached_property
    def _sizes(self) -> list[int]:
        return [len(steps_of(self.fields[place])) + 1 for place in self.places]

    def query(self, reader: Reader) -> SumQuery[pa.RecordBatch]:
        """The counts of all columns, as one sum; there must be one."""
        fields = [_quantile_field(self.fields[place]) for place in self.places]

        def contribution(batch: pa.RecordBatch) -> Int64Array:
            columns = zip(fields, reader.values_of(batch, self.places), strict=True)
            return np.concatenate([_step_counts(field, np.asarray(own, np.float64)) for field, own in columns])

        return SumQuery(
            stage=Stage.ENCODE,
            name="granularity",
            bound=self.bound,
            size=sum(self._sizes),
            contribution=contribution,
        )

    def split(self, noisy: Float64Array) -> dict[int, Float64Array]:
        """The noisy counts of each field that was counted, by its place."""
        return dict(zip(self.places, np.split(noisy, np.cumsum(self._sizes)[:-1]), strict=True))


def steps_of(field: Field) -> tuple[Step, ...]:
    """The steps that a field is looked at for; none where they are declared, or values are few and counted each."""
    if not field.has_leaves or field.step is not None or field.grid.n_levels == 1:
        return ()
    return public_steps(field.kind, float(field.grid.high[-1] - field.grid.low[0]))


def mixture_of(
    field: QuantileField,
    counts: Float64Array,
    stddev: float,
    leaf_rows: Float64Array,
    known: Sequence[tuple[float, float]] = (),
) -> StepMixture | None:
    """Reads a field's counts.

    Args:
      field: As `steps_of` found steps for it.
      counts: Its noisy counts. RELEASED.
      stddev: Standard deviation of their noise, in rows.
      leaf_rows: Readings of its leaves, shape (n_leaves,). RELEASED.
      known: Spikes, values and their rows, which say nothing of the others.
    """
    steps, own = steps_of(field), counts.copy()
    for value, rows in known:
        holding = [place for place, step in enumerate(steps) if step.holds(np.array([value]))[0]]
        own[holding[0] if holding else -1] -= rows
    low, high = float(field.grid.low[0]), float(field.grid.high[-1])
    plain = np.unique(field.grid.index(np.clip(np.array(field.plain_values), low, high)))
    not_counted = np.maximum(leaf_rows[plain[field.grid.is_atom[plain]]], 0.0).sum() + sum(rows for _, rows in known)
    return step_mixture(steps, own, stddev, (low, high), max(float(leaf_rows.sum() - not_counted), 1.0))


def _step_counts(field: QuantileField, numbers: Float64Array) -> Int64Array:
    """Exact counts of one column in a batch, shape (n_steps + 1,). PRIVATE."""
    steps = steps_of(field)
    inside = (numbers > field.grid.low[0]) & (numbers < field.grid.high[-1])  # false for NaN
    left = numbers[inside & ~np.isin(numbers, field.plain_values)]
    follows_one = steps[-1].holds(left)  # the last step divides all others
    counts, total = np.zeros(len(steps) + 1, dtype=np.int64), len(left)
    left = left[follows_one]
    counts[-1] = total - len(left)
    for place, step in enumerate(steps[:-1]):
        held = step.holds(left)
        counts[place], left = held.sum(), left[~held]
    counts[len(steps) - 1] = len(left)
    return counts


def _quantile_field(field: Field) -> QuantileField:
    if not field.has_leaves:
        raise TypeError(f"{field.name!r} has no steps")
    return field
