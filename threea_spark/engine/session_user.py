"""Who runs a session, and when: for receipts and the ledger. Reads no row."""

from __future__ import annotations

import datetime as dt
import getpass
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("threea_spark")


def session_user(spark: SparkSession) -> str | None:
    """Returns the user that the session knows: on Databricks who is logged in, else the system's; None if none."""
    try:
        (row,) = spark.sql("SELECT current_user() AS user").collect()  # bounded: one row
    except Exception:  # a session that knows no users is no reason to stop a release
        log.debug("the session does not tell its user", exc_info=True)
        return _system_user()
    return str(row["user"]) or _system_user()


def _system_user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return None


def utc_now() -> str:
    """Returns this machine's time in UTC, ISO 8601 to the millisecond."""
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds")
