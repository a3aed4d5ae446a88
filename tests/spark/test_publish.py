"""The one write of a release: taken once, and never said to have been taken where it was not."""

import pyarrow.parquet as pq
import pytest

from threea_spark.engine.delta import Place, commit_metadata
from threea_spark.engine.parquet import without_dictionaries
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


@pytest.mark.parametrize("plain", [{"a"}, {"a", "b"}])
def test_plain_columns_get_no_dictionary_and_settings_are_put_back(spark, tmp_path, plain):
    root, own = "parquet.enable.dictionary", "parquet.enable.dictionary#a"
    spark.conf.set(root, "true")
    rows = spark.range(0, 300, 1, 1).selectExpr("id % 7 + 0.5D a", "id % 5 + 0.5D b", "cast(id % 3 as string) c")
    try:
        with without_dictionaries(spark, rows.columns, plain):
            rows.write.format("delta").save(str(tmp_path / "out"))
        assert spark.conf.get(root) == "true"
        assert spark.conf.get(own, None) is None
    finally:
        spark.conf.unset(root)
    (file,) = (tmp_path / "out").glob("*.parquet")
    group = pq.ParquetFile(file).metadata.row_group(0)
    coded = {group.column(i).path_in_schema for i in range(3) if "RLE_DICTIONARY" in str(group.column(i).encodings)}
    coded |= {group.column(i).path_in_schema for i in range(3) if "PLAIN_DICTIONARY" in str(group.column(i).encodings)}
    assert coded == {"a", "b", "c"} - plain
