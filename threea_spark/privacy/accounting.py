"""The only module that calls dp-accounting: what a list of events costs, and how much noise a claim requires.

Gaussian events are composed in closed form first (mu^2 adds up exactly), so that the PLD accountant discretises at most
one Gaussian and the Poisson-sampled ones. An event's noise multiplier is stddev over the add-or-remove sensitivity;
the accountant itself doubles the sensitivity under replace-one, as dp-accounting defines it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from dp_accounting import (
    ComposedDpEvent,
    DpEvent,
    GaussianDpEvent,
    NeighboringRelation,
    NonPrivateDpEvent,
    PoissonSampledDpEvent,
)
from dp_accounting.pld import PLDAccountant
from scipy.optimize import brentq

from threea_spark.errors import PrivacyError
from threea_spark.privacy.gaussian import compose_mu
from threea_spark.privacy.terms import Relation

_MAX_INTERVAL = 1e-3  # connect-the-dots rounding errs by the interval's square
_INTERVALS_PER_EPSILON = 400
_FINE_NEAR = 0.1  # resolution of whole curves, as if all of their epsilons were this small
_MIN_LOG_SCALE = -40.0
_LOG_SCALE_TOLERANCE = 1e-5
CLAIM_SLACK = 1e-3
"""Calibration aims this fraction below the claimed epsilon, so that rounding in the accountant never exceeds it."""


def gaussian_event(mu: float, relation: Relation) -> GaussianDpEvent:
    """Returns the event of a Gaussian mechanism that is mu-GDP under the relation."""
    return GaussianDpEvent(relation.distance / mu)


def gaussian_mu_of(event: GaussianDpEvent, relation: Relation) -> float:
    """Returns the mu of an event: the inverse of `gaussian_event`."""
    return float(relation.distance / event.noise_multiplier)


def merge_gaussians(events: Iterable[DpEvent], relation: Relation) -> list[DpEvent]:
    """Replaces all plain Gaussian events with the one they compose to; leaves the others unchanged."""
    plain: list[float] = []
    others: list[DpEvent] = []
    for event in events:
        if isinstance(event, GaussianDpEvent):
            plain.append(gaussian_mu_of(event, relation))
        else:
            others.append(event)
    return ([gaussian_event(compose_mu(plain), relation)] if plain else []) + others


def epsilon_of(events: Sequence[DpEvent], delta: float, relation: Relation, *, near: float = 1.0) -> float:
    """Returns the epsilon that the PLD accountant certifies for the events at this delta; inf if one is not private.

    Args:
      events: Events to compose, in any order.
      delta: In (0, 1).
      relation: Which tables are neighbours.
      near: Rough magnitude of epsilon; sets the accountant's resolution.
    """
    if not 0.0 < delta < 1.0:
        raise PrivacyError(f"delta must be in (0, 1), got {delta}")
    if any(isinstance(event, NonPrivateDpEvent) for event in events):
        return math.inf
    return _epsilon_of(tuple(merge_gaussians(events, relation)), delta, relation, near)


@lru_cache(maxsize=1_024)  # a release plans on the command line, before it reads and for its receipt
def _epsilon_of(events: tuple[DpEvent, ...], delta: float, relation: Relation, near: float) -> float:
    return float(_accountant(events, relation, near).get_epsilon(delta))


def delta_curve(events: Sequence[DpEvent], epsilons: Sequence[float], relation: Relation) -> list[float]:
    """Returns the deltas that the PLD accountant certifies at many epsilons, at the cost of one composition."""
    if any(isinstance(event, NonPrivateDpEvent) for event in events):
        return [1.0] * len(epsilons)
    accountant = _accountant(merge_gaussians(events, relation), relation, _FINE_NEAR)
    return [float(accountant.get_delta(epsilon)) for epsilon in epsilons]


def calibrate_scale(
    events_at: Callable[[float], Sequence[DpEvent]], *, epsilon: float, delta: float, relation: Relation
) -> float:
    """Finds the largest scale whose events stay within (epsilon, delta), just below and never above.

    The cost of `events_at(scale)` must increase with the scale. Source: Brent's method on the PLD accountant's epsilon.
    """
    goal = epsilon * (1.0 - CLAIM_SLACK)

    def excess(log_scale: float) -> float:
        return math.log(max(epsilon_of(events_at(math.exp(log_scale)), delta, relation, near=epsilon), 1e-300) / goal)

    high = 0.0
    while excess(high) < 0.0:
        high += 1.0
    low = high - 1.0
    while excess(low) > 0.0:
        low -= 1.0
        if low < _MIN_LOG_SCALE:
            raise PrivacyError(f"epsilon {epsilon} at delta {delta} is below what can be certified; raise either")
    found = float(brentq(excess, low, high, xtol=_LOG_SCALE_TOLERANCE))
    while excess(found) > 0.0:
        found -= _LOG_SCALE_TOLERANCE
    return math.exp(found)


def is_amplified(events: Iterable[DpEvent]) -> bool:
    """Tells whether any event relies on Poisson sampling, so that mu alone does not describe the whole."""
    return any(isinstance(event, PoissonSampledDpEvent) for event in events)


def _accountant(merged: Iterable[DpEvent], relation: Relation, near: float) -> PLDAccountant:
    interval = min(_MAX_INTERVAL, near / _INTERVALS_PER_EPSILON)
    accountant = PLDAccountant(NeighboringRelation[relation.name], value_discretization_interval=interval)
    return accountant.compose(ComposedDpEvent(list(merged)))
