"""The guarantee in words and numbers, made from the events that ran and from nothing else."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from dp_accounting import DpEvent, GaussianDpEvent, NonPrivateDpEvent, PoissonSampledDpEvent

from threea_spark.errors import PrivacyError
from threea_spark.privacy.accounting import Relation, delta_curve, epsilon_of, gaussian_mu_of, is_amplified
from threea_spark.privacy.gaussian import compose_mu
from threea_spark.privacy.mechanism import PrivacyMeter
from threea_spark.privacy.noise import numeric_epsilon
from threea_spark.privacy.plan import PrivacyPlan, Stage

_CURVE = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
_CLAIM_SHARES = tuple(step / 16.0 for step in range(1, 25))
"""Of the claimed epsilon: more points of the curve, so that it is as fine for a large claim as for a small one."""

COVERED = {
    Stage.ENCODE: "row count, column histograms, category names found in the data",
    Stage.APPROXIMATE: "sizes, marginals, means and moments of classes or clusters, correlations",
    Stage.ADAPT: "inducing points and label function; in wide tables a second look at chosen columns",
    Stage.ANONYMIZE: "released statistics or mixed rows",
}
NOT_COVERED = (
    "the configuration and the domain (column names, bounds, listed categories): public by declaration",
    "that the release ran, and how long it took",
    "figures of `threea evaluate` and of `threea report --held-out`, which are internal and never published",
)
_CONDITIONAL = (
    "NOT COVERED: the clusters and their centres were fitted on the private rows without noise. The guarantee holds "
    "for the mixing step alone, given the partition; a row's influence on the partition is not bounded."
)


@dataclass(frozen=True)
class StageSpend:
    """What one stage spent.

    Attributes:
      stage, covers: Its name, and what of the release it covers, in words.
      mechanisms: Noisy sums.
      mu: Of all of them in GDP, before sampling; None if they had no noise.
      sampling_probability: Rate of the sample that they read.
    """

    stage: str
    covers: str
    mechanisms: int
    mu: float | None
    sampling_probability: float


@dataclass(frozen=True)
class PrivacyStatement:
    """The guarantee of one release.

    Attributes:
      epsilon, delta: What was claimed and holds.
      epsilon_spent: What the PLD accountant certifies for the events that ran, at this delta; never above epsilon.
      mu: Of the whole in GDP; None where a sampled stage makes mu alone too coarse.
      curve: Pairs (epsilon, delta) of the same guarantee.
      relation, unit, accounting: In words.
      stages: What each stage spent.
      not_covered: What the guarantee says nothing about.
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
        """Plain values, for JSON."""
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
        """The guarantee as text for a person."""
        scope = "everything that read a row" if self.accounting == "end_to_end" else "the mixing step alone"
        lines = [
            f"({self.epsilon:g}, {self.delta:g})-differential privacy for {scope}.",
            f"  unit        {self.unit}",
            f"  neighbours  {self.relation}",
            f"  spent       epsilon {self.epsilon_spent:.4f} at delta {self.delta:g}"
            + (f", which is mu = {self.mu:.4f} in Gaussian DP" if self.mu is not None else ""),
        ]
        for spend in self.stages:
            cost = "no noise" if spend.mu is None else f"mu {spend.mu:.4f}"
            sampled = f" on a sample of {spend.sampling_probability:.3g}" if spend.sampling_probability < 1.0 else ""
            lines.append(f"  {spend.stage:<11} {cost}{sampled}, {spend.mechanisms} sums: {spend.covers}")
        lines.append(
            "  curve       "
            + ", ".join(f"epsilon {e:g}: delta {d:.2g}" for e, d in self.curve if e in _CURVE and d < 1.0)
        )
        lines += [f"  not covered {text}" for text in self.not_covered]
        return "\n".join(lines)


