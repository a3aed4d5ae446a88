"""What releases leave of a budget: public numbers, composed of claims and planned events."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from threea_spark.privacy.account import STARTED, VOID, Account, Booking, Budget
from threea_spark.privacy.entries import Entry
from threea_spark.privacy.spend import Spend


@dataclass(frozen=True)
class Balance:
    """A budget before and after one release; every epsilon is composed by PLD at the budget's delta.

    Attributes:
      budget: The grant, or the configuration's limit if there is none.
      before: Epsilon spent by the releases that count without this one; inf if nothing bounds it.
      after: Epsilon spent by all of them and this one.
    """

    budget: Budget
    before: float
    after: float

    @property
    def left(self) -> float:
        """Epsilon that is left after the release, at least 0."""
        return max(0.0, self.budget.epsilon - self.after)

    def as_dict(self) -> dict[str, float]:
        """Returns plain values, without those that nothing bounds."""
        spent = {
            "spent_epsilon_before": self.before,
            "spent_epsilon_after": self.after,
            "left_epsilon": self.left if math.isfinite(self.after) else math.inf,
        }
        known = {name: value for name, value in spent.items() if math.isfinite(value)}
        return {"granted_epsilon": self.budget.epsilon, "granted_delta": self.budget.delta, **known}


def balance_of(account: Account, wanted: Spend, limit: Budget | None, *, apart: bool) -> Balance | None:
    """Returns what a release that is about to start leaves; None without a budget.

    Args:
      account: The account before the release.
      wanted: What it will spend.
      limit: The budget in its configuration, if any.
      apart: Whether no unit ever left the source between the versions that were read.
    """
    budget = account.granted or limit
    if budget is None:
        return None
    entry = Entry(-1, "", "", "", account.unit, wanted.release_id, "", "", "")
    then = replace(account, bookings=(*account.bookings, Booking(wanted, STARTED, entry)))
    before, after = (held.spent_epsilon(budget.delta, apart=apart) for held in (account, then))
    return Balance(budget, before, after)


def spent_after_each(account: Account, delta: float, *, apart: bool) -> Iterator[float | None]:
    """Yields what the account had spent after each of its bookings, by today's outcomes; None for one that is void.

    Args:
      account: The account.
      delta: The delta at which spends are composed.
      apart: Whether no unit ever left the source between the versions that were read.
    """
    for index, booking in enumerate(account.bookings):
        until = replace(account, bookings=account.bookings[: index + 1])
        yield None if booking.status == VOID else until.spent_epsilon(delta, apart=apart)
