"""Appends a release to a table that holds others; the table's totals always cover at least the rows in it.

A release announces itself in the table's properties, and raises their totals, before its rows are committed. A writer
that dies in between leaves totals that are too large, until the same release is run again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from threea_spark.config.table_names import quoted_name
from threea_spark.engine.delta import Place, commit_metadata, exists, properties_of, read_latest
from threea_spark.engine.quiet import is_conflict
from threea_spark.errors import ReleaseExistsError, ReleaseFailedError, TargetExistsError
from threea_spark.privacy.spend import Spend
from threea_spark.publish.held import Held, held_in
from threea_spark.publish.standing import check_may_join, standing_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("threea_spark")

_ATTEMPTS = 20
_MAX_WAIT_S = 2.0
Result = TypeVar("Result")


def largest_key(spark: SparkSession, place: Place, names: Sequence[str]) -> int:
    """The largest number that the released rows of a table have in columns of whole numbers; 0 where there are none.

    Args:
      spark: A session, classic or Connect.
      place: The released table, if it exists.
      names: Columns that number its rows.
    """
    from pyspark.sql import functions as F

    if not names or not exists(spark, place):
        return 0
    rows = read_latest(spark, place)
    held = [name for name, kind in rows.dtypes if name in names and kind in ("int", "bigint")]
    if not held:
        return 0
    largest = rows.agg(*[F.max(F.col(quoted_name(name))) for name in held]).collect()[0]  # bounded: one row
    return max([0, *[int(found) for found in largest if found is not None]])


@dataclass(frozen=True)
class Appending:
    """A release that is being appended to a table that holds others.

    Attributes:
      spark: A session, classic or Connect.
      place: The table.
      own: The release, not yet written.
      keeps_apart: Tells whether the source's history proves that the cohorts of these spends are reliable.
    """

    spark: SparkSession
    place: Place
    own: Held
    keeps_apart: Callable[[Sequence[Spend]], bool]

    def write(self, commit: Callable[[], None], receipt: str) -> None:
        """Announces the release, appends its rows, and updates the table's totals.

        Args:
          commit: Appends the rows in one commit, with the receipt in its metadata. Called again, with the same rows, if
            another release changes the table's properties in between, which Delta treats as a conflict.
          receipt: The same text as in the commit's metadata.

        Raises:
          TargetExistsError: if the table can no longer take this release; see `check_may_join`.
          ReleaseExistsError: if another run of this release was faster; its rows are kept.
          ReleaseFailedError: if other releases keep writing to the table.
        """
        try:
            self.announce()
            _again_after_conflicts(commit, self.place)
        except (ReleaseExistsError, TargetExistsError):
            raise
        except BaseException:
            self._take_back(receipt)
            raise
        self._confirm()

    def announce(self) -> None:
        """Adds the release to the table's properties and totals, before any of its rows is written."""
        properties = properties_of(self.spark, self.place)
        others = held_in(properties, commit_metadata(self.spark, self.place))
        own = self.own
        check_may_join(properties, others, self.place, accounting=own.accounting, relation=own.relation, unit=own.unit)
        self._settle(own)

    def _confirm(self) -> None:
        """Marks the rows as written, and fixes totals that a concurrent release may have set without this one."""
        try:
            self._settle(self.own.as_written)
        except Exception:  # the rows are written, and the announcement already covers them
            log.debug("the target's properties could not be confirmed", exc_info=True)

    def _take_back(self, receipt: str) -> None:
        """Withdraws the announcement if its rows were not written; if that fails, the totals remain too large."""
        try:
            if receipt in commit_metadata(self.spark, self.place):
                return
            unset = f"UNSET TBLPROPERTIES IF EXISTS ('{self.own.key}')"
            _again_after_conflicts(lambda: self._alter(unset), self.place)
            self._settle(None)
        except Exception:  # the first error is the one to report
            log.debug("the target's properties could not be reset", exc_info=True)

    def _settle(self, own: Held | None) -> None:
        """Sets the totals until they match all releases that the table names, including `own`.

        A writer that set totals without seeing another's announcement reads them again and corrects them.
        """
        for _ in range(_ATTEMPTS):
            if _again_after_conflicts(lambda: self._is_settled(own), self.place):
                return
        raise _too_busy(self.place)

    def _is_settled(self, own: Held | None) -> bool:
        """Tells whether the table's properties were complete already; sets those that were not."""
        before = properties_of(self.spark, self.place)
        stated = before if own is None else {**before, own.key: own.to_json()}
        releases = held_in(stated, commit_metadata(self.spark, self.place))
        wanted = standing_of(releases, apart=self._are_apart(releases)).properties
        changed = {key: text for key, text in wanted.items() if before.get(key) != text}
        if changed:
            pairs = ", ".join(f"'{key}' = '{text}'" for key, text in changed.items())  # no user's text: see held.py
            self._alter(f"SET TBLPROPERTIES ({pairs})")
        return not changed

    def _alter(self, change: str) -> None:
        self.spark.sql(f"ALTER TABLE {self.place.identifier} {change}")

    def _are_apart(self, releases: Sequence[Held]) -> bool:
        """Tells whether the releases with known spends read disjoint units of this release's own source."""
        composed = [held for held in releases if held.spend is not None]
        is_one_source = bool(self.own.source) and {held.source for held in composed} == {self.own.source}
        return is_one_source and self.keeps_apart([held.spend for held in composed if held.spend is not None])


def _again_after_conflicts(change: Callable[[], Result], place: Place) -> Result:
    """Retries a change, on the table's current state, as long as Delta refuses it because of a concurrent commit."""
    for attempt in range(_ATTEMPTS):
        try:
            return change()
        except Exception as error:  # classic Spark raises Java's own where PySpark has no class for it
            if not is_conflict(error):
                raise
            log.info("another release changed the target in the meantime; retrying the write")
            time.sleep(random.uniform(0.0, _MAX_WAIT_S * min(1.0, (attempt + 1) / 8)))
    raise _too_busy(place)


def _too_busy(place: Place) -> ReleaseFailedError:
    return ReleaseFailedError(f"target: {place} is being written by other releases; nothing was written. Try again")
