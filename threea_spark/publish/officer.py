"""What privacy officers write: grants of budgets, and releases that no longer count."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from threea_spark.config.release import ReleaseConfig
from threea_spark.engine.session_user import session_user, utc_now
from threea_spark.privacy.account import Budget, account_of
from threea_spark.privacy.entries import Entry, Kind, next_entry
from threea_spark.privacy.officers import Seen
from threea_spark.publish.ledger import holder_of
from threea_spark.publish.ledger_books import Books

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def grant(spark: SparkSession, config: ReleaseConfig, budget: Budget) -> Entry:
    """Sets the total budget of the configured source and unit; the newest grant applies."""
    return _append(spark, config, Kind.GRANT, json.loads(budget.to_json()))


def void(spark: SparkSession, config: ReleaseConfig, number: int, reason: str) -> Entry:
    """Excludes a started release from what counts, for a reason that stays on record.

    Raises:
      LedgerError: if there is no such started release of the configured source.
    """
    booking = account_of(Books.configured(spark, config).read(), holder_of(spark, config)).booking(number)
    content = {"entry": number, "reason": reason}
    return _append(spark, config, Kind.VOID, content, release_id=booking.spend.release_id)


def _append(
    spark: SparkSession, config: ReleaseConfig, kind: Kind, content: dict[str, Any], *, release_id: str = ""
) -> Entry:
    holder, by = holder_of(spark, config), session_user(spark)

    def made(chain: list[Entry], seen: Seen | None) -> Entry:
        text = json.dumps(content if seen is None else {**content, **seen.as_content()})
        return next_entry(chain, kind, holder, content=text, at=utc_now(), by=by, release_id=release_id)

    return Books.configured(spark, config).append_as_officer(made)
