"""The total spent on a source: its account, the composition of its releases, and whether one more release fits.

A started release counts as spent, whatever happens later, until a privacy officer voids it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from threea_spark.errors import BudgetError, LedgerError
from threea_spark.privacy.cohorts import EVERYONE, concerning_one_unit
from threea_spark.privacy.entries import Entry, Holder, Kind
from threea_spark.privacy.officers import Chains
from threea_spark.privacy.spend import Spend, check_budget, check_relations, have_one_relation, total_epsilon

STARTED, FINISHED, FAILED, VOID = "started", "finished", "failed", "void"
_STATUS = {Kind.FINISH.value: FINISHED, Kind.FAIL.value: FAILED, Kind.VOID.value: VOID}


@dataclass(frozen=True)
class Budget:
    """The most that may be spent in total.

    Attributes:
      epsilon, delta: The limits on all releases together.
      allow_conditional: Whether releases that read rows without noise may run as well, although no epsilon bounds them.
    """

    epsilon: float
    delta: float
    allow_conditional: bool = False

    def to_json(self) -> str:
        """Returns the budget as JSON; without `allow_conditional`, in the format of 0.1.0."""
        content = asdict(self)
        if not self.allow_conditional:
            del content["allow_conditional"]
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> Budget:
        """Rebuilds a budget from a grant's content."""
        content = json.loads(text)
        return cls(content["epsilon"], content["delta"], content.get("allow_conditional", False))


@dataclass(frozen=True)
class Booking:
    """One started release: what it spends, its outcome, and its entry."""

    spend: Spend
    status: str
    entry: Entry

    @property
    def number(self) -> int:
        """The number of its entry."""
        return self.entry.number


@dataclass(frozen=True)
class Account:
    """Everything the ledger records about one source and one unit of privacy.

    Attributes:
      granted: The newest grant; None if no officer has granted a budget.
      bookings: Started releases of the source, whatever their unit, oldest first.
      unit: The account's unit of privacy.
      needs_grant: Whether only a grant lets a release start, not a budget in its configuration.
    """

    granted: Budget | None
    bookings: tuple[Booking, ...]
    unit: str
    needs_grant: bool = False

    @property
    def counting(self) -> tuple[Spend, ...]:
        """The spends that count: those of all releases that started and were not voided.

        Raises:
          BudgetError: if one of them protects another unit.
        """
        counting = [booking for booking in self.bookings if booking.status != VOID]
        if others := sorted({booking.entry.unit for booking in counting} - {self.unit}):
            raise BudgetError(
                f"ledger: earlier releases of this source protect another unit ({', '.join(others)}), this one "
                f"{self.unit}; they cannot be composed. Use the same privacy.unit"
            )
        return tuple(booking.spend for booking in counting)

    @property
    def spent(self) -> tuple[Spend, ...]:
        """The spends that count and are bounded by their events, so they can be composed; raises like `counting`."""
        return tuple(spend for spend in self.counting if spend.is_bounded)

    @property
    def unbounded(self) -> tuple[Spend, ...]:
        """The spends that count but read rows without noise: conditional releases; raises like `counting`."""
        return tuple(spend for spend in self.counting if not spend.is_bounded)

    @property
    def allows_conditional(self) -> bool:
        """Whether an officer allows conditional releases beside the sum; a configuration cannot allow them."""
        return self.granted is not None and self.granted.allow_conditional

    def spent_on_one_unit(self, *, apart: bool) -> list[tuple[Spend, ...]]:
        """Groups the spends so that all releases that may have read one unit are in one group.

        Args:
          apart: Whether no unit ever left the source between the versions that were read; if not, all are one group.
        """
        return concerning_one_unit(self.spent) if apart else [self.spent]

    def spent_epsilon(self, delta: float, *, apart: bool) -> float:
        """Composes everything that counts, except conditional releases that an officer allowed.

        Args:
          delta: The delta at which the spends are composed.
          apart: As in `spent_on_one_unit`.

        Returns:
          Epsilon; inf if there are conditional releases that are not allowed, or if relations are mixed: see `notes`.
        """
        if (self.unbounded and not self.allows_conditional) or not have_one_relation(self.spent):
            return float("inf")
        return max((total_epsilon(group, delta) for group in self.spent_on_one_unit(apart=apart)), default=0.0)

    def notes(self) -> list[str]:
        """Explains what the sum leaves out, one line each."""
        lines = []
        if self.unbounded:
            left_out = "left out of what is spent, as the grant allows" if self.allows_conditional else "not allowed"
            lines.append(
                f"{len(self.unbounded)} conditional release(s): rows were read without noise; no epsilon bounds them "
                f"({left_out})"
            )
        if not have_one_relation(self.spent):
            lines.append(
                "releases of several neighbouring relations (add_or_remove_one, replace_one): no epsilon is stated for "
                "them together, and no further release starts"
            )
        return lines

    def check(self, wanted: Spend, limit: Budget | None, *, apart: bool = False) -> None:
        """Refuses a release that exceeds the grant or a lower limit in the configuration.

        Args:
          wanted: The release about to start.
          limit: The limit in its configuration, if any.
          apart: As in `spent_on_one_unit`.

        Raises:
          BudgetError: naming what is spent and what is left; or if no budget was granted, the grant does not allow
            conditional releases, or relations differ anywhere in the account.
        """
        budgets = [budget for budget in (self.granted, limit) if budget is not None]
        if not budgets or (self.needs_grant and self.granted is None):
            beside = "" if self.needs_grant else ", or set privacy.ledger.budget"
            raise BudgetError(
                "ledger: no budget was granted for this source and unit; ask an officer to run `threea ledger grant`"
                + beside
            )
        if not self.allows_conditional:
            _check_bounded(wanted, self.unbounded)
        if not wanted.is_bounded:
            return
        check_relations([*self.spent, wanted])
        groups = concerning_one_unit([*self.spent, wanted]) if apart else [(*self.spent, wanted)]
        for budget in budgets:
            for group in groups:
                if group[-1] is wanted:
                    check_budget(group[:-1], wanted, epsilon=budget.epsilon, delta=budget.delta)

    def booking(self, number: int) -> Booking:
        """Returns the started release with this entry number.

        Raises:
          LedgerError: if there is none.
        """
        found = [booking for booking in self.bookings if booking.number == number]
        if not found:
            numbers = ", ".join(str(booking.number) for booking in self.bookings) or "none"
            raise LedgerError(f"ledger: entry {number} is not a started release of this source; those are: {numbers}")
        return found[0]


