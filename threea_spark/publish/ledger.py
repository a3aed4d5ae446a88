"""The ledger as releases and privacy officers use it; a start is committed before any noise is drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from threea_spark.config.release import LedgerConfig, ReleaseConfig
from threea_spark.engine.delta import Place, history_of, table_id
from threea_spark.engine.history import first_that_takes_rows
from threea_spark.errors import ConfigError, LedgerError
from threea_spark.privacy.account import VOID, Booking, Budget, account_of
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.cohorts import EVERYONE, Cohort, versions_between
from threea_spark.privacy.entries import GENESIS, Entry, Holder, Kind, next_entry
from threea_spark.privacy.spend import Spend, planned_spend
from threea_spark.publish.ledger_table import ChainTable, now

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

    table: ChainTable | None
    limit: Budget | None
    spend: Spend
    holder: Holder | None = None
    source: SourceHistory | None = None
    started: Entry | None = None

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
        history = SourceHistory.of(spark, config)
        return cls(_table(spark, ledger), _limit(ledger), spend, holder_of(spark, config), history)

    def start(self) -> None:
        """Books the release before a row is read.

        Raises:
          BudgetError: if it exceeds the remaining budget, or the ledger is too busy to be written.
          LedgerError: if something else has modified the ledger.
        """
        if self.table is None or self.holder is None:
            return
        holder = self.holder

        def checked(chain: list[Entry]) -> Entry:
            self._check(chain, holder)
            return self._entry(chain, Kind.START, holder, self.spend.to_json())

        self.started = self.table.append(checked)

    def check(self) -> bool:
        """Makes the same checks as `start` but books nothing; tells whether there is a ledger.

        Raises:
          BudgetError, LedgerError: as `start`.
        """
        if self.table is None or self.holder is None:
            return False
        self._check(self.table.read(), self.holder)
        return True

    def _check(self, chain: list[Entry], holder: Holder) -> None:
        account = account_of(chain, holder)
        apart = self.source is not None and self.source.keeps_apart([*account.spent, self.spend])
        account.check(self.spend, self.limit, apart=apart)

    def require_counting(self) -> None:
        """Checks, right before anything is published, that the release's own entry still exists and was not voided.

        Raises:
          LedgerError: if it was voided, or the ledger was rewritten without it.
        """
        if self.table is None or self.started is None or self.holder is None:
            return
        chain, number = self.table.read(), self.started.number
        if len(chain) <= number or chain[number] != self.started:
            raise LedgerError(
                f"ledger: entry {number} is no longer this release's; nothing was written. Look at the ledger's history"
            )
        if account_of(chain, self.holder).booking(number).status == VOID:
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
    def receipt_entry(self) -> dict[str, int | str] | None:
        """The start's number and hash, for the receipt: anyone who keeps it can detect a rewritten ledger."""
        return None if self.started is None else {"entry": self.started.number, "hash": self.started.hash}

    def _mark(self, kind: Kind) -> None:
        if self.table is None or self.started is None or self.holder is None:
            return
        holder, content = self.holder, json.dumps({"entry": self.started.number})
        self.table.append(lambda chain: self._entry(chain, kind, holder, content))

    def _entry(self, chain: list[Entry], kind: Kind, holder: Holder, content: str) -> Entry:
        return next_entry(chain, kind, holder, content=content, at=now(), release_id=self.spend.release_id)


def holder_of(spark: SparkSession, config: ReleaseConfig) -> Holder:
    """Returns the owner of the budget that a release draws on; reads no row."""
    place = Place.of(config.source.table, config.source.path)
    return Holder(str(place), table_id(spark, place), str(config.privacy.privacy_unit))


def grant(spark: SparkSession, config: ReleaseConfig, budget: Budget) -> Entry:
    """Sets the total budget of the configured source and unit; the newest grant applies."""
    return _append(spark, config, Kind.GRANT, budget.to_json())


def void(spark: SparkSession, config: ReleaseConfig, number: int, reason: str) -> Entry:
    """Excludes a started release from what counts, for a reason that stays on record.

    Raises:
      LedgerError: if there is no such started release of the configured source.
    """
    booking = account_of(_configured(spark, config).read(), holder_of(spark, config)).booking(number)
    content = json.dumps({"entry": number, "reason": reason})
    return _append(spark, config, Kind.VOID, content, release_id=booking.spend.release_id)


def summary(spark: SparkSession, config: ReleaseConfig) -> dict[str, object]:
    """Summarises the spend on the configured source: entries, their composition by PLD, the budget. Reads no row of it.

    `spent_epsilon` is inf if no epsilon bounds everything that counts; `notes` say why, and what was left out.
    """
    chain, holder = _configured(spark, config).read(), holder_of(spark, config)
    account, limit = account_of(chain, holder), _limit(config.privacy.ledger)
    apart = SourceHistory.of(spark, config).keeps_apart(account.spent)
    delta = (account.granted or limit or Budget(0.0, config.privacy.delta)).delta
    return {
        "source": holder.source,
        "unit": holder.unit,
        "granted": None if account.granted is None else asdict(account.granted),
        "limit": None if limit is None else {"epsilon": limit.epsilon, "delta": limit.delta},
        "spent_epsilon": account.spent_epsilon(delta, apart=apart),
        "at_delta": delta,
        "conditional_releases": len(account.unbounded),
        "notes": account.notes(),
        "head": chain[-1].hash if chain else GENESIS,
        "entries": [_line(booking) for booking in account.bookings],
    }


def _line(booking: Booking) -> dict[str, object]:
    spend = booking.spend
    return {
        "entry": booking.number,
        "release_id": spend.release_id,
        "unit": booking.unit,
        "status": booking.status,
        "at": booking.at,
        "epsilon": spend.epsilon,
        "delta": spend.delta,
        "accounting": spend.accounting.value,
    }


def _append(spark: SparkSession, config: ReleaseConfig, kind: Kind, content: str, *, release_id: str = "") -> Entry:
    holder = holder_of(spark, config)
    return _configured(spark, config).append(
        lambda chain: next_entry(chain, kind, holder, content=content, at=now(), release_id=release_id)
    )


def _table(spark: SparkSession, config: LedgerConfig) -> ChainTable:
    return ChainTable(spark, Place.of(config.table, config.path))


def _configured(spark: SparkSession, config: ReleaseConfig) -> ChainTable:
    if config.privacy.ledger is None:
        raise ConfigError("privacy.ledger: not configured; add `ledger: {table: ...}`")
    return _table(spark, config.privacy.ledger)


def _limit(config: LedgerConfig | None) -> Budget | None:
    if config is None or config.budget is None:
        return None
    return Budget(config.budget.epsilon, config.budget.delta)
