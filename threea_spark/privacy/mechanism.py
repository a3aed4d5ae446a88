"""The noisy sum: the one mechanism that reads rows.

Each row contributes an integer vector with L2 norm at most S, in grid units. The sum over rows is exact (int64),
N(0, stddev^2) is added to each coordinate, and the result is rounded to a public grid: post-processing of the ideal
Gaussian mechanism, so the release is exactly (S / stddev)-GDP, but for what float64 does (noise.py), which is counted.
Source: Dong, Roth, Su 2019, arXiv 1905.02383, Theorem 2; on float leaks Mironov 2012 and arXiv 2112.05307.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic

import numpy as np
from dp_accounting import DpEvent, GaussianDpEvent

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.errors import PrivacyError
from threea_spark.privacy.accounting import gaussian_event
from threea_spark.privacy.noise import Context, NoiseSource, stddev_of
from threea_spark.privacy.query import GroupQuery, R
from threea_spark.privacy.terms import Relation


@dataclass(frozen=True, kw_only=True)
class NoisySum:
    """One granted mechanism: its name, its bound, its noise, its event. Small enough to travel to executors.

    Attributes:
      context: Public context of all its noise; no two mechanisms of a release share one.
      squared_sensitivity: Bound on the squared L2 norm of all that one unit adds to the sum, in grid units.
      mu: Its price, under `relation`.
      relation: Which tables are neighbours.
      moved: Bound on the coordinates in which two neighbours' sums may differ: only there does noise matter.
    """

    context: Context
    squared_sensitivity: int
    mu: float
    relation: Relation
    moved: int

    @property
    def stddev(self) -> float:
        """Standard deviation of the noise on each coordinate, in grid units."""
        return stddev_of(self.relation.distance * math.sqrt(self.squared_sensitivity), self.mu)

    @property
    def event(self) -> GaussianDpEvent:
        """The event that the accountant sees."""
        return gaussian_event(self.mu, self.relation)

    def noised(self, exact: Int64Array, noise: NoiseSource, part: Context = ()) -> Int64Array:
        """Adds the noise of one part of the sum; the same part always gets the same noise.

        Args:
          exact: Exact integer sums, any shape. PRIVATE.
          noise: The release's source of noise.
          part: Names the part, where one sum is released in pieces (by group, on executors).

        Returns:
          Noisy sums of the same shape. RELEASED, once the meter has booked this mechanism.
        """
        if exact.dtype != np.int64:
            raise PrivacyError(f"a noisy sum takes exact int64 sums, got {exact.dtype}")
        return noise.noised(exact, self.stddev, (*self.context, *part))


@dataclass(frozen=True)
class Measured:
    """The answer to a query.

    Attributes:
      value: float64, shape (size,). RELEASED; in conditional mode exact before Anonymize, and internal.
      stddev: Standard deviation of its noise, 0 where it is exact.
      event: What was booked for it.
    """

    value: Float64Array
    stddev: float
    event: DpEvent


@dataclass(frozen=True)
class NoisyGroups(Generic[R]):
    """Sums of groups that were granted, and get their noise group by group on executors.

    Attributes:
      query: Which groups, and how they are summed.
      mechanism: Their booked noise.
      noise: The release's source of noise.
    """

    query: GroupQuery[R]
    mechanism: NoisySum
    noise: NoiseSource

    def noised(self, groups: Int64Array, sums: Int64Array) -> Int64Array:
        """Adds each group's noise to its sum; a task that is tried again adds the same.

        Args:
          groups: Shape (g,).
          sums: Exact sums of these groups, shape (g, length). PRIVATE.

        Returns:
          Shape (g, length). RELEASED.
        """
        pairs = zip(groups.tolist(), sums, strict=True)
        return np.stack([self.mechanism.noised(own, self.noise, (group,)) for group, own in pairs])
