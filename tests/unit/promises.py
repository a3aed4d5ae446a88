"""What a statement must at least say, computed apart from the library: closed forms in 40 digits, and quadrature."""

import math
from functools import cache

import numpy as np
from mpmath import mp
from scipy.integrate import trapezoid
from scipy.stats import norm

from threea_spark.privacy.terms import Stage

_DIGITS = 40
_CLOSE = 1e-6  # relative: far below the one percent by which a printed number must not be too small


@cache
def gaussian_delta(mu, epsilon):
    """delta of mu-GDP at epsilon; Dong, Roth, Su 2019, corollary 1."""
    with mp.workdps(_DIGITS):
        mu, epsilon = mp.mpf(mu), mp.mpf(epsilon)
        return float(mp.ncdf(-epsilon / mu + mu / 2) - mp.exp(epsilon) * mp.ncdf(-epsilon / mu - mu / 2))


@cache
def sampled_delta(mu, rate, epsilon):
    """delta of one Poisson-sampled Gaussian at epsilon, the larger of removing and adding a unit, by quadrature."""
    x = np.linspace(-40.0, 40.0 + mu, 400_001)
    without, mixed = norm.pdf(x), (1.0 - rate) * norm.pdf(x) + rate * norm.pdf(x - mu)
    excess = [np.maximum(p - math.exp(epsilon) * q, 0.0) for p, q in ((mixed, without), (without, mixed))]
    return max(float(trapezoid(own, x)) for own in excess)


def least_delta(plan, epsilon):
    """What a pair of the curve must say at this epsilon: of the plan's mechanisms, with float64 and what is outside."""
    numeric = plan.numeric_epsilon
    at = max(epsilon - numeric, 0.0)
    if plan.is_sampled:
        (mu,) = plan.stage_mu.values()
        own = sampled_delta(mu, plan.sampling_probability, at)
    else:
        own = gaussian_delta(math.sqrt(sum(mu * mu for mu in plan.stage_mu.values())), at)
    return math.exp(numeric) * own + max(numeric - epsilon, 0.0) + plan.delta_selection + plan.delta_noise


def least_epsilon(plan):
    """The least epsilon that holds at the claimed delta, by bisection."""
    low, high = 0.0, 2.0 * plan.epsilon
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if least_delta(plan, middle) <= plan.delta else (middle, high)
    return high


def check_numbers(numbers, meter, mechanisms):
    """Raises AssertionError where a number of a statement, as plain values, is smaller than the truth.

    Args:
      numbers: `PrivacyStatement.as_dict()`.
      meter: Of the release.
      mechanisms: All NoisySums that it granted, by stage.
    """
    plan = meter.plan
    assert _holds(numbers["epsilon"], plan.epsilon), "epsilon"
    assert _holds(numbers["delta"], plan.delta), "delta"
    assert _holds(numbers["epsilon_spent"], least_epsilon(plan)), "epsilon_spent"
    if numbers["mu"] is not None:
        assert _holds(numbers["mu"], math.sqrt(sum(mu * mu for mu in plan.stage_mu.values()))), "mu"
    for epsilon, delta in numbers["curve"]:
        assert _holds(delta, min(1.0, least_delta(plan, epsilon))), f"curve at {epsilon}"
    for spend in numbers["stages"]:
        _check_stage(spend, plan, mechanisms.get(Stage(spend["stage"]), []))


def _check_stage(spend, plan, mechanisms):
    stage = Stage(spend["stage"])
    assert _holds(spend["mu"], plan.mu_of(stage)), f"{stage}: mu"
    ran = [plan.relation.distance * math.sqrt(own.squared_sensitivity) / own.stddev for own in mechanisms]
    assert _holds(spend["mu_ran"], math.sqrt(sum(mu * mu for mu in ran))), f"{stage}: mu that ran"
    assert spend["mechanisms"] == len(mechanisms), f"{stage}: sums"
    rate = plan.sampling_probability if stage is Stage.ADAPT else 1.0
    assert _holds(spend["sampling_probability"], rate), f"{stage}: rate"


def _holds(printed, truth):
    return printed >= truth * (1.0 - _CLOSE)


def lowered(numbers):
    """Every copy of nested plain numbers in which one of them is one percent smaller, with the place of that one."""
    for place, value in _leaves(numbers, ()):
        yield place, _with(numbers, place, value * 0.99 if isinstance(value, float) else value - 1)


def _leaves(node, place):
    if isinstance(node, dict):
        for key, own in node.items():
            yield from _leaves(own, (*place, key))
    elif isinstance(node, list | tuple):
        for at, own in enumerate(node):
            yield from _leaves(own, (*place, at))
    elif isinstance(node, int | float) and not isinstance(node, bool) and node > 0:
        yield place, node


def _with(node, place, value):
    if not place:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[place[0]] = _with(node[place[0]], place[1:], value)
    return copy


def lower_tail(z):
    """Phi(z), in 40 digits."""
    with mp.workdps(_DIGITS):
        return mp.ncdf(mp.mpf(z))
