"""The chain of ledger entries as a Delta table: append only, one entry per commit; if two race, one is refused.

An append is a MERGE that reads the whole table under serializable isolation: it conflicts with any concurrent commit,
and the caller then decides again on the table's new state.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from threea_spark.engine.delta import Place, exists, read_latest
from threea_spark.engine.quiet import is_conflict
from threea_spark.errors import BudgetError, LedgerError
from threea_spark.privacy.entries import Entry, verify

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("threea_spark")

_NAMES = tuple(field.name for field in fields(Entry))
_COLUMNS = ", ".join(f"`{name}` {'bigint' if name == 'number' else 'string'}" for name in _NAMES)
_ATTEMPTS = 20
_MAX_WAIT_S = 2.0


@dataclass(frozen=True)
class ChainTable:
    """The Delta table that stores a ledger."""

    spark: SparkSession
    place: Place

    def read(self) -> list[Entry]:
        """Returns all entries ordered by number, verified; none if the table does not exist yet.

        Raises:
          LedgerError: if something else has modified the table.
        """
        if not exists(self.spark, self.place):
            return []
        table = read_latest(self.spark, self.place)
        if missing := [name for name in _NAMES if name not in table.columns]:
            raise LedgerError(f"ledger: {self.place} is not a ledger, it lacks column {missing[0]!r}; name another one")
        rows = table.orderBy("number").collect()  # bounded: a few rows per release
        chain = [Entry(**{name: row[name] for name in _NAMES}) for row in rows]
        verify(chain)
        return chain

    def append(self, make: Callable[[list[Entry]], Entry]) -> Entry:
        """Appends the entry that `make` returns for the current chain; calls it again if another entry came in between.

        Raises:
          LedgerError: if something else has modified the table.
          BudgetError: if it is too busy to be written.
        """
        if not exists(self.spark, self.place):
            self.spark.sql(
                f"CREATE TABLE IF NOT EXISTS {self.place.identifier} ({_COLUMNS}) USING delta TBLPROPERTIES "
                "('delta.isolationLevel' = 'Serializable', 'delta.appendOnly' = 'true')"
            )
        for attempt in range(_ATTEMPTS):
            entry = make(self.read())
            if self._commit(entry):
                return entry
            log.info("the ledger changed in the meantime; deciding again")
            time.sleep(random.uniform(0.0, _MAX_WAIT_S * min(1.0, (attempt + 1) / 8)))
        raise BudgetError(f"ledger: {self.place} is being written by other releases; try again")

    def _commit(self, entry: Entry) -> bool:
        """Inserts the entry; returns False if another one took its number."""
        view = f"threea_entry_{entry.hash[:16]}"
        columns = ", ".join(f"`{name}`" for name in _NAMES)
        values = ", ".join(f"entry.`{name}`" for name in _NAMES)
        self.spark.createDataFrame([tuple(asdict(entry).values())], _COLUMNS).createOrReplaceTempView(view)
        try:
            self.spark.sql(  # all names are quoted identifiers or columns of our own
                f"MERGE INTO {self.place.identifier} AS ledger USING {view} AS entry ON ledger.number = entry.number "  # noqa: S608
                f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
            )
        except Exception as error:  # classic Spark raises Java's own where PySpark has no class for it
            if is_conflict(error):
                return False
            raise
        finally:
            self.spark.catalog.dropTempView(view)
        chain = self.read()
        return len(chain) > entry.number and chain[entry.number] == entry


def now() -> str:
    """Returns this machine's UTC time, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
