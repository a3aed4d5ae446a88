"""Parallel composition: no unit's releases are ever in two sets, and none is charged for what others read."""

from dataclasses import dataclass

import numpy as np
import pytest
from some import some

from threea_spark.engine.history import Commit, first_that_takes_rows
from threea_spark.privacy.cohorts import Cohort, concerning_one_unit, versions_between


@dataclass(frozen=True)
class Release:
    name: str
    cohort: Cohort


def releases(*cohorts):
    return [Release(str(place), Cohort(*cohort)) for place, cohort in enumerate(cohorts)]


def names(groups):
    return {"".join(release.name for release in group) for group in groups}


@pytest.mark.parametrize(
    ("cohorts", "wanted"),
    [
        ([(None, 3), (3, 7), (7, 9)], {"0", "1", "2"}),
        ([(None, 3), (2, 7)], {"0", "01"}),
        ([(None, 3), (None, 7)], {"01"}),
        ([(None, 3), (3, 7), (None, None)], {"02", "12"}),
        ([(3, 7), (5, 9), (8, 11)], {"0", "01", "12"}),
        ([(3, 7), (None, 3)], {"0", "1"}),
        ([], set()),
    ],
)
def test_only_releases_that_may_have_read_one_unit_stand_together(cohorts, wanted):
    assert names(concerning_one_unit(releases(*cohorts))) == wanted


@pytest.mark.parametrize("seed", some(range(50), range(5)))
def test_every_unit_s_releases_are_within_one_set_and_every_set_has_a_unit(seed):
    """Units come and never leave; a release reads those that its version holds and `since` did not."""
    rng = np.random.default_rng(seed)
    tables = [frozenset(range(n)) for n in np.cumsum(rng.integers(1, 4, 12))]
    cohorts = []
    for _ in range(rng.integers(1, 7)):
        since, version = sorted(rng.choice(12, 2, replace=False))
        cohorts.append((None if rng.random() < 0.3 else int(since), int(version)))
    all_of_them = releases(*cohorts)
    groups = [set(group) for group in concerning_one_unit(all_of_them)]
    read = {
        release: tables[release.cohort.version]
        - (tables[release.cohort.since] if release.cohort.since is not None else frozenset())
        for release in all_of_them
    }
    of_units = [{release for release in all_of_them if unit in read[release]} for unit in tables[-1]]
    assert all(any(own <= group for group in groups) for own in of_units)
    assert all(any(group == own for own in of_units) for group in groups)


@pytest.mark.parametrize(
    ("cohorts", "wanted"),
    [
        ([(None, 3), (3, 7)], (3, 7)),  # a unit renamed between 3 and 7 would be in both
        ([(None, 2), (5, 7)], (2, 7)),
        ([(None, 2), (5, 7), (9, 12)], (2, 12)),
        ([(None, 2), (5, 17), (9, 12)], (2, 17)),
        ([(3, 7), (None, 2)], (2, 7)),
        ([(3, 7), (None, 9), (None, 3)], (3, 7)),  # nothing hangs on what lies after 7
        ([(None, 2), (5, None)], None),
        ([(None, 3), (None, 7)], None),
        ([(None, None), (None, 7)], None),
        ([(3, 7)], None),
    ],
)
def test_the_commits_that_matter_reach_from_the_first_version_that_was_read_to_the_last_read_since_one(cohorts, wanted):
    assert versions_between(releases(*cohorts)) == wanted


APPEND = ("WRITE", {"mode": "Append"})


def history(*operations, first=1):
    return [Commit(first + place, *operation) for place, operation in enumerate(operations)]


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("DELETE", {}),
        ("UPDATE", {}),
        ("MERGE", {}),
        ("WRITE", {"mode": "Overwrite"}),
        ("WRITE", {}),
        ("STREAMING UPDATE", {"outputMode": "Complete"}),
        ("RESTORE", {}),
        ("CREATE OR REPLACE TABLE AS SELECT", {}),
        ("something of a later Delta", {}),
    ],
)
def test_what_may_take_rows_is_named(operation, parameters):
    found = first_that_takes_rows(history(APPEND, (operation, parameters), APPEND), 0, 3)
    assert found == f"version 2 ({operation})"
    assert first_that_takes_rows(history(APPEND, (operation, parameters), APPEND), 2, 3) is None


def test_appends_and_what_leaves_rows_alone_take_none():
    operations = [APPEND, ("OPTIMIZE", {}), ("STREAMING UPDATE", {"outputMode": "Append"}), ("ADD COLUMNS", {})]
    assert first_that_takes_rows(history(*operations), 0, 4) is None


def test_a_commit_that_history_forgot_may_have_done_anything():
    assert "version 1, which its history no longer holds" in str(first_that_takes_rows(history(APPEND, first=2), 0, 2))
    assert first_that_takes_rows(history(APPEND, first=2), 1, 2) is None
