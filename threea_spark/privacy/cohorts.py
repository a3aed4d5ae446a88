"""Which releases of one source may have read the same units, and which compose in parallel.

A release that reads only units absent from an earlier version reads none that a release of that version, or of one
before it, has read, as long as no unit ever leaves the table: each unit first appears at one version, and only releases
whose range of versions includes that one have read it. For any unit, the composition of those releases is what counts
(McSherry 2009, theorem 4: disjoint parts of a table compose in parallel).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class Cohort:
    """The units that one release reads, by the version of the source in which they first appear.

    Attributes:
      since: Units already in this version are not read; None if all units are read.
      version: The version that is read; None if unknown.
    """

    since: int | None = None
    version: int | None = None

    def holds(self, first_seen: int) -> bool:
        """Tells whether units that first appear in this version are read."""
        return (self.since is None or first_seen > self.since) and (self.version is None or first_seen <= self.version)


EVERYONE = Cohort()


class _HasCohort(Protocol):
    @property
    def cohort(self) -> Cohort: ...


Release = TypeVar("Release", bound=_HasCohort)


def concerning_one_unit(releases: Sequence[Release]) -> list[tuple[Release, ...]]:
    """Groups releases that may have read the same unit: all releases that read any one unit share a group.

    Args:
      releases: Releases of one source that no unit ever leaves.
    """
    starts = sorted({0, *(release.cohort.since + 1 for release in releases if release.cohort.since is not None)})
    groups = [tuple(release for release in releases if release.cohort.holds(start)) for start in starts]
    return list(dict.fromkeys(group for group in groups if group))


def versions_between(releases: Iterable[_HasCohort]) -> tuple[int, int] | None:
    """Returns the span of commits that must not remove a unit: after the first version, through the last.

    It extends to the newest version that a release with `since` read: an identifier that changed after `since` would
    split one unit's rows into two parts.

    Returns:
      (first, last); None if no two releases could be disjoint, so that nothing depends on it, or a version is unknown.
    """
    cohorts = [release.cohort for release in releases]
    read = [cohort.version for cohort in cohorts if cohort.version is not None]
    since = [cohort.since for cohort in cohorts if cohort.since is not None]
    if not read or not since or min(read) > max(since):
        return None
    newest = [cohort.version for cohort in cohorts if cohort.since is not None and cohort.version is not None]
    return (min(read), max(newest)) if len(newest) == len(since) else None
