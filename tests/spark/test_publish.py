"""The one write of a release: taken once, and never said to have been taken where it was not."""

import pytest

from threea_spark.engine.delta import Place, commit_metadata
from threea_spark.errors import ReleaseExistsError
from threea_spark.publish.write import append, write_new


def rows_at(spark, place):
    return sorted(row["id"] for row in spark.read.format("delta").load(place.name).collect())


def test_a_run_that_another_of_the_same_release_outran_says_so_and_changes_nothing(spark, tmp_path):
    place = Place.of(None, str(tmp_path / "out"))
    write_new(spark.range(3), place, "receipt of the first", release_id="r1", properties={"threea.a": "1"})
    with pytest.raises(ReleaseExistsError, match="another run"):
        write_new(spark.range(5), place, "receipt of the second", release_id="r1", properties={"threea.a": "2"})
    with pytest.raises(ReleaseExistsError, match="another run"):
        append(spark.range(7), place, "receipt of the third", release_id="r1")
    assert rows_at(spark, place) == [0, 1, 2]
    assert commit_metadata(spark, place) == ["", "receipt of the first"]


def test_another_release_is_appended_once(spark, tmp_path):
    place = Place.of(None, str(tmp_path / "out"))
    write_new(spark.range(3), place, "one", release_id="r1", properties={"threea.a": "1"})
    append(spark.range(10, 12), place, "two", release_id="r2")
    assert rows_at(spark, place) == [0, 1, 2, 10, 11]
    assert commit_metadata(spark, place) == ["two", "", "one"]
