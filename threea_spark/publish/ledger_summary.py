"""What a ledger says about one source and unit: budgets, releases, what each left, and who wrote what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import LedgerError
from threea_spark.privacy.account import VOID, Account, Booking, Budget, account_of
from threea_spark.privacy.balance import spent_after_each
from threea_spark.privacy.entries import Entry, Kind, head_of
from threea_spark.privacy.officers import OFFICERS
from threea_spark.publish.ledger import SourceHistory, holder_of, limit_of
from threea_spark.publish.ledger_books import Books

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from threea_spark.publish.receipt import Receipt

COMPOSED = (
    "releases compose by privacy loss distributions, below the sum of their epsilons: two of epsilon 1 may fit in 1.5, "
    "so a release may claim more than what is left"
)


def summary(spark: SparkSession, config: ReleaseConfig) -> dict[str, Any]:
    """Summarises the spend on the configured source: entries, their composition by PLD, the budget. Reads no row of it.

    `spent_epsilon` is inf if no epsilon bounds everything that counts; `notes` say why, and what was left out.
    `left_epsilon` is of the grant or, without one, of the configuration's limit; None without either.
    """
    books, holder = Books.configured(spark, config), holder_of(spark, config)
    chains = books.read()
    account, limit = account_of(chains, holder), limit_of(config.privacy.ledger)
    apart = SourceHistory.of(spark, config).keeps_apart(account.spent)
    budget = account.granted or (None if account.needs_grant else limit)
    delta = (account.granted or limit or Budget(0.0, config.privacy.delta)).delta
    spent = account.spent_epsilon(delta, apart=apart)
    own = [entry for entry in chains.in_order() if holder.owns(entry) and entry.kind in OFFICERS]
    return {
        "source": holder.source,
        "unit": holder.unit,
        "ledger": str(books.ledger.place),
        "grants": None if books.grants is None else str(books.grants.place),
        "granted": None if account.granted is None else asdict(account.granted),
        "limit": None if limit is None else {"epsilon": limit.epsilon, "delta": limit.delta},
        "spent_epsilon": spent,
        "left_epsilon": _left(budget, spent),
        "at_delta": delta,
        "conditional_releases": len(account.unbounded),
        "notes": [*account.notes(), *_of_one_hand(account, own), *([COMPOSED] if account.spent else [])],
        "head": head_of(chains.ledger),
        "entries": list(_releases(account, budget, delta, apart=apart)),
        "officers": [_by_officer(entry) for entry in own],
    }


def check_receipt(spark: SparkSession, config: ReleaseConfig, receipt: Receipt) -> None:
    """Checks that the ledger still holds the entry of a receipt: one that was cut or rewritten does not.

    Raises:
      LedgerError: if it does not, or the receipt names no entry.
    """
    chain = Books.configured(spark, config).read().ledger
    named = receipt.ledger
    if named is None:
        raise LedgerError(f"ledger: the receipt of release {receipt.release_id} names no entry; it was never booked")
    number = int(named["entry"])
    if number >= len(chain) or chain[number].hash != named["hash"]:
        raise LedgerError(
            f"ledger: entry {number} is not the one on the receipt of release {receipt.release_id}; the ledger was cut "
            "or rewritten since. Restore the last intact version from the table's history"
        )


def _left(budget: Budget | None, spent: float) -> float | None:
    return None if budget is None else max(0.0, budget.epsilon - spent)


def _releases(account: Account, budget: Budget | None, delta: float, *, apart: bool) -> Iterator[dict[str, Any]]:
    """Yields one line for each started release, with what was spent and left after it of today's budget."""
    for booking, spent in zip(account.bookings, spent_after_each(account, delta, apart=apart), strict=True):
        left = None if spent is None else _left(budget, spent)
        yield {**_claimed(booking), "spent_epsilon_after": spent, "left_epsilon": left}


def _claimed(booking: Booking) -> dict[str, Any]:
    spend, entry = booking.spend, booking.entry
    return {
        "entry": booking.number,
        "release_id": spend.release_id,
        "unit": entry.unit,
        "status": booking.status,
        "at": entry.at,
        "by": entry.by,
        "hash": entry.hash,
        "epsilon": spend.epsilon,
        "delta": spend.delta,
        "accounting": spend.accounting.value,
    }


def _by_officer(entry: Entry) -> dict[str, Any]:
    """Returns a grant's budget, or the number and reason of a void, with who wrote it and when."""
    content = json.loads(entry.content)
    if entry.kind == Kind.GRANT:
        written = asdict(Budget.from_json(entry.content)) | {"unit": entry.unit}
    else:
        written = {"voided": content["entry"], "reason": content["reason"], "release_id": entry.release_id}
    return {"entry": entry.number, "kind": entry.kind, **written, "at": entry.at, "by": entry.by, "hash": entry.hash}


def _of_one_hand(account: Account, officers: list[Entry]) -> list[str]:
    """Says who both granted and released, where a table of grants is to keep these apart."""
    if not account.needs_grant:
        return []
    released = {booking.entry.by for booking in account.bookings if booking.status != VOID}
    both = sorted({entry.by for entry in officers if entry.by is not None} & released)
    return [f"{name} wrote grants or voids and releases too: these are meant to be different people" for name in both]
