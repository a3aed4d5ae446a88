"""The ledger as a Delta table: a start is committed before the first draw, and of two racing starts one is refused.

A start is a MERGE that reads the whole ledger under serializable isolation: a commit that came in between makes it
conflict, and the budget is then checked anew on what stands there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from threea_spark.config import LedgerConfig, ReleaseConfig
from threea_spark.errors import BudgetError
from threea_spark.places import Place, exists
from threea_spark.privacy.ledger import (
    FAILED,
    FINISHED,
    STARTED,
    VOID,
    Spend,
    check_budget,
    planned_spend,
    total_epsilon,
)
from threea_spark.privacy.plan import PrivacyPlan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger("threea_spark")

_COLUMNS = (
    "entry_id string, release_id string, source string, unit string, status string, epsilon double, delta double, "
    "spend string, at timestamp"
)
_ATTEMPTS = 10


def ledger_place(config: LedgerConfig) -> Place:
    """Where the ledger stands."""
    return Place.of(config.table, config.path)


def entries(spark: SparkSession, place: Place) -> DataFrame:
    """All entries of a ledger, oldest first. Internal: it names releases, never rows."""
    return spark.sql(f"SELECT * FROM {place.identifier} ORDER BY at, entry_id")


@dataclass
class Ledger:
    """One release's view of the ledger; does nothing where none is configured."""

    spark: SparkSession
    config: LedgerConfig | None
    spend: Spend
    source: str
    unit: str
    epsilon: float
    delta: float
    entry_id: str = ""

    @classmethod
    def open(
        cls, spark: SparkSession, config: ReleaseConfig, plan: PrivacyPlan, *, source: str, release_id: str
    ) -> Ledger:
        """Prepares the entry of a release."""
        spend = planned_spend(plan, release_id)
        return cls(spark, config.privacy.ledger, spend, source, str(plan.unit), plan.epsilon, plan.delta)

    def start(self) -> None:
        """Books the release before a row is read.

        Raises:
          BudgetError: if the rest of the budget does not hold it, or the ledger is too busy to be written.
        """
        if self.config is None:
            return
        place = ledger_place(self.config)
        if not exists(self.spark, place):
            self.spark.sql(
                f"CREATE TABLE IF NOT EXISTS {place.identifier} ({_COLUMNS}) USING delta "
                "TBLPROPERTIES ('delta.isolationLevel' = 'Serializable')"
            )
        for _ in range(_ATTEMPTS):
            spent, count = self._spent(place)
            check_budget(spent, self.spend, epsilon=self.config.budget.epsilon, delta=self.config.budget.delta)
            self.entry_id = f"{count:06d}"
            if self._commit(place):
                return
        raise BudgetError(f"ledger: {place} is being written by other releases; try again")

    def finish(self) -> None:
        """Marks the release as written."""
        self._mark(FINISHED)

    def fail(self) -> None:
        """Marks the release as failed; what it started counts as spent."""
        self._mark(FAILED)

    def _spent(self, place: Place) -> tuple[list[Spend], int]:
        rows = entries(self.spark, place).collect()  # bounded: one row a release
        own = [row for row in rows if row["source"] == self.source and row["status"] != VOID]
        return [Spend.from_json(row["release_id"], row["spend"]) for row in own], len(rows)

    def _commit(self, place: Place) -> bool:
        """Inserts the entry under its number; False if another release took the number meanwhile."""
        from pyspark.errors import PySparkException

        new = self.spark.createDataFrame(
            [
                (
                    self.entry_id,
                    self.spend.release_id,
                    self.source,
                    self.unit,
                    STARTED,
                    self.epsilon,
                    self.delta,
                    self.spend.to_json(),
                )
            ],
            _COLUMNS.removesuffix(", at timestamp"),
        )
        view = f"threea_entry_{self.entry_id}_{self.spend.release_id.replace('-', '_')}"
        new.createOrReplaceTempView(view)
        try:
            self.spark.sql(
                f"MERGE INTO {place.identifier} AS ledger USING {view} AS entry ON ledger.entry_id = entry.entry_id "
                "WHEN NOT MATCHED THEN INSERT (entry_id, release_id, source, unit, status, epsilon, delta, spend, at) "
                "VALUES (entry.entry_id, entry.release_id, entry.source, entry.unit, entry.status, entry.epsilon, "
                "entry.delta, entry.spend, current_timestamp())"
            )
        except PySparkException as error:
            if "Concurrent" in str(error) or "DELTA_CONCURRENT" in str(error):
                log.info("the ledger changed meanwhile; checking the budget again")
                return False
            raise
        finally:
            self.spark.catalog.dropTempView(view)
        found = entries(self.spark, place).collect()  # bounded: one row a release
        written = [row for row in found if row["entry_id"] == self.entry_id]
        return bool(written) and written[0]["release_id"] == self.spend.release_id

    def _mark(self, status: str) -> None:
        if self.config is None:
            return
        self.spark.sql(
            f"UPDATE {ledger_place(self.config).identifier} SET status = '{status}' WHERE entry_id = '{self.entry_id}'"
        )


def summary(spark: SparkSession, config: ReleaseConfig) -> dict[str, object]:
    """What was spent on the configured source: entries, their composition by PLD, the budget. Reads no row of it."""
    ledger = config.privacy.ledger
    if ledger is None or not exists(spark, ledger_place(ledger)):
        return {"source": str(config.source), "spent_epsilon": 0.0, "entries": []}
    rows = entries(spark, ledger_place(ledger)).collect()  # bounded: one row a release
    own = [row for row in rows if row["source"] == str(config.source)]
    spends = [Spend.from_json(row["release_id"], row["spend"]) for row in own if row["status"] != VOID]
    names = ("entry_id", "release_id", "status", "epsilon", "delta")
    return {
        "source": str(config.source),
        "budget_epsilon": ledger.budget.epsilon,
        "budget_delta": ledger.budget.delta,
        "spent_epsilon": total_epsilon(spends, ledger.budget.delta),
        "entries": [{name: row[name] for name in names} for row in own],
    }
