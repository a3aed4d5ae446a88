"""The ledger as releases use it; a start is committed before any noise is drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from threea_spark.config.ledger import LedgerConfig
from threea_spark.config.release import ReleaseConfig
from threea_spark.engine.delta import Place, history_of, table_id
from threea_spark.engine.history import first_that_takes_rows
from threea_spark.engine.session_user import session_user, utc_now
from threea_spark.errors import LedgerError
from threea_spark.privacy.account import VOID, Budget, account_of
from threea_spark.privacy.balance import Balance, balance_of
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.cohorts import EVERYONE, Cohort, versions_between
from threea_spark.privacy.entries import Entry, Holder, Kind, next_entry
from threea_spark.privacy.officers import Chains
from threea_spark.privacy.spend import Spend, planned_spend
from threea_spark.publish.ledger_books import Books

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class SourceHistory:
    """The commits of a source, read only if the composition of its releases depends on them."""

    spark: SparkSession
    place: Place

    @classmethod
    def of(cls, spark: SparkSession, config: ReleaseConfig) -> SourceHistory:
        """Returns the history of a configuration's source."""
        return cls(spark, Place.of(config.source.table, config.source.path))

    def keeps_apart(self, spends: Sequence[Spend]) -> bool:
        """Tells whether the history proves that no unit left the source, in the span that the cohorts rely on."""
        span = versions_between(spends)
        return span is not None and first_that_takes_rows(history_of(self.spark, self.place), *span) is None


@dataclass
class Ledger:
    """One release's view of the ledger; does nothing if no ledger is configured."""

    books: Books | None
    limit: Budget | None
    spend: Spend
    holder: Holder | None = None
    source: SourceHistory | None = None
    by: str | None = None
    started: Entry | None = None
    balance: Balance | None = None

    @classmethod
    def open(
        cls,
        spark: SparkSession,
        config: ReleaseConfig,
        plan: PrivacyPlan,
        *,
        release_id: str,
        cohort: Cohort = EVERYONE,
    ) -> Ledger:
        """Prepares the entry of a release that reads a cohort of the source's units."""
        ledger, spend = config.privacy.ledger, planned_spend(plan, release_id, cohort)
        if ledger is None:
            return cls(None, None, spend)
        holder, history = holder_of(spark, config), SourceHistory.of(spark, config)
        return cls(Books.of(spark, ledger), limit_of(ledger), spend, holder, history, session_user(spark))

    def start(self) -> None:
        """Books the release before a row is read.

        Raises:
          BudgetError: if it exceeds the remaining budget, or the ledger is too busy to be written.
          LedgerError: if something else has modified the ledger.
        """
        if self.books is None or self.holder is None:
            return
        holder = self.holder

        def checked(chains: Chains) -> Entry:
            self.balance = self._checked(chains, holder)
            return self._entry(chains, Kind.START, holder, self.spend.to_json())

        self.started = self.books.append(checked)

    def check(self) -> bool:
        """Makes the same checks as `start` but books nothing; tells whether there is a ledger.

        Raises:
          BudgetError, LedgerError: as `start`.
        """
        if self.books is None or self.holder is None:
            return False
        self._checked(self.books.read(), self.holder)
        return True

    def _checked(self, chains: Chains, holder: Holder) -> Balance | None:
        """Returns what the release will leave; raises if that is too little."""
        account = account_of(chains, holder)
        apart = self.source is not None and self.source.keeps_apart([*account.spent, self.spend])
        account.check(self.spend, self.limit, apart=apart)
        return balance_of(account, self.spend, self.limit, apart=apart)

    def require_counting(self) -> None:
        """Checks, right before anything is published, that the release's own entry still exists and was not voided.

        Raises:
          LedgerError: if it was voided, or the ledger was rewritten without it.
        """
        if self.books is None or self.started is None or self.holder is None:
            return
        chains, number = self.books.read(), self.started.number
        if len(chains.ledger) <= number or chains.ledger[number] != self.started:
            raise LedgerError(
                f"ledger: entry {number} is no longer this release's; nothing was written. Look at the ledger's history"
            )
        if account_of(chains, self.holder).booking(number).status == VOID:
            raise LedgerError(
                f"ledger: entry {number} was voided while the release ran; nothing was written. Run it "
                "again; it will be charged again"
            )

    def finish(self) -> None:
        """Marks the release as written."""
        self._mark(Kind.FINISH)

    def fail(self) -> None:
        """Marks the release as failed; its start still counts as spent."""
        self._mark(Kind.FAIL)

    @property
    def receipt_entry(self) -> dict[str, int | float | str] | None:
        """The start's entry, for the receipt: its number, its hash, and the budget before and after it (`Balance`).

        Anyone who keeps the hash can detect a ledger that was rewritten or cut.
        """
        if self.started is None:
            return None
        budget = {} if self.balance is None else self.balance.as_dict()
        return {"entry": self.started.number, "hash": self.started.hash, **budget}

    def _mark(self, kind: Kind) -> None:
        if self.books is None or self.started is None or self.holder is None:
            return
        holder, content = self.holder, json.dumps({"entry": self.started.number})
        self.books.append(lambda chains: self._entry(chains, kind, holder, content))

    def _entry(self, chains: Chains, kind: Kind, holder: Holder, content: str) -> Entry:
        release_id = self.spend.release_id
        return next_entry(chains.ledger, kind, holder, content=content, at=utc_now(), by=self.by, release_id=release_id)


def holder_of(spark: SparkSession, config: ReleaseConfig) -> Holder:
    """Returns the owner of the budget that a release draws on; reads no row."""
    place = Place.of(config.source.table, config.source.path)
    return Holder(str(place), table_id(spark, place), str(config.privacy.privacy_unit))


def limit_of(config: LedgerConfig | None) -> Budget | None:
    """Returns the limit that a configuration sets, if any."""
    if config is None or config.budget is None:
        return None
    return Budget(config.budget.epsilon, config.budget.delta)