def account_of(chains: Chains, holder: Holder) -> Account:
    """Reads one account from a ledger's verified chains.

    A release that was voided and then failed stays void. One that was voided while it ran but finished anyway has
    been published, and counts again until it is voided after that.
    """
    own = [entry for entry in chains.in_order() if holder.owns(entry)]
    grants = [entry for entry in own if entry.kind == Kind.GRANT and entry.unit == holder.unit]
    status: dict[int, str] = {}
    for entry in own:
        if entry.kind in _STATUS:
            number = int(json.loads(entry.content)["entry"])
            is_late = entry.kind == Kind.FAIL and status.get(number) == VOID
            status[number] = VOID if is_late else _STATUS[entry.kind]
    started = [entry for entry in own if entry.kind == Kind.START]
    bookings = tuple(Booking(_spend_of(e, holder), status.get(e.number, STARTED), e) for e in started)
    granted = Budget.from_json(grants[-1].content) if grants else None
    return Account(granted, bookings, holder.unit, chains.officers is not None)


def _spend_of(entry: Entry, holder: Holder) -> Spend:
    """Returns what an entry books, with its cohort only if it read this very table and not another of the same name."""
    spend = Spend.from_json(entry.release_id, entry.content)
    same = bool(holder.source_id) and entry.source_id == holder.source_id
    return spend if same else replace(spend, cohort=EVERYONE)


def _check_bounded(wanted: Spend, unbounded: Sequence[Spend]) -> None:
    """Refuses anything that no epsilon bounds, under a budget that does not explicitly allow it."""
    if not wanted.is_bounded:
        raise BudgetError(
            "ledger: privacy.accounting: conditional reads rows without noise, so no epsilon budget can cover it. Use "
            "end_to_end, or ask an officer to run `threea ledger grant --allow-conditional`"
        )
    if unbounded:
        raise BudgetError(
            f"ledger: {len(unbounded)} earlier conditional release(s) of this source read rows without noise, so no "
            "epsilon bounds what was spent. An officer can accept them with `threea ledger grant --allow-conditional`"
        )
