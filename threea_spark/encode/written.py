"""How the values of a number are written: which steps they follow, and in what shares, in all rows and in each leaf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array
from threea_spark.encode.grid import LeafGrid
from threea_spark.encode.steps import Step

STANDS_OUT = 3.5
"""Standard deviations of the noise from which rows of a step are taken for such."""
LEAST_SHARE = 0.005
"""Of the rows: a step of fewer is left out, so that a few odd values do not cost a column its step."""
_KNOWN = 0.5
_LEAST_RAKED = 1e-6  # of all rows: a share of nothing is not scaled


@dataclass(frozen=True)
class StepMixture:
    """Shares of the rows by the step that they are written in, each evenly among the step's values nearby.

    Attributes:
      steps: Public.
      shares: Of each step, and last of rows that follow none, shape (n_steps + 1,), sums to 1. RELEASED.
    """

    steps: tuple[Step, ...]
    shares: Float64Array

    @classmethod
    def only(cls, step: Step) -> StepMixture:
        """All rows follow one step."""
        return cls((step,), np.array([1.0, 0.0]))

    def nearest(self, values: Float64Array, lower: float, upper: float) -> Float64Array:
        """Moves values to the nearest of the finest step within bounds; not where some rows follow no step."""
        if not self.steps or self.shares[-1] > 0.0:
            return values
        step = min(self.steps, key=lambda own: own.size)
        first, end = step.first_at(np.array([lower, np.nextafter(upper, np.inf)]))
        if not first < end:
            return values
        return np.clip(step.value(np.clip(step.nearest(values), first, end - 1.0)), lower, upper)


def step_mixture(
    steps: Sequence[Step], counts: Float64Array, stddev: float, bounds: tuple[float, float], n_rows: float
) -> StepMixture | None:
    """Finds the mixture behind noisy counts of rows by the coarsest of the steps that their values follow.

    From fine to coarse, each step has the rows that stand out from what finer ones explain: of evenly spread multiples
    of 1, a tenth are multiples of 10.

    Args:
      steps: As `public_steps` gives them.
      counts: Noisy counts of each step, and of rows that follow none, shape (n_steps + 1,). RELEASED.
      stddev: Standard deviation of their noise.
      bounds: Of the column.
      n_rows: DP number of the rows that were counted.

    Returns:
      None where the noise hides the steps of half of the rows or more.
    """
    own = _own_values(steps, bounds)
    least = max(LEAST_SHARE * n_rows, STANDS_OUT * stddev)
    rows = np.append(np.zeros(len(steps)), counts[-1] if counts[-1] >= least else 0.0)
    for place in reversed(range(len(steps))):
        finer = [other for other in range(place + 1, len(steps)) if steps[other].divides(steps[place])]
        explained = sum(rows[other] * (own[place] / _values(steps[other], bounds)) for other in finer)
        excess = counts[place] - explained
        if excess >= least:
            rows[place] = excess * (_values(steps[place], bounds) / own[place])
    if not rows.sum() > 0.0 or rows.sum() < _KNOWN * n_rows:
        return None
    kept = np.flatnonzero(rows[:-1]).tolist()
    return StepMixture(tuple(steps[place] for place in kept), rows[[*kept, -1]] / rows.sum())


def _values(step: Step, bounds: tuple[float, float]) -> float:
    """How many values a step has between the bounds."""
    first, end = step.first_at(np.array(bounds, dtype=np.float64))
    return max(float(end - first), 1.0)


def _own_values(steps: Sequence[Step], bounds: tuple[float, float]) -> Float64Array:
    """How many values between the bounds follow each step and none before it, shape (n_steps,)."""
    own = np.zeros(len(steps))
    for place, step in enumerate(steps):
        coarser = sum(own[other] for other in range(place) if step.divides(steps[other]))
        own[place] = max(_values(step, bounds) - coarser, 1.0)
    return own


@dataclass(frozen=True)
class WrittenLeaves:
    """The values in each leaf of a grid, and how likely each is.

    Attributes:
      grid: Leaves.
      mixture: Steps of the column. RELEASED.
    """

    grid: LeafGrid
    mixture: StepMixture

    @cached_property
    def firsts_and_counts(self) -> tuple[Float64Array, Float64Array]:
        """Index of the first value of each step in each leaf, and how many there are, shapes (n_steps, n_leaves)."""
        ranges = [values_in(step, self.grid) for step in self.mixture.steps]
        n_leaves = self.grid.n_leaves
        firsts = np.array([first for first, _ in ranges]).reshape(-1, n_leaves)
        return firsts, np.array([count for _, count in ranges]).reshape(-1, n_leaves)

    @cached_property
    def parts(self) -> Float64Array:
        """Weight of each step, and of none, in each leaf, shape (n_steps + 1, n_leaves).

        If rows are spread evenly over leaves, a value has those that lie nearer to it than to the step's other values.
        """
        grid, firsts, counts = self.grid, *self.firsts_and_counts
        own = np.where(grid.is_atom & (not grid.whole), 0.0, 1.0)
        before = np.concatenate([[0.0], np.cumsum(own)])
        parts = [own]
        for step, first, count in zip(self.mixture.steps[::-1], firsts[::-1], counts[::-1], strict=True):
            last = first + count - 1.0
            begin = 0.5 * step.value(first - 1.0) + 0.5 * step.value(first)
            end = 0.5 * step.value(last) + 0.5 * step.value(last + 1.0)
            reach = np.interp(end, grid.edges, before) - np.interp(begin, grid.edges, before)
            parts.append(np.where(count > 0.0, reach, 0.0))
        return np.asarray(self.mixture.shares[:, None] * np.array(parts[::-1]), dtype=np.float64)

    @cached_property
    def weights(self) -> Float64Array:
        """Weight of each leaf where none stands out, about 1 on average, shape (n_leaves,); 0 where no row can be."""
        return np.asarray(self.parts.sum(axis=0), dtype=np.float64)

    @cached_property
    def below(self) -> Float64Array:
        """Share of each leaf's rows in earlier steps, shape (n_steps + 2, n_leaves)."""
        whole = np.where(self.weights > 0.0, self.weights, 1.0)
        return np.vstack([np.zeros(self.grid.n_leaves), np.cumsum(self.parts / whole, axis=0)])


