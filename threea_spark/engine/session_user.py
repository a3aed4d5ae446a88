"""Who runs a session, and when: for receipts. Reads no row."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("threea_spark")


def session_user(spark: SparkSession) -> str | None:
    """Returns the user that the session knows: on Databricks who is logged in, elsewhere the system's; None if none."""
    try:
        (row,) = spark.sql("SELECT current_user() AS user").collect()  # bounded: one row
    except Exception:  # a session without the function is no reason to stop a release
        log.debug("the session does not tell its user", exc_info=True)
        return None
    return str(row["user"]) or None


def utc_now() -> str:
    """Returns the time in UTC, ISO 8601 to the second."""
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
