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
from numpy.typing import NDArray

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.histogram import Field
from threea_spark.encode.packing import Reader
from threea_spark.encode.quantiles import QuantileField
from threea_spark.encode.steps import Step, public_steps
from threea_spark.encode.written import StepMixture, step_mixture
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

_MOST_TABLED = 1 << 16
"""Whole numbers within the bounds of a column whose steps are looked up in a table."""


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
        counters = [StepCounts(_quantile_field(self.fields[place])) for place in self.places]

        def contribution(batch: pa.RecordBatch) -> Int64Array:
            columns = zip(counters, reader.values_of(batch, self.places), strict=True)
            return np.concatenate([counter.counts(np.asarray(own, np.float64)) for counter, own in columns])

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


@dataclass(frozen=True)
class StepCounts:
    """Counts one column's values by the first step that holds them.

    Attributes:
      field: A field that `steps_of` finds steps for.
    """

    field: QuantileField

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps, coarse ones first; the last one divides all others."""
        return steps_of(self.field)

    def counts(self, numbers: Float64Array) -> Int64Array:
        """Exact counts of one batch, those of no step last, shape (n_steps + 1,). PRIVATE."""
        low, high = float(self.field.grid.low[0]), float(self.field.grid.high[-1])
        counted = (numbers > low) & (numbers < high)  # false for NaN
        for plain in self.field.plain_values:
            if low < plain < high:
                counted &= numbers != plain
        left = numbers[counted]
        places = self._looked_up(left)
        return self._searched(left) if places is None else np.bincount(places, minlength=len(self.steps) + 1)

    def _looked_up(self, numbers: Float64Array) -> NDArray[np.uint8] | None:
        """The place of each value's step, by a table of whole numbers; None if any value is not whole. PRIVATE."""
        if not self.field.grid.whole or len(numbers) == 0 or self._n_whole > _MOST_TABLED:
            return None
        first = float(self.field.grid.low[0])
        index = (numbers - first).astype(np.int64)
        return self._table[index] if np.array_equal(index + first, numbers) else None

    @property
    def _n_whole(self) -> float:
        """How many whole numbers lie within the bounds."""
        return float(self.field.grid.high[-1] - self.field.grid.low[0]) + 1.0

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """The place of the step of each whole number within the bounds."""
        values = self.field.grid.low[0] + np.arange(self._n_whole)
        follows_one = self.steps[-1].holds(values)
        table = np.where(follows_one, len(self.steps) - 1, len(self.steps)).astype(np.uint8)
        for place in reversed(range(len(self.steps) - 1)):
            table[follows_one & self.steps[place].holds(values)] = place
        return table

    def _searched(self, left: Float64Array) -> Int64Array:
        counts, total = np.zeros(len(self.steps) + 1, dtype=np.int64), len(left)
        left = left[self.steps[-1].holds(left)]
        counts[-1] = total - len(left)
        for place, step in enumerate(self.steps[:-1]):
            held = step.holds(left)
            counts[place], left = np.count_nonzero(held), left[~held]
        counts[len(self.steps) - 1] = len(left)
        return counts


def _quantile_field(field: Field) -> QuantileField:
    if not field.has_leaves:
        raise TypeError(f"{field.name!r} has no steps")
    return field
