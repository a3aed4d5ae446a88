"""Appends a release to a table that holds others: what the table says of the whole is never less than what is in it.

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

from threea_spark.engine.delta import Place, commit_metadata, properties_of
from threea_spark.engine.quiet import is_conflict
from threea_spark.errors import ReleaseExistsError, ReleaseFailedError, TargetExistsError
from threea_spark.privacy.spend import Spend
from threea_spark.publish.held import Held, held_in
from threea_spark.publish.standing import check_may_join, standing_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("threea_spark")

_ATTEMPTS = 20
_LONGEST_WAIT_S = 2.0
Result = TypeVar("Result")


@dataclass(frozen=True)
class Appending:
    """One release on its way into a table that holds others.

    Attributes:
      spark: A session, classic or Connect.
      place: The table.
      own: The release, not yet written.
      keeps_apart: Whether the history of its source shows that the cohorts of such spends may be relied upon.
    """

    spark: SparkSession
    place: Place
    own: Held
    keeps_apart: Callable[[Sequence[Spend]], bool]

    def write(self, commit: Callable[[], None], receipt: str) -> None:
        """Announces the release, has its rows appended, and states the whole.

        Args:
          commit: Appends the rows in one commit, the receipt in its metadata. Called anew if another release changes
            the table's properties meanwhile, which Delta takes for a conflict; it then writes the same rows.
          receipt: As in the commit's metadata.

        Raises:
          TargetExistsError: if the table can no longer take this release; see `check_may_join`.
          ReleaseExistsError: if another run of this release was faster; its rows stand.
          ReleaseFailedError: if other releases write without a pause.
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
        """Adds the release to the table's properties and totals, before a row of it is there."""
        properties = properties_of(self.spark, self.place)
        others = held_in(properties, commit_metadata(self.spark, self.place))
        own = self.own
        check_may_join(properties, others, self.place, accounting=own.accounting, relation=own.relation, unit=own.unit)
        self._settle(own)

    def _confirm(self) -> None:
        """Marks the rows as written, and mends totals that a release beside it may have set without this one."""
        try:
            self._settle(self.own.as_written)
        except Exception:  # the rows stand, and the announcement holds all that must be said of them
            log.debug("the target's properties could not be confirmed", exc_info=True)

    def _take_back(self, receipt: str) -> None:
        """Takes an announcement back whose rows did not come; if that fails, the totals stay too large."""
        try:
            if receipt in commit_metadata(self.spark, self.place):
                return
            unset = f"UNSET TBLPROPERTIES IF EXISTS ('{self.own.key}')"
            _again_after_conflicts(lambda: self._alter(unset), self.place)
            self._settle(None)
        except Exception:  # whatever it was, the first error is the one to tell
            log.debug("the target's properties could not be set back", exc_info=True)

    def _settle(self, own: Held | None) -> None:
        """Sets the totals until they fit all releases that the table names, among them `own`.

        A writer that set totals without another's announcement reads them again, and mends them.
        """
        for _ in range(_ATTEMPTS):
            if _again_after_conflicts(lambda: self._is_settled(own), self.place):
                return
        raise _too_busy(self.place)

    def _is_settled(self, own: Held | None) -> bool:
        """Whether the table says all of it; sets what it does not say."""
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
        """Whether the releases read disjoint units of this release's own source, as far as spends are known."""
        composed = [held for held in releases if held.spend is not None]
        is_one_source = bool(self.own.source) and {held.source for held in composed} == {self.own.source}
        return is_one_source and self.keeps_apart([held.spend for held in composed if held.spend is not None])


def _again_after_conflicts(change: Callable[[], Result], place: Place) -> Result:
    """Does what Delta refused because of a commit that came in between, once more, on what stands there now."""
    for attempt in range(_ATTEMPTS):
        try:
            return change()
        except Exception as error:  # classic Spark lets Java's own through where PySpark has no class for it
            if not is_conflict(error):
                raise
            log.info("another release changed the target meanwhile; writing again")
            time.sleep(random.uniform(0.0, _LONGEST_WAIT_S * min(1.0, (attempt + 1) / 8)))
    raise _too_busy(place)


def _too_busy(place: Place) -> ReleaseFailedError:
    return ReleaseFailedError(f"target: {place} is being written by other releases; nothing was written. Try again")
