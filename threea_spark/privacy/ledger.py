"""What was spent on a source in total: its account, the composition, and whether one more release fits.

A started release counts as spent, whatever became of it, until an officer voids it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from dp_accounting import DpEvent, GaussianDpEvent, PoissonSampledDpEvent

from threea_spark.errors import BudgetError, LedgerError
from threea_spark.privacy.accounting import Relation, epsilon_of
from threea_spark.privacy.cohorts import EVERYONE, Cohort, concerning_one_unit
from threea_spark.privacy.entries import Entry, Holder, Kind
from threea_spark.privacy.plan import PrivacyPlan, planned_events

STARTED, FINISHED, FAILED, VOID = "started", "finished", "failed", "void"
_STATUS = {Kind.FINISH.value: FINISHED, Kind.FAIL.value: FAILED, Kind.VOID.value: VOID}


@dataclass(frozen=True)
class Spend:
    """What one release books on its source.

    Attributes:
      release_id: Whose.
      events: Its planned events, from which its noise is drawn.
      delta_outside: Delta spent outside the events: selected category names, draws that are not ideal.
      relation: Of its claim.
      cohort: Which units it reads.
    """

    release_id: str
    events: tuple[DpEvent, ...]
    delta_outside: float
    relation: Relation
    cohort: Cohort = EVERYONE

    def to_json(self) -> str:
        """The spend as JSON."""
        return json.dumps(
            {
                "events": [_plain(event) for event in self.events],
                "delta_outside": self.delta_outside,
                "relation": self.relation.value,
                **({} if self.cohort == EVERYONE else {"cohort": asdict(self.cohort)}),
            }
        )

    @classmethod
    def from_json(cls, release_id: str, text: str) -> Spend:
        """Rebuilds a spend from its JSON."""
        content = json.loads(text)
        events = tuple(_event(item) for item in content["events"])
        relation, cohort = Relation(content["relation"]), Cohort(**content.get("cohort", {}))
        return cls(release_id, events, float(content["delta_outside"]), relation, cohort)


def planned_spend(plan: PrivacyPlan, release_id: str, cohort: Cohort = EVERYONE) -> Spend:
    """What a release will spend on the units it reads if it runs to its end."""
    outside = plan.delta - plan.delta_composition
    return Spend(release_id, tuple(planned_events(plan)), outside, plan.relation, cohort)


@dataclass(frozen=True)
class Budget:
    """What may be spent in total."""

    epsilon: float
    delta: float

    def to_json(self) -> str:
        """The budget as JSON."""
        return json.dumps({"epsilon": self.epsilon, "delta": self.delta})


@dataclass(frozen=True)
class Booking:
    """One started release, and what became of it."""

    number: int
    spend: Spend
    unit: str
    status: str
    at: str


@dataclass(frozen=True)
class Account:
    """All that the ledger says about one source and one unit of privacy.

    Attributes:
      granted: The newest grant; None where no officer gave one.
      bookings: Started releases of the source, whatever their unit, oldest first.
      unit: Of the account.
    """

    granted: Budget | None
    bookings: tuple[Booking, ...]
    unit: str

    @property
    def spent(self) -> tuple[Spend, ...]:
        """What counts: all that started and was not voided.

        Raises:
          BudgetError: if some of it protects another unit.
        """
        counting = [booking for booking in self.bookings if booking.status != VOID]
        if others := sorted({booking.unit for booking in counting} - {self.unit}):
            raise BudgetError(
                f"ledger: earlier releases of this source protect another unit ({', '.join(others)}), this one "
                f"{self.unit}; they cannot be composed. Use the same privacy.unit"
            )
        return tuple(booking.spend for booking in counting)

    def spent_on_one_unit(self, *, apart: bool) -> list[tuple[Spend, ...]]:
        """Sets of releases of which any unit was in one at most.

        Args:
          apart: Whether no unit ever left the source between the versions that were read; else all are one set.
        """
        return concerning_one_unit(self.spent) if apart else [self.spent]

    def check(self, wanted: Spend, limit: Budget | None, *, apart: bool = False) -> None:
        """Refuses a release that the grant, or a lower limit of the configuration, does not hold.

        Args:
          wanted: The release to come.
          limit: Of its configuration.
          apart: As in `spent_on_one_unit`.

        Raises:
          BudgetError: naming what is spent and what is left, or that no budget was given.
        """
        budgets = [budget for budget in (self.granted, limit) if budget is not None]
        if not budgets:
            raise BudgetError(
                "ledger: no budget was granted for this source and unit; an officer gives one with "
                "`threea ledger grant`, or privacy.ledger.budget states it"
            )
        groups = concerning_one_unit([*self.spent, wanted]) if apart else [(*self.spent, wanted)]
        for budget in budgets:
            for group in groups:
                if group[-1] is wanted:
                    check_budget(group[:-1], wanted, epsilon=budget.epsilon, delta=budget.delta)

    def booking(self, number: int) -> Booking:
        """The started release at a number.

        Raises:
          LedgerError: if there is none.
        """
        found = [booking for booking in self.bookings if booking.number == number]
        if not found:
            numbers = ", ".join(str(booking.number) for booking in self.bookings) or "none"
            raise LedgerError(f"ledger: entry {number} is no started release of this source; there are: {numbers}")
        return found[0]


def account_of(chain: Sequence[Entry], holder: Holder) -> Account:
    """Reads one account from a verified chain."""
    own = [entry for entry in chain if holder.owns(entry)]
    grants = [entry for entry in own if entry.kind == Kind.GRANT and entry.unit == holder.unit]
    status: dict[int, str] = {}
    for entry in own:
        if entry.kind in _STATUS:
            number = int(json.loads(entry.content)["entry"])
            status[number] = VOID if status.get(number) == VOID else _STATUS[entry.kind]
    started = [entry for entry in own if entry.kind == Kind.START]
    bookings = tuple(
        Booking(e.number, _spend_of(e, holder), e.unit, status.get(e.number, STARTED), e.at) for e in started
    )
    return Account(Budget(**json.loads(grants[-1].content)) if grants else None, bookings, holder.unit)


def _spend_of(entry: Entry, holder: Holder) -> Spend:
    """What an entry books; the versions of another table that stood under the same name say nothing about this one."""
    spend = Spend.from_json(entry.release_id, entry.content)
    same = bool(holder.source_id) and entry.source_id == holder.source_id
    return spend if same else replace(spend, cohort=EVERYONE)


def check_budget(spent: Sequence[Spend], wanted: Spend, *, epsilon: float, delta: float) -> None:
    """Refuses a release that the rest of the budget does not hold; composes events by PLD, not sums of epsilons.

    Args:
      spent: Of the same source and unit.
      wanted: The release to come.
      epsilon, delta: The budget in total.

    Raises:
      BudgetError: naming what is spent and what is left.
    """
    if any(item.relation is not wanted.relation for item in spent):
        raise BudgetError(
            "ledger: earlier releases of this source used another neighbouring relation; they cannot be composed. "
            "Use the same privacy.relation"
        )
    everything = [*spent, wanted]
    left = delta - sum(item.delta_outside for item in everything)
    events = [event for item in everything for event in item.events]
    needed = epsilon_of(events, left, wanted.relation, near=epsilon) if left > 0.0 else float("inf")
    if needed <= epsilon * (1.0 + 1e-9):
        return
    before = [event for item in spent for event in item.events]
    at = left + wanted.delta_outside
    so_far = epsilon_of(before, at, wanted.relation, near=epsilon) if before and at > 0.0 else 0.0
    raise BudgetError(
        f"ledger: the budget of this source is epsilon {epsilon:g} at delta {delta:g}; {len(spent)} earlier release(s) "
        f"spent epsilon {so_far:.4g}, with this one it would be {needed:.4g}. Lower epsilon, or raise the budget"
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


def total_epsilon(spent: Iterable[Spend], delta: float) -> float:
    """Epsilon of all the spends together at `delta`, by PLD; inf if delta is too small for them."""
    items = list(spent)
    events = [event for item in items for event in item.events]
    left = delta - sum(item.delta_outside for item in items)
    if not events:
        return 0.0
    return epsilon_of(events, left, items[0].relation) if left > 0.0 else float("inf")
