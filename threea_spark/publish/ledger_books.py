"""The tables of a ledger: its own, and the officers' where grants and voids are kept apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from threea_spark.config.ledger import LedgerConfig
from threea_spark.config.release import ReleaseConfig
from threea_spark.engine.delta import Place, table_id
from threea_spark.errors import ConfigError
from threea_spark.privacy.entries import Entry
from threea_spark.privacy.officers import Chains, Seen
from threea_spark.publish.ledger_table import ChainTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Books:
    """A ledger as a session sees it.

    Attributes:
      ledger: The table that releases append to.
      grants: The table that officers append to; None if that is the ledger too.
    """

    ledger: ChainTable
    grants: ChainTable | None

    @classmethod
    def of(cls, spark: SparkSession, config: LedgerConfig) -> Books:
        """Returns the tables that a configuration names."""
        ledger, *apart = [ChainTable(spark, Place.of(place.table, place.path)) for _, place in config.places]
        return cls(ledger, apart[0] if apart else None)

    @classmethod
    def configured(cls, spark: SparkSession, config: ReleaseConfig) -> Books:
        """Returns the tables of a release's ledger.

        Raises:
          ConfigError: if it has none.
        """
        if config.privacy.ledger is None:
            raise ConfigError("privacy.ledger: not configured; add `ledger: {table: ...}`")
        return cls.of(spark, config.privacy.ledger)

    def read(self) -> Chains:
        """Reads and verifies both chains.

        Raises:
          LedgerError: if something else has modified a table, or the ledger lacks what an officer has seen.
        """
        if self.grants is None:
            return Chains(tuple(self.ledger.read()))
        officers = self.grants.read()  # first, so that the ledger holds all that they have seen
        return Chains.of(self._ledger_id, self.ledger.read(), officers)

    def append(self, make: Callable[[Chains], Entry]) -> Entry:
        """Appends a release's entry to the ledger; `make` is called again if another entry came in between.

        Raises:
          LedgerError, BudgetError: see `ChainTable.append`.
        """
        return self.ledger.append(lambda: make(self.read()))

    def append_as_officer(self, make: Callable[[list[Entry], Seen | None], Entry]) -> Entry:
        """Appends an officer's entry to the officers' table.

        Args:
          make: Returns the entry that extends the given chain, from what the officer has seen of the ledger; None if
            the officers' table is the ledger.

        Raises:
          LedgerError, BudgetError: see `ChainTable.append`.
        """
        if self.grants is None:
            return self.ledger.append(lambda: make(self.ledger.read(), None))
        self.ledger.create()  # a grant is for one ledger, named by Delta's identifier
        grants = self.grants

        def made() -> Entry:
            officers, ledger, ledger_id = grants.read(), self.ledger.read(), self._ledger_id
            Chains.of(ledger_id, ledger, officers)
            return make(officers, Seen.now(ledger_id, ledger))

        return grants.append(made)

    @property
    def _ledger_id(self) -> str:
        return table_id(self.ledger.spark, self.ledger.place)