def raked(leaves: WrittenLeaves, masses: Float64Array, counted: BoolArray) -> tuple[StepMixture, Float64Array]:
    """Scales rows by step so that each step has its share again, which the leaves' own counts may have moved.

    Source: iterative proportional fitting on one margin, Deming and Stephan 1940, Annals of Mathematical Statistics
    11(4).

    Args:
      leaves: Of one column, and its steps.
      masses: Rows in each leaf, shape (n_leaves,). RELEASED.
      counted: Leaves whose rows the shares are of, shape (n_leaves,).

    Returns:
      The mixture that draws these shares, and the rows in each leaf.
    """
    mixture, weights = leaves.mixture, leaves.weights
    own = counted & (weights > 0.0)
    likely = leaves.parts[:, own] / weights[own]
    now, total = likely @ masses[own], float(masses[own].sum())
    if not total > 0.0:
        return mixture, masses
    factors = np.where(now > _LEAST_RAKED * total, mixture.shares * total / np.maximum(now, _LEAST_RAKED * total), 1.0)
    scaled, shares = masses.copy(), mixture.shares * factors
    scaled[own] *= factors @ likely
    return StepMixture(mixture.steps, shares / shares.sum()), scaled


def values_in(step: Step, grid: LeafGrid) -> tuple[Float64Array, Float64Array]:
    """Index of a step's first value in each leaf, and how many values the leaf holds, both of shape (n_leaves,).

    A leaf holds its lower end and not its upper one, unless that is whole; what has a leaf of its own is in no other.
    """
    first, end = step.first_at(grid.low), step.first_at(grid.high + float(grid.whole))
    if not grid.whole:
        after_atom = np.append(False, grid.is_atom[:-1]) & ~grid.is_atom
        first = first + (after_atom & (step.value(first) == grid.low))
    return first, np.maximum(end - first, 0.0)
