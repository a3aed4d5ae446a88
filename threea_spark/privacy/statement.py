"""The guarantee in words and numbers: the plan's, once everything that ran is known to lie within it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dp_accounting import GaussianDpEvent, NonPrivateDpEvent, PoissonSampledDpEvent

from threea_spark.errors import PrivacyError
from threea_spark.privacy.accounting import delta_curve
from threea_spark.privacy.asked import asked_in_words
from threea_spark.privacy.budget import PrivacyPlan, certified_epsilon, planned_events
from threea_spark.privacy.meter import TOLERANCE, PrivacyMeter
from threea_spark.privacy.terms import Relation, Stage
from threea_spark.privacy.wrapping import INDENT, wrapped

_PAIRS_A_LINE = 3
_CURVE = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
_CLAIM_SHARES = tuple(step / 16.0 for step in range(1, 25))
"""Fractions of the claimed epsilon: extra points, so that the curve is as fine for a large claim as for a small one."""

NOT_COVERED = (
    "the configuration and the domain (column names, bounds, listed categories): public by declaration",
    "other releases of this source: their privacy losses add up, and only a ledger keeps track of the sum",
    "the fact that the release ran, and how long it took",
    "figures of threea evaluate and of threea report --held-out, which are internal and never published",
)
_CONDITIONAL = (
    "NOT COVERED: clusters, their centres and sizes, the number of groups, class shares, the cells of every column "
    "(exact quantiles) and the category names of open columns (verbatim). They were computed from the private rows "
    "without noise, and the released rows reveal them. The guarantee holds for the mixing step alone, given this "
    "partition. A row's influence on the partition is not bounded."
)


@dataclass(frozen=True)
class StageSpend:
    """What one stage spent.

    Attributes:
      stage, covers: The stage's name, and which part of the release it covers, in words.
      mechanisms: Number of noisy sums that ran.
      mu: The GDP mu that the plan allowed the stage, before sampling: the promise. None if it read without noise.
      sampling_probability: Rate of the sample that the sums read, as accounted for.
      mu_ran: Mu of the sums that ran, at most `mu`; it may depend on noisy figures, and promises nothing.
    """

    stage: str
    covers: str
    mechanisms: int
    mu: float | None
    sampling_probability: float
    mu_ran: float | None = None


@dataclass(frozen=True)
class PrivacyStatement:
    """The guarantee of one release.

    Attributes:
      epsilon, delta: The claim, which holds.
      epsilon_spent: Epsilon that the PLD accountant certifies for the plan, fixed before a row was read, at this delta
        and with what float64 may add; never above epsilon. What ran is within the plan: the meter refuses all else.
      mu: GDP mu of all the plan's noisy sums; None if sampling makes mu alone too coarse, or if category names were
        selected, which no mu describes.
      curve: Pairs (epsilon, delta) of the same guarantee, also of the plan.
      relation, unit, accounting: Descriptions in words.
      stages: Spend of each stage.
      not_covered: What the guarantee does not cover, one sentence each.
    """

    epsilon: float
    delta: float
    epsilon_spent: float
    mu: float | None
    curve: tuple[tuple[float, float], ...]
    relation: str
    unit: str
    accounting: str
    stages: tuple[StageSpend, ...]
    not_covered: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> PrivacyStatement:
        """Rebuilds a statement from its plain values."""
        plain = dict(content)
        plain["curve"] = tuple((float(e), float(d)) for e, d in plain["curve"])
        plain["stages"] = tuple(StageSpend(**spend) for spend in plain["stages"])
        plain["not_covered"] = tuple(plain["not_covered"])
        return cls(**plain)

    def in_words(self) -> str:
        """Returns the guarantee as text for people to read."""
        scope = "everything that read a row" if self.accounting == "end_to_end" else "the mixing step alone"
        lines = [
            f"({self.epsilon:g}, {self.delta:g})-differential privacy for {scope}.",
            f"  unit        {self.unit}",
            f"  neighbours  {self.relation}",
            f"  spent       epsilon {rounded_up(self.epsilon_spent)} at delta {self.delta:g}, as planned"
            + (f"; its noisy sums are mu = {rounded_up(self.mu)} in Gaussian DP" if self.mu is not None else ""),
        ]
        for spend in self.stages:
            lines.append(f"  {spend.stage:<11} {_cost_in_words(spend)}: {spend.covers}")
        pairs = [f"epsilon {e:g}: delta {_two_digits_up(d)}" for e, d in self.curve if e in _CURVE and d < 1.0]
        rows = [", ".join(pairs[first : first + _PAIRS_A_LINE]) for first in range(0, len(pairs), _PAIRS_A_LINE)]
        lines.append("  curve       " + f",\n{INDENT}".join(rows))
        lines += [f"  not covered {text}" for text in self.not_covered]
        return wrapped("\n".join(lines))


def statement_of(meter: PrivacyMeter) -> PrivacyStatement:
    """States what the plan guarantees, after checking that everything that ran lies within it.

    The pair, the curve and mu are the plan's: the number of events that run may depend on noisy figures, and a promise
    derived from them would be made after the fact.

    Args:
      meter: The finished release's meter.

    Raises:
      PrivacyError: if what ran cost more than the plan allows; nothing may be written then.
    """
    plan = meter.plan
    certified = certified_epsilon(plan)
    _check_within(meter)
    return PrivacyStatement(
        epsilon=plan.epsilon,
        delta=plan.delta,
        epsilon_spent=certified,
        mu=None if plan.is_sampled or plan.delta_selection > 0.0 else plan.whole_mu,
        curve=_curve(plan),
        relation=_relation_in_words(plan),
        unit=str(plan.unit),
        accounting=plan.accounting.value,
        stages=tuple(_spends(meter)),
        not_covered=(_CONDITIONAL, *NOT_COVERED) if plan.is_conditional else NOT_COVERED,
    )


def _check_within(meter: PrivacyMeter) -> None:
    """Refuses anything that the meter should never have allowed to run."""
    plan = meter.plan
    for stage, events in meter.events_by_stage().items():
        exact = any(isinstance(event, NonPrivateDpEvent) for event in events)
        if exact and not (plan.is_conditional and stage is not Stage.ANONYMIZE):
            raise PrivacyError(f"{stage.value}: read rows without noise, so epsilon is inf; nothing was written")
        planned, rate = plan.mu_of(stage), _sampling_rate(plan, stage)
        larger = any(event.sampling_probability > rate for event in events if isinstance(event, PoissonSampledDpEvent))
        unsampled = rate < 1.0 and any(isinstance(event, GaussianDpEvent) for event in events)
        if larger or unsampled or meter.spent_mu(stage) > planned * (1.0 + TOLERANCE):
            raise PrivacyError(
                f"{stage.value}: its events cost more than the plan's mu {planned:g}; nothing was written"
            )
    if not plan.numeric_error(meter.squared_numeric_error, meter.moved_draws) <= plan.numeric_epsilon * (1 + TOLERANCE):
        raise PrivacyError("the noise was coarser in float64 than the plan allows; nothing was written")


def _curve(plan: PrivacyPlan) -> tuple[tuple[float, float], ...]:
    """Returns pairs that hold simultaneously. An epsilon below 0 is added to delta at 0: 1 - e^-x is at most x."""
    numeric, slack = plan.numeric_epsilon, plan.delta_selection + plan.delta_noise
    epsilons = sorted({0.0, *_CURVE, *(share * plan.epsilon for share in _CLAIM_SHARES)})
    deltas = delta_curve(planned_events(plan), [max(e - numeric, 0.0) for e in epsilons], plan.relation)
    return tuple(
        (e, min(1.0, math.exp(numeric) * d + max(numeric - e, 0.0) + slack))
        for e, d in zip(epsilons, deltas, strict=True)
    )


def _spends(meter: PrivacyMeter) -> Iterator[StageSpend]:
    """Yields the spend of each stage that has a share of the plan or read rows, in order."""
    plan, booked = meter.plan, meter.events_by_stage()
    for stage in Stage:
        events, planned = booked.get(stage, []), plan.mu_of(stage)
        if not events and not planned:
            continue
        exact = any(isinstance(event, NonPrivateDpEvent) for event in events)
        names = meter.asked(stage)
        mu, ran = (None, None) if exact else (planned, meter.spent_mu(stage))
        yield StageSpend(stage.value, asked_in_words(names), len(names), mu, _sampling_rate(plan, stage), ran)


def _sampling_rate(plan: PrivacyPlan, stage: Stage) -> float:
    """Returns the rate of the sample that a stage may read: only Adapt reads one."""
    return plan.sampling_probability if stage is Stage.ADAPT else 1.0


def _cost_in_words(spend: StageSpend) -> str:
    if spend.mu is None:
        return "no noise"
    sampled = f" on a sample of {spend.sampling_probability:.3g}" if spend.sampling_probability < 1.0 else ""
    less = spend.mu_ran is not None and spend.mu_ran < spend.mu * (1.0 - TOLERANCE)
    ran = f", of which {rounded_up(spend.mu_ran)} ran" if less and spend.mu_ran is not None else ""
    sums = "1 noisy sum" if spend.mechanisms == 1 else f"{spend.mechanisms} noisy sums"
    return f"mu {rounded_up(spend.mu)}{sampled}{ran}, {sums}"


def rounded_up(value: float, digits: int = 4) -> str:
    """Formats a cost, rounded up: a value certified at 0.99996 is never printed as less."""
    scale = 10.0**digits
    return f"{math.ceil(value * scale - 1e-9) / scale:.{digits}f}"


def _two_digits_up(delta: float) -> str:
    """Formats a delta in two digits, rounded up."""
    if not delta > 0.0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(delta)) - 1)
    return f"{math.ceil(delta / unit * (1.0 - 1e-12)) * unit:.2g}"


def _relation_in_words(plan: PrivacyPlan) -> str:
    if plan.relation is Relation.REPLACE_ONE:
        return "tables in which one unit's rows are replaced by others (replace_one)"
    return "tables that differ by one unit, added or removed (add_or_remove_one)"


def plan_in_words(plan: PrivacyPlan) -> str:
    """Describes what each stage may spend, before a row is read."""
    lines = [f"epsilon {plan.epsilon:g}, delta {plan.delta:g}, {_relation_in_words(plan)}", f"unit: {plan.unit}"]
    if plan.is_conditional:
        lines.append(f"accounting: conditional. {_CONDITIONAL}")
    whole = math.fsum(mu * mu for mu in plan.stage_mu.values())
    for stage, mu in plan.stage_mu.items():
        lines.append(f"  {stage.value:<11} mu {rounded_up(mu)} ({100.0 * mu * mu / whole:.0f} % of mu^2)")
    return "\n".join(lines)
