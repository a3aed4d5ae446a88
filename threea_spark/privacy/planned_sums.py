"""Noisy sums that a plan is certified for before a row is read: each with its bound, and the least spent on it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from threea_spark.privacy.budget import NUMERIC_SHARE, PrivacyPlan
from threea_spark.privacy.noise import squared_relative_error, stddev_of
from threea_spark.privacy.query import Query, RowBound
from threea_spark.privacy.terms import Stage

NUMERIC_SHARES = (NUMERIC_SHARE, 1e-3, 1e-2, 1e-1)
"""Parts of epsilon that a plan may keep for float64: it takes the first that suffices."""


@dataclass(frozen=True)
class PlannedSum:
    """One noisy sum that a release may ask for.

    Attributes:
      stage, name: As the meter books it; those of a kind are numbered behind the name.
      bound: On the contribution of one row.
      mu: The least that is spent on it, so that its noise is at most `stddev_under`.
      times: How often it is asked for.
    """

    stage: Stage
    name: str
    bound: RowBound
    mu: float
    times: int = 1

    def stddev_under(self, plan: PrivacyPlan) -> float:
        """Standard deviation of its noise, in grid units."""
        return stddev_of(plan.relation.distance * plan.unit.max_rows * math.sqrt(self.bound.squared_norm), self.mu)


def planned_sum(query: Query, mu: float) -> PlannedSum:
    """The sum of a query that is known before a row is read."""
    return PlannedSum(query.stage, query.name, query.bound, mu)


def numeric_error_of(sums: Iterable[PlannedSum], plan: PrivacyPlan) -> float:
    """The most that float64 may add to epsilon over these sums; inf beyond any bound."""
    error, draws = 0.0, 0
    for own in sums:
        moved = plan.moved_by_unit(own.bound.moved) * own.times
        error += squared_relative_error(moved, own.stddev_under(plan))
        draws += moved
    return plan.numeric_error(error, draws)
