"""Which releases of one source may concern the same units, and which compose in parallel.

A release that reads only units which an earlier version did not hold concerns none that an earlier release read, as
long as no unit ever leaves the table: each unit first appears at one version, and only releases whose range of
versions holds that one have read it. For any unit, then, what counts is the composition of those releases (McSherry
2009, theorem 4: disjoint parts of a table compose in parallel).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class Cohort:
    """The units that one release reads, by the version of the source in which they first appear.

    Attributes:
      since: Units that this version held are not read; None where all are.
      version: The version that is read; None where it is not known.
    """

    since: int | None = None
    version: int | None = None

    def holds(self, first_seen: int) -> bool:
        """Whether units that first appear in a version are read."""
        return (self.since is None or first_seen > self.since) and (self.version is None or first_seen <= self.version)


EVERYONE = Cohort()


class _HasCohort(Protocol):
    @property
    def cohort(self) -> Cohort: ...


Release = TypeVar("Release", bound=_HasCohort)


def concerning_one_unit(releases: Sequence[Release]) -> list[tuple[Release, ...]]:
    """Groups of releases that may have read the same unit; every such set is within one of them.

    Args:
      releases: Of one source from which no unit ever leaves.
    """
    starts = sorted({0, *(release.cohort.since + 1 for release in releases if release.cohort.since is not None)})
    groups = [tuple(release for release in releases if release.cohort.holds(start)) for start in starts]
    return list(dict.fromkeys(group for group in groups if group))


def versions_between(releases: Iterable[_HasCohort]) -> tuple[int, int] | None:
    """The commits (after the first version, up to and with the last) that may take no unit out of the table.

    They reach up to the newest version that a release with `since` read: an identifier that was changed after `since`
    would put one unit's rows into two parts.

    Returns:
      None where no two releases could be apart, so that nothing hangs on it, or where a version is not known.
    """
    cohorts = [release.cohort for release in releases]
    read = [cohort.version for cohort in cohorts if cohort.version is not None]
    since = [cohort.since for cohort in cohorts if cohort.since is not None]
    if not read or not since or min(read) > max(since):
        return None
    newest = [cohort.version for cohort in cohorts if cohort.since is not None and cohort.version is not None]
    return (min(read), max(newest)) if len(newest) == len(since) else None
