"""Spikes: single values that far more rows hold than the values around them, such as 40 hours, 99 or 999.

The tree of public leaves shows which leaves stand out from their neighbours. Where such a leaf has one value only, that
is the spike. Where it has many, a second noisy sum counts its values one by one: a row has one value in each column, so
it adds at most one for each column that is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.special import ndtri

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.grid import LeafGrid
from threea_spark.encode.quantiles import QuantileField
from threea_spark.encode.refining import Spikes
from threea_spark.encode.steps import Step, public_steps
from threea_spark.encode.written import LEAST_SHARE, StepMixture, WrittenLeaves, values_in
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

_LEAF_STDDEVS = 4.0
_NEIGHBOURS = 17
_MOST_VALUES = 4_096
"""Values of one column that are counted one by one; leaves that hold more are looked at in a coarser step."""
_FALSE_CHANCE = 0.01
"""Of finding anything in a column where there is nothing."""


@dataclass(frozen=True)
class Standout:
    """What stands out in one column. RELEASED.

    Attributes:
      single: Which leaves stand out that have one value, shape (n_leaves,).
      looked: Leaves to look into, and the values to count there: leaf, step, index of the first value, how many.
      excess: Single values, and by how many rows they stand out.
      usual: Rows that each leaf would have if it were like its neighbours, shape (n_leaves,).
      stddev: Standard deviation of the noise on a leaf's rows.
    """

    single: BoolArray
    looked: tuple[tuple[int, Step, float, int], ...]
    excess: tuple[tuple[float, float], ...]
    usual: Float64Array
    stddev: float

    @property
    def without_look(self) -> Spikes:
        """The spikes that need no second look."""
        return Spikes(self.single, self.usual, self.stddev)

    @property
    def n_values(self) -> int:
        """How many values are counted."""
        return sum(count for *_, count in self.looked)


def standout(number: QuantileField, leaf_rows: Float64Array, stddev: float, mixture: StepMixture | None) -> Standout:
    """Finds the leaves that stand out from the median of their neighbours.

    Args:
      number: The column.
      leaf_rows: Best readings of its leaves, shape (n_leaves,). RELEASED.
      stddev: Standard deviation of the noise on a count.
      mixture: Its steps, as far as they are known. RELEASED.
    """
    grid, step = number.grid, _common_step(number, mixture)
    weights = np.ones(grid.n_leaves) if step is None else WrittenLeaves(grid, StepMixture.only(step)).weights
    held = np.flatnonzero(weights > 0.0)
    usual = np.zeros(grid.n_leaves)
    usual[held] = weights[held] * median_filter(leaf_rows[held] / weights[held], _NEIGHBOURS, mode="nearest")
    least = max(_LEAF_STDDEVS * stddev, LEAST_SHARE * float(leaf_rows.sum()))
    usual = np.maximum(usual, 0.0)
    above = leaf_rows - usual
    values, counts = _values_of_leaves(grid, step, weights)
    single, many = (above >= least) & (counts == 1.0), np.flatnonzero((above >= least) & (counts != 1.0))
    most = _MOST_VALUES // max(len(many), 1)
    looked = [own for leaf in many.tolist() if (own := _to_look_at(number, leaf, step, most)) is not None]
    counted = single & ~np.isin(values, number.plain_values)
    excess = zip(values[counted].tolist(), above[counted].tolist(), strict=True)
    return Standout(single, tuple(looked), tuple(excess), usual, stddev)


def spikes_bound(n_columns: int) -> RowBound:
    """A row has one value in each column."""
    return RowBound.count(n_columns)


@dataclass(frozen=True)
class SpikeLook:
    """The second look: one column after the other, leaf by leaf, value by value.

    Attributes:
      fields: The columns that are looked at.
      standouts: What stands out in each; each has leaves to look into.
    """

    fields: tuple[QuantileField, ...]
    standouts: tuple[Standout, ...]

    def query(self, read: Callable[[pa.RecordBatch], Sequence[NDArray[np.generic]]]) -> SumQuery[pa.RecordBatch]:
        """The counts of all values, as one sum.

        Args:
          read: Reads the numbers of each field from a batch.
        """

        def contribution(batch: pa.RecordBatch) -> Int64Array:
            own = zip(self.fields, self.standouts, read(batch), strict=True)
            return np.concatenate(
                [_value_counts(field, found, np.asarray(numbers, np.float64)) for field, found, numbers in own]
            )

        size = sum(found.n_values for found in self.standouts)
        bound = spikes_bound(len(self.fields))
        return SumQuery(stage=Stage.ENCODE, name="spikes", bound=bound, size=size, contribution=contribution)

    def found(self, noisy: Float64Array, stddev: float, n_rows: float) -> Iterator[Spikes]:
        """The values of each column that stand out from the noise.

        Args:
          noisy: Noisy counts of all values. RELEASED.
          stddev: Standard deviation of their noise.
          n_rows: DP number of rows.
        """
        ends = np.cumsum([found.n_values for found in self.standouts])[:-1]
        for found, counts in zip(self.standouts, np.split(noisy, ends), strict=True):
            least = max(LEAST_SHARE * n_rows, -stddev * float(ndtri(_FALSE_CHANCE / found.n_values)))
            values = np.concatenate(
                [step.value(first + np.arange(n, dtype=np.float64)) for _, step, first, n in found.looked]
            )
            own = np.flatnonzero(counts >= least)
            yield replace(found.without_look, values=values[own], rows=counts[own], stddev=stddev)


def _values_of_leaves(grid: LeafGrid, step: Step | None, weights: Float64Array) -> tuple[Float64Array, Float64Array]:
    """First value of each leaf, and how many it has (0: none that is known), both of shape (n_leaves,)."""
    values, counts = grid.low, np.where(grid.is_atom, 1.0, 0.0)
    if step is None:
        return values, counts
    first, n = values_in(step, grid)
    known = ~grid.is_atom & (weights > 0.0)
    return np.where(known, step.value(first), values), np.where(known, n, counts)


def _common_step(number: QuantileField, mixture: StepMixture | None) -> Step | None:
    """The coarsest step that all values follow; None where some follow none."""
    if mixture is None or mixture.shares[-1] > 0.0:
        return Step(1) if number.grid.whole else None
    candidates = (*mixture.steps, *public_steps(number.kind, _span(number.grid)))
    common = [step for step in candidates if all(step.divides(own) for own in mixture.steps)]
    return max(common, key=lambda step: step.size, default=None)


def _to_look_at(
    number: QuantileField, leaf: int, common: Step | None, most: int
) -> tuple[int, Step, float, int] | None:
    """The values of a leaf to count: of the common step if there are any and not too many, else of a public one."""
    grid = number.grid
    finest_first = public_steps(number.kind, _span(grid))[::-1]
    own = LeafGrid(grid.low[[leaf]], grid.high[[leaf]], grid.whole)
    for step in (*([] if common is None else [common]), *finest_first):
        (first,), (count,) = values_in(step, own)
        if 1.0 <= count <= most:
            return leaf, step, float(first), int(count)
    return None


def _span(grid: LeafGrid) -> float:
    return float(grid.high[-1] - grid.low[0])


def _value_counts(number: QuantileField, found: Standout, numbers: Float64Array) -> Int64Array:
    """Exact counts of the values that one column is looked at for, shape (n_values,). PRIVATE."""
    known = numbers[~np.isnan(numbers)]
    leaves, counts = number.grid.index(known), list[Int64Array]()
    for leaf, step, first, n in found.looked:
        own = known[leaves == leaf]
        index = step.nearest(own) - first
        is_value = step.holds(own) & (index >= 0.0) & (index < n)
        counts.append(np.bincount(index[is_value].astype(np.int64), minlength=n).astype(np.int64))
    return np.concatenate(counts)
