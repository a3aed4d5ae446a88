"""Finds many places in one distribution function: a guide table first, a search only where it does not suffice.

Chen and Asau, "On generating random variates from an empirical distribution", AIIE Transactions 6(2), 1974.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from threea_spark.arrays import Float64Array, Int64Array

_STEPS = 1024


@dataclass(frozen=True)
class GuidedSearch:
    """The leaf in which each place of a distribution lies.

    Attributes:
      cdf: Distribution at the leaves' ends, shape (n_leaves + 1,), from 0 to 1, increasing.
    """

    cdf: Float64Array

    @property
    def _last(self) -> int:
        return len(self.cdf) - 2

    @cached_property
    def _guide(self) -> Int64Array:
        """Leaf at which each of _STEPS equal steps of the distribution begins."""
        return np.searchsorted(self.cdf, np.arange(_STEPS + 1) / _STEPS, side="right").astype(np.int64) - 1

    def leaf_of(self, u: Float64Array) -> Int64Array:
        """Leaves of places in [0, 1], shape (n,); equal to a right-sided search for each."""
        leaf = np.minimum(self._guide[(u * _STEPS).astype(np.int64)], self._last)
        ends = self.cdf[1:]
        leaf += (ends[leaf] <= u) & (leaf < self._last)
        beyond = np.flatnonzero(ends[leaf] <= u)
        found = np.searchsorted(self.cdf, u[beyond], side="right").astype(np.int64) - 1
        leaf[beyond] = np.minimum(found, self._last)
        return leaf
