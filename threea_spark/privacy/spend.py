"""The spend that one release books on its source, and the cost of several releases together."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dp_accounting import DpEvent, GaussianDpEvent, PoissonSampledDpEvent

from threea_spark.errors import BudgetError
from threea_spark.privacy.accounting import CLAIM_SLACK, epsilon_of
from threea_spark.privacy.budget import PrivacyPlan, planned_events
from threea_spark.privacy.cohorts import EVERYONE, Cohort
from threea_spark.privacy.terms import Accounting, Relation


@dataclass(frozen=True)
class Spend:
    """The spend that one release books on its source.

    Attributes:
      release_id: The release's identifier.
      events: Its planned events, from which its noise is drawn.
      delta_outside: Delta spent outside the events: selected category names, draws that are not ideal.
      relation: The neighbouring relation of its claim.
      cohort: Which units it reads.
      accounting: What its claim covers.
      epsilon, delta: The claim; None if an entry of 0.1.0 does not record it.
      numeric: Part of epsilon reserved for float64 error; None if an entry of 0.1.0 does not record it.
    """

    release_id: str
    events: tuple[DpEvent, ...]
    delta_outside: float
    relation: Relation
    cohort: Cohort = EVERYONE
    accounting: Accounting = Accounting.END_TO_END
    epsilon: float | None = None
    delta: float | None = None
    numeric: float | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether its events cover everything it read; a conditional release also read rows without noise."""
        return self.accounting is Accounting.END_TO_END

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values, for JSON."""
        claim = {} if self.epsilon is None or self.delta is None else {"epsilon": self.epsilon, "delta": self.delta}
        return {
            "events": [_plain(event) for event in self.events],
            "delta_outside": self.delta_outside,
            "relation": self.relation.value,
            "accounting": self.accounting.value,
            **claim,
            **({} if self.numeric is None else {"numeric": self.numeric}),
            **({} if self.cohort == EVERYONE else {"cohort": asdict(self.cohort)}),
        }

    def to_json(self) -> str:
        """Returns the spend as JSON."""
        return json.dumps(self.as_dict())

    @classmethod
    def from_json(cls, release_id: str, text: str) -> Spend:
        """Rebuilds a spend from its JSON; see `from_dict`."""
        return cls.from_dict(release_id, json.loads(text))

    @classmethod
    def from_dict(cls, release_id: str, content: dict[str, Any]) -> Spend:
        """Rebuilds a spend from its plain values.

        Entries of 0.1.0 do not record their accounting. One with a single event counts as conditional: an end-to-end
        release books one event per stage that runs, so it has several; a conditional one books its mixing step.
        """
        events = tuple(_event(item) for item in content["events"])
        unsaid = Accounting.CONDITIONAL if len(events) == 1 else Accounting.END_TO_END
        named = [content.get(name) for name in ("epsilon", "delta", "numeric")]
        return cls(
            release_id,
            events,
            float(content["delta_outside"]),
            Relation(content["relation"]),
            Cohort(**content.get("cohort", {})),
            Accounting(content.get("accounting", unsaid)),
            *[None if number is None else float(number) for number in named],
        )


def planned_spend(plan: PrivacyPlan, release_id: str, cohort: Cohort = EVERYONE) -> Spend:
    """Returns what a release will spend on the units it reads if it runs to completion."""
    return Spend(
        release_id,
        tuple(planned_events(plan)),
        plan.delta_selection + plan.delta_noise,
        plan.relation,
        cohort,
        plan.accounting,
        plan.epsilon,
        plan.delta,
        plan.numeric_epsilon,
    )


def composed_epsilon(spent: Iterable[Spend], delta: float, *, near: float = 1.0) -> float:
    """Composes the events of all spends by PLD, and adds what float64 may contribute to each.

    Each release's loss is off by at most its `numeric`, and its probabilities by a factor e^numeric, except for events
    that are part of `delta_outside`: both add up (noise.py). Releases of 0.1.0 reserved CLAIM_SLACK of their epsilon
    for this, which is at most that share of the composed epsilon.

    Args:
      spent: Spends on one source and unit.
      delta: The delta of all of them together.
      near: Rough magnitude of epsilon; sets the accountant's resolution.

    Returns:
      Epsilon; inf if delta is too small, or if the spends have several relations: none of these bounds the others.
    """
    items = list(spent)
    events = [event for item in items for event in item.events]
    numeric = math.fsum(item.numeric or 0.0 for item in items)
    left = (delta - math.fsum(item.delta_outside for item in items)) * math.exp(-numeric)
    if not events:
        return 0.0
    if not left > 0.0 or not have_one_relation(items):
        return math.inf
    composed = epsilon_of(events, min(left, 1.0 - 1e-12), items[0].relation, near=near)
    unsaid = sum(item.numeric is None for item in items)
    return composed * (1.0 + unsaid * CLAIM_SLACK) + numeric


def total_epsilon(spent: Iterable[Spend], delta: float) -> float:
    """Composes all spends at `delta`; inf if `composed_epsilon` is, or if one spend is unbounded."""
    items = list(spent)
    return composed_epsilon(items, delta) if all(item.is_bounded for item in items) else math.inf


def have_one_relation(spent: Iterable[Spend]) -> bool:
    """Tells whether all spends share one neighbouring relation, so that their events can be composed."""
    return len({item.relation for item in spent}) <= 1


def check_relations(spent: Iterable[Spend]) -> None:
    """Refuses spends that cannot be composed.

    Raises:
      BudgetError: if they have several neighbouring relations.
    """
    if not have_one_relation(spent):
        raise BudgetError(
            "ledger: earlier releases of this source used another neighbouring relation; they cannot be composed. "
            "Use the same privacy.relation"
        )


def check_budget(spent: Sequence[Spend], wanted: Spend, *, epsilon: float, delta: float) -> None:
    """Refuses a release that exceeds the remaining budget; composes events by PLD instead of adding epsilons.

    Args:
      spent: Spends on the same source and unit, each bounded by its events.
      wanted: The release about to start.
      epsilon, delta: The total budget.

    Raises:
      BudgetError: naming what is spent and what is left.
    """
    everything = [*spent, wanted]
    check_relations(everything)
    needed = composed_epsilon(everything, delta, near=epsilon)
    if needed <= epsilon * (1.0 + 1e-9):
        return
    so_far = composed_epsilon(spent, delta, near=epsilon)
    raise BudgetError(
        f"ledger: the budget of this source is epsilon {epsilon:g} at delta {delta:g}; {len(spent)} earlier release(s) "
        f"spent epsilon {so_far:.4g}; with this one it would be {needed:.4g}. Lower epsilon, or raise the budget"
    )


def _plain(event: DpEvent) -> dict[str, float]:
    if isinstance(event, PoissonSampledDpEvent):
        inner = event.event
        return {"noise_multiplier": inner.noise_multiplier, "sampling_probability": event.sampling_probability}
    return {"noise_multiplier": event.noise_multiplier}


def _event(plain: dict[str, float]) -> DpEvent:
    inner = GaussianDpEvent(plain["noise_multiplier"])
    rate = plain.get("sampling_probability")
    return inner if rate is None else PoissonSampledDpEvent(rate, inner)