def statement_of(meter: PrivacyMeter) -> PrivacyStatement:
    """States what the booked events guarantee.

    Args:
      meter: Of the finished release.

    Raises:
      PrivacyError: if the events cost more than the plan claims; nothing may be written then.
    """
    plan = meter.plan
    claimed = _claimed_events(meter)
    delta = plan.delta_composition
    spent = epsilon_of(claimed, delta, plan.relation, near=plan.epsilon) if claimed else 0.0
    likely = plan.delta_noise - meter.unreachable_mass
    if not likely > 0.0:
        raise PrivacyError(
            f"delta {plan.delta:g} is too small for so many draws of noise; raise it. Nothing was written"
        )
    numeric = numeric_epsilon(meter.squared_numeric_error, likely)
    spent += numeric
    if not spent <= plan.epsilon:
        raise PrivacyError(f"the events cost epsilon {spent:.6g}, the claim is {plan.epsilon:g}; nothing was written")
    return PrivacyStatement(
        epsilon=plan.epsilon,
        delta=plan.delta,
        epsilon_spent=spent,
        mu=_whole_mu(claimed, plan.relation),
        curve=_curve(claimed, plan, numeric),
        relation=_relation_in_words(plan),
        unit=str(plan.unit),
        accounting=plan.accounting.value,
        stages=tuple(_spend(stage, events, plan.relation) for stage, events in meter.events_by_stage().items()),
        not_covered=_not_covered(plan),
    )


def _claimed_events(meter: PrivacyMeter) -> list[DpEvent]:
    events = meter.flat_events()
    if meter.plan.is_conditional:  # the claim is the mixing step's; the statement says what it leaves out
        return [event for event in events if not isinstance(event, NonPrivateDpEvent)]
    return events


def _curve(claimed: list[DpEvent], plan: PrivacyPlan, numeric: float) -> tuple[tuple[float, float], ...]:
    """Pairs that hold at once. An epsilon below 0 adds itself to delta at 0: 1 - e^-x is at most x."""
    epsilons = sorted({0.0, *_CURVE, *(share * plan.epsilon for share in _CLAIM_SHARES)})
    deltas = delta_curve(claimed, [max(e - numeric, 0.0) for e in epsilons], plan.relation) if claimed else []
    slack = plan.delta - plan.delta_composition
    return tuple(
        (e, min(1.0, d + max(numeric - e, 0.0) + slack))
        for e, d in zip(epsilons, deltas or [0.0] * len(epsilons), strict=True)
    )


def _whole_mu(events: list[DpEvent], relation: Relation) -> float | None:
    if is_amplified(events):
        return None
    return compose_mu(gaussian_mu_of(event, relation) for event in events if isinstance(event, GaussianDpEvent))


def _spend(stage: Stage, events: list[DpEvent], relation: Relation) -> StageSpend:
    rate, mus = 1.0, []
    for event in events:
        inner = event
        if isinstance(event, PoissonSampledDpEvent):
            rate, inner = float(event.sampling_probability), event.event
        if isinstance(inner, GaussianDpEvent):
            mus.append(gaussian_mu_of(inner, relation))
    mu = compose_mu(mus) if mus else None
    return StageSpend(stage.value, COVERED[stage], len(events), mu, rate)


def _relation_in_words(plan: PrivacyPlan) -> str:
    if plan.relation is Relation.REPLACE_ONE:
        return "tables in which one unit's rows are replaced by others (replace_one)"
    return "tables that differ by one unit, added or removed (add_or_remove_one)"


def _not_covered(plan: PrivacyPlan) -> tuple[str, ...]:
    if not plan.is_conditional:
        return NOT_COVERED
    return (_CONDITIONAL, *NOT_COVERED)


def plan_in_words(plan: PrivacyPlan) -> str:
    """What each stage may spend, before a row is read."""
    lines = [f"epsilon {plan.epsilon:g}, delta {plan.delta:g}, {_relation_in_words(plan)}", f"unit: {plan.unit}"]
    whole = math.fsum(mu * mu for mu in plan.stage_mu.values())
    for stage, mu in plan.stage_mu.items():
        lines.append(f"  {stage.value:<11} mu {mu:.4f} ({100.0 * mu * mu / whole:.0f} % of mu^2)")
    return "\n".join(lines)
