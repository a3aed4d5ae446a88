"""Releases appended to one table: whatever dies or races, its properties never say less than its rows cost."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from threea_spark.engine.delta import Place, commit_metadata, properties_of
from threea_spark.errors import ReleaseExistsError, TargetExistsError
from threea_spark.privacy.budget import calibrate
from threea_spark.privacy.cohorts import Cohort
from threea_spark.privacy.spend import planned_spend
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit
from threea_spark.publish.appending import Appending
from threea_spark.publish.held import Held
from threea_spark.publish.standing import standing_at, standing_of
from threea_spark.publish.write import append, write_new


def held(name, epsilon, *, accounting=Accounting.END_TO_END, cohort=None):
    shares = {Stage.ENCODE: 0.3, Stage.ANONYMIZE: 0.7}
    plan = calibrate(
        epsilon=epsilon, delta=1e-6, shares=shares, relation=Relation.ADD_OR_REMOVE_ONE, unit=PrivacyUnit("it's", 2),
        accounting=accounting,
    )  # fmt: skip
    return Held.of(planned_spend(plan, name, cohort or Cohort(None, 0)), plan, "id of the source")


def receipt_of(name, epsilon):
    claim = {"epsilon": epsilon, "delta": 1e-6, "accounting": "end_to_end", "relation": "(add_or_remove_one)"}
    claim["unit"] = str(PrivacyUnit("it's", 2))
    return json.dumps({"release_id": name, "privacy": claim})


@pytest.fixture
def place(spark, tmp_path):
    """A table that release r1, of epsilon 0.5, wrote."""
    place = Place.of(None, str(tmp_path / "out"))
    properties = {"threea.release_id": "r1", **standing_of([held("r1", 0.5).as_written]).properties}
    write_new(spark.range(3), place, receipt_of("r1", 0.5), release_id="r1", properties=properties)
    return place


def appending(spark, place, name, epsilon, *, apart=False, **more):
    return Appending(spark, place, held(name, epsilon, **more), lambda spends: apart)


def write(on_its_way, rows, receipt):
    name = on_its_way.own.release_id
    on_its_way.write(lambda: append(rows, on_its_way.place, receipt, release_id=name), receipt)


def totals(spark, place):
    found = properties_of(spark, place)
    return float(found["threea.epsilon"]), float(found["threea.delta"]), found["threea.releases"]


def n_rows(spark, place):
    return spark.read.format("delta").load(place.name).count()


@pytest.mark.connect
def test_the_properties_of_an_appended_table_speak_of_all_its_releases(spark, place):
    assert totals(spark, place) == (0.5, 1e-6, "r1")
    write(appending(spark, place, "r2", 8.0), spark.range(10, 12), receipt_of("r2", 8.0))
    epsilon, delta, releases = totals(spark, place)
    assert (delta, releases) == (2e-6, "r1,r2")
    assert 8.0 <= epsilon <= 8.5
    properties = properties_of(spark, place)
    assert properties["threea.release_id"] == "r1"
    assert properties["threea.accounting"] == "end_to_end"
    assert json.loads(properties["threea.release.r2"])["epsilon"] == 8.0
    assert [release.is_written for release in standing_at(spark, place).releases] == [True, True]
    assert n_rows(spark, place) == 5
    with pytest.raises(ReleaseExistsError):
        write(appending(spark, place, "r2", 8.0), spark.range(7), "of another run")
    assert totals(spark, place) == (epsilon, delta, releases)
    assert n_rows(spark, place) == 5


def test_releases_of_different_units_count_in_parallel(spark, place):
    more = {"cohort": Cohort(0, 4)}
    write(appending(spark, place, "r2", 2.0, apart=True, **more), spark.range(2), receipt_of("r2", 2.0))
    assert totals(spark, place) == (2.0, 1e-6, "r1,r2")
    write(appending(spark, place, "r3", 2.0, apart=False, cohort=Cohort(4, 7)), spark.range(2), receipt_of("r3", 2.0))
    assert totals(spark, place)[0] > 2.0  # something left the source since


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_driver_that_dies_before_its_rows_are_committed_leaves_totals_that_are_too_large(spark, place, comes_back):
    dying = appending(spark, place, "r2", 8.0)
    dying.announce()  # and nothing after it
    assert totals(spark, place)[0] >= 8.0
    assert [release.is_written for release in standing_at(spark, place).releases] == [True, False]
    if comes_back:
        write(dying, spark.range(2), receipt_of("r2", 8.0))
        assert [release.is_written for release in standing_at(spark, place).releases] == [True, True]
        assert n_rows(spark, place) == 5


def test_a_driver_that_dies_right_after_its_commit_leaves_true_totals(spark, place):
    dying = appending(spark, place, "r2", 8.0)
    dying.announce()
    append(spark.range(2), place, receipt_of("r2", 8.0), release_id="r2")
    assert totals(spark, place)[0] >= 8.0
    assert [release.is_written for release in standing_at(spark, place).releases] == [True, True]  # by its receipt


def test_rows_that_fail_take_their_announcement_back(spark, place):
    def fail(batches):
        raise ValueError("no row of this can be made")

    before = totals(spark, place)
    rows = spark.range(0, 4, 1, 2).mapInArrow(fail, "id bigint")
    with pytest.raises(Exception, match="no row of this"):
        write(appending(spark, place, "r2", 8.0), rows, receipt_of("r2", 8.0))
    assert totals(spark, place) == before
    assert "threea.release.r2" not in properties_of(spark, place)
    assert n_rows(spark, place) == 3


@pytest.mark.connect
def test_an_append_that_another_release_s_properties_broke_into_is_written_again(spark, place, tmp_path, caplog):
    caplog.set_level("INFO", "threea_spark")
    started, may_end = tmp_path / "started", tmp_path / "may end"

    def slow(batches):
        started.touch()
        deadline = time.monotonic() + 60
        while not may_end.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield from batches

    rows = spark.range(0, 2, 1, 1).mapInArrow(slow, "id bigint")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(write, appending(spark, place, "n1", 1.0), rows, receipt_of("n1", 1.0))
        while not started.exists() and not first.done():
            time.sleep(0.05)
        write(appending(spark, place, "n2", 1.0), spark.range(2), receipt_of("n2", 1.0))
        may_end.touch()
        first.result()
    assert "another release changed the target in the meantime; retrying the write" in caplog.text
    assert n_rows(spark, place) == 7
    assert totals(spark, place)[2] == "n1,n2,r1"
    assert [release.is_written for release in standing_at(spark, place).releases] == [True] * 3


def test_of_many_appends_at_once_none_is_lost_in_the_totals(spark, place):
    def one(number):
        name = f"n{number}"
        write(appending(spark, place, name, 1.0), spark.range(number), receipt_of(name, 1.0))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, (1, 2, 3)))
    assert n_rows(spark, place) == 9
    everything = [held("r1", 0.5), *(held(f"n{number}", 1.0) for number in (1, 2, 3))]
    wanted = standing_of([release.as_written for release in everything]).properties
    assert properties_of(spark, place).items() >= wanted.items()


def test_a_table_of_0_1_0_is_counted_by_its_receipts_and_keeps_them(spark, tmp_path):
    place = Place.of(None, str(tmp_path / "old"))
    old = {"threea.release_id": "r1", "threea.epsilon": "0.5", "threea.delta": "1e-06"}
    write_new(
        spark.range(3), place, receipt_of("r1", 0.5), release_id="r1",
        properties={**old, "threea.accounting": "end_to_end"},
    )  # fmt: skip
    append(spark.range(3), place, receipt_of("r2", 2.0), release_id="r2")
    assert standing_at(spark, place).epsilon == "2.5"
    write(appending(spark, place, "r3", 1.0), spark.range(3), receipt_of("r3", 1.0))
    assert totals(spark, place) == (3.5, 3e-6, "r1,r2,r3")
    assert json.loads(properties_of(spark, place)["threea.release.r2"])["epsilon"] == 2.0


def test_what_cannot_be_stated_together_is_refused_when_another_was_faster(spark, place):
    with pytest.raises(TargetExistsError, match=r"privacy\.accounting"):
        write(appending(spark, place, "c", 1.0, accounting=Accounting.CONDITIONAL), spark.range(2), "receipt")
    spark.range(3).write.format("delta").save(f"{place.name}-other")
    other = Place.of(None, f"{place.name}-other")
    with pytest.raises(TargetExistsError, match="not created by a release"):
        write(appending(spark, other, "r2", 1.0), spark.range(2), "receipt")
    assert len(commit_metadata(spark, other)) == 1
    assert "threea.releases" not in properties_of(spark, other)
