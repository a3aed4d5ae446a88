"""A chain of ledger entries as a Delta table: append only, one entry per commit; if two race, one is refused.

An append is a MERGE that reads the whole table under serializable isolation: it conflicts with any concurrent commit,
and the caller then decides again on the table's new state.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import pyarrow as pa

from threea_spark.engine.delta import Place, exists, read_latest
from threea_spark.engine.quiet import is_conflict
from threea_spark.errors import BudgetError, LedgerError
from threea_spark.privacy.entries import Entry, verify

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("threea_spark")

_TYPES = {field.name: "bigint" if field.name == "number" else "string" for field in fields(Entry)}
_COLUMNS = ", ".join(f"`{name}` {kind}" for name, kind in _TYPES.items())
_ARROW_SCHEMA = pa.schema([(name, pa.int64() if kind == "bigint" else pa.string()) for name, kind in _TYPES.items()])
_ADDED_LATER = ("by",)
"""Columns that tables of 0.2.0 lack; null in their entries."""
_DONE_BY_ANOTHER = ("ALREADY_EXISTS", "DELTA_DUPLICATE_COLUMNS_FOUND")  # the table, or its later columns
_ATTEMPTS = 20
_MAX_WAIT_S = 2.0


@dataclass(frozen=True)
class ChainTable:
    """The Delta table that stores a chain."""

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
        held = [name for name in _TYPES if name in table.columns]
        if missing := [name for name in _TYPES if name not in (*held, *_ADDED_LATER)]:
            raise LedgerError(f"ledger: {self.place} is not a ledger, it lacks column {missing[0]!r}; name another one")
        rows = table.orderBy("number").collect()  # bounded: a few rows per release
        chain = [Entry(**{name: row[name] for name in held}) for row in rows]
        verify(chain)
        return chain

    def append(self, make: Callable[[], Entry]) -> Entry:
        """Appends an entry.

        Args:
          make: Reads the chain and returns the entry that extends it; called again if another one came in between.

        Raises:
          LedgerError: if something else has modified the table, or the session may not write it.
          BudgetError: if it is too busy to be written.
        """
        self.create()
        for attempt in range(_ATTEMPTS):
            entry = make()
            if self._has_all_columns() and self._commit(entry):
                return entry
            log.info("the ledger changed in the meantime; deciding again")
            time.sleep(random.uniform(0.0, _MAX_WAIT_S * min(1.0, (attempt + 1) / 8)))
        raise BudgetError(f"ledger: {self.place} is being written by other releases; try again")

    def create(self) -> None:
        """Creates the table if it does not exist.

        Raises:
          LedgerError: if the session may not create it.
        """
        if not exists(self.spark, self.place):
            self._is_done(
                f"CREATE TABLE IF NOT EXISTS {self.place.identifier} ({_COLUMNS}) USING delta TBLPROPERTIES "
                "('delta.isolationLevel' = 'Serializable', 'delta.appendOnly' = 'true')"
            )

    def _has_all_columns(self) -> bool:
        """Adds the columns that an older table lacks; returns False if another writer came in between."""
        known = read_latest(self.spark, self.place).columns
        missing = ", ".join(f"`{name}` {_TYPES[name]}" for name in _ADDED_LATER if name not in known)
        return not missing or self._is_done(f"ALTER TABLE {self.place.identifier} ADD COLUMNS ({missing})")

    def _commit(self, entry: Entry) -> bool:
        """Inserts the entry; returns False if another one took its number."""
        view = f"threea_entry_{entry.hash[:16]}"
        columns = ", ".join(f"`{name}`" for name in _TYPES)
        values = ", ".join(f"entry.`{name}`" for name in _TYPES)
        row = pa.Table.from_pylist([asdict(entry)], _ARROW_SCHEMA)
        # tuples would take a Python worker, which a release that failed may no longer have
        self.spark.createDataFrame(row).createOrReplaceTempView(view)
        try:
            is_done = self._is_done(  # all names are quoted identifiers or columns of our own
                f"MERGE INTO {self.place.identifier} AS ledger USING {view} AS entry ON ledger.number = entry.number "  # noqa: S608
                f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
            )
        finally:
            self.spark.catalog.dropTempView(view)
        chain = self.read() if is_done else []
        return len(chain) > entry.number and chain[entry.number] == entry

    def _is_done(self, statement: str) -> bool:
        """Runs a statement that writes the table; returns False if a concurrent commit kept it from being written."""
        try:
            self.spark.sql(statement)
        except Exception as error:  # classic Spark raises Java's own where PySpark has no class for it
            if is_conflict(error) or any(name in str(error) for name in _DONE_BY_ANOTHER):
                return False
            log.debug("the ledger could not be written", exc_info=True)
            raise LedgerError(
                f"ledger: {self.place} could not be written ({_condition(error)}); check that it is a Delta table, and "
                "who may write it: releases write the ledger, officers alone privacy.ledger.grants"
            ) from None
        return True


def _condition(error: Exception) -> str:
    """Returns Spark's name of an error, or its class."""
    named = getattr(error, "getCondition", None)
    return str((named() if named is not None else None) or type(error).__name__)
