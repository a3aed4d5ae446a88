"""Finds the leaf of each of many values: by a guide table on the values' binary form, and few comparisons.

The float64 of a distance, read as a whole number, grows with it; its upper bits name one of some hundred steps in each
octave, fine enough for leaves that are even and for leaves that are even on a logarithmic scale. Two numbers in
different steps are in the order of their steps, so that comparisons are left for the edges in a value's own step only.
Source of guide tables: Chen and Asau 1974, On generating random variates from an empirical distribution, AIIE
Transactions 6(2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import Float64Array, Int64Array

_MANTISSA_BITS = 52
_STEP_BITS = 9
_SHIFT = np.int64(_MANTISSA_BITS - _STEP_BITS)
_MOST_STEPS = 40 << _STEP_BITS  # of either sign: forty octaves, the nearer ones in one step
_WITHOUT_SIGN = np.int64(2**63 - 1)
_COMPARISONS = 4
"""Edges of one step that are compared with every value; a search finds those in steps that have more of them."""


@dataclass(frozen=True)
class LeafSearch:
    """A guide to increasing edges.

    Attributes:
      starts: Where leaves begin, shape (n_leaves,), increasing.
      anchor: The point near which leaves are narrowest, from the first start to the last.
    """

    starts: Float64Array
    anchor: float

    def leaf_of(self, values: Float64Array) -> Int64Array:
        """Leaves of values, none of them below the first start or NaN, shape (n,); as a right-sided search finds."""
        ends, (guide, n_compared, is_complete) = self._ends, self._guide
        steps = self._steps(values)
        leaf = guide[np.minimum(steps, len(guide) - 1, out=steps)].astype(np.int64)
        for _ in range(n_compared):
            leaf += ends[leaf] <= values
        if not is_complete:
            beyond = np.flatnonzero(ends[leaf] <= values)
            leaf[beyond] = np.searchsorted(self.starts, values[beyond], side="right")
        leaf -= 1
        return leaf

    @cached_property
    def _ends(self) -> Float64Array:
        """The starts, and an edge that no value reaches, shape (n_leaves + 1,)."""
        return np.append(self.starts, np.inf)

    @cached_property
    def _guide(self) -> tuple[NDArray[np.integer[Any]], int, bool]:
        """How many starts lie in steps before each step, how many to compare, and whether no step has more."""
        in_step = np.bincount(self._steps(self.starts))
        before = np.concatenate([[0], np.cumsum(in_step)])  # the last one for all steps behind them
        most = int(in_step.max())
        small = np.uint16 if len(self.starts) < 2**16 else np.int64
        return before.astype(small), min(most, _COMPARISONS), most <= _COMPARISONS

    @cached_property
    def _least(self) -> np.int64:
        """The binary step from which distances are told apart."""
        distances = np.abs(self.starts - self.anchor)
        narrowest = np.min(distances, where=distances > np.finfo(np.float64).tiny, initial=np.inf)
        first, last = (int(own.view(np.int64) >> _SHIFT) for own in (narrowest, distances.max()))
        return np.int64(max(min(first, last), last - _MOST_STEPS))

    @cached_property
    def _offset(self) -> np.int64:
        """The number of steps below the anchor."""
        return np.int64(-self._signed_steps(self.starts[:1])[0])

    def _steps(self, values: Float64Array) -> Int64Array:
        """Numbers of the values' steps, not decreasing in the value, from 0 at the first start."""
        steps = self._signed_steps(values)
        steps += self._offset
        return steps

    def _signed_steps(self, values: Float64Array) -> Int64Array:
        distances = values - self.anchor
        distances += 0.0  # -0.0 becomes 0.0
        steps = distances.view(np.int64) & _WITHOUT_SIGN
        steps >>= _SHIFT
        steps -= self._least
        np.maximum(steps, 0, out=steps)
        if self.starts[0] < self.anchor:
            np.negative(steps, out=steps, where=distances < 0.0)
        return steps
