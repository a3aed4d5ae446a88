"""The type of the column that tells units apart, on real tables: which are refused before a row is read."""

import pytest
from tables import config_of

from threea_spark import ReleaseConfig, fit
from threea_spark.errors import ReleaseFailedError, SchemaError
from threea_spark.preflight import checked_types, prepare

ONE = {
    "double": "1.5D",
    "float": "CAST(1.5 AS FLOAT)",
    "timestamp": "TIMESTAMP '2020-01-01 00:00:00'",
    "timestamp_ntz": "TIMESTAMP_NTZ '2020-01-01 00:00:00'",
    "interval day to second": "INTERVAL '1' DAY",
    "interval year to month": "INTERVAL '1' MONTH",
    "struct<a:int>": "named_struct('a', 1)",
    "array<int>": "array(1)",
    "map<string,int>": "map('a', 1)",
    "variant": "parse_json('1')",
    "string collate UTF8_LCASE": "'Bob' COLLATE UTF8_LCASE",
}
TOLD_APART = ["'Bob'", "1", "1L", "1S", "1.50BD", "DATE '2020-01-01'", "true", "X'FF00'"]
COLUMNS = {"age": {"type": "integer", "lower": 0, "upper": 9}}


def config(source, tmp_path):
    plain = config_of(
        source, tmp_path / "out", columns=COLUMNS, label=None, task="none",
        privacy={"unit": {"column": "who", "max_rows": 2}},
    )  # fmt: skip
    return ReleaseConfig.from_dict(plain)


def frame(spark, sql):
    return spark.sql(f"SELECT {sql} AS who, 3 AS age")


def never_read(spark, sql):
    """A frame of which no row can be read: whoever reads one gets an error."""
    return spark.sql(f"SELECT {sql} AS who, CAST(raise_error('a row was read') AS INT) AS age FROM range(9)")


@pytest.mark.parametrize("kind", ONE)
def test_a_unit_of_such_a_type_is_refused_before_a_row_is_read(spark, tmp_path, kind):
    with pytest.raises(SchemaError) as caught:
        fit(never_read(spark, ONE[kind]), config("unread", tmp_path))
    line = str(caught.value).splitlines()[-1].lower()
    assert "'who'" in line
    assert kind.partition("(")[0].split()[0].split("<")[0].lower() in line
    assert "privacy.unit.column" in line


def test_a_frame_of_which_no_row_can_be_read_would_show_a_read(spark, tmp_path):
    with pytest.raises(ReleaseFailedError):
        fit(never_read(spark, "'Bob'"), config("unread", tmp_path))


@pytest.mark.parametrize("sql", TOLD_APART)
def test_a_unit_that_its_text_tells_apart_passes(spark, tmp_path, sql):
    assert checked_types(frame(spark, sql), config("unread", tmp_path)) == {"age": "int"}


@pytest.mark.parametrize("kind", ["double", "timestamp", "struct<a:int>", "array<int>"])
def test_a_delta_table_with_such_a_unit_is_refused(spark, tmp_path, kind):
    source = str(tmp_path / "source")
    frame(spark, ONE[kind]).write.format("delta").save(source)
    with pytest.raises(SchemaError, match="'who': the unit of privacy"):
        prepare(spark, config(source, tmp_path))


def test_an_earlier_version_is_held_to_the_same_types(spark, tmp_path):
    source = str(tmp_path / "source")
    frame(spark, ONE["double"]).write.format("delta").save(source)
    frame(spark, "'Bob'").write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(source)
    plain = config(source, tmp_path).model_dump(mode="json", exclude_none=True)
    plain["source"]["since"] = 0
    with pytest.raises(SchemaError, match="version 0 of the source"):
        prepare(spark, ReleaseConfig.from_dict(plain))


def test_a_collated_column_of_a_parquet_table_is_seen_as_such(spark, tmp_path):
    spark.sql("CREATE TABLE collated_units (who STRING COLLATE UTF8_LCASE, age INT) USING parquet")
    try:
        with pytest.raises(SchemaError, match="string collate UTF8_LCASE"):
            fit(spark.table("collated_units"), config("unread", tmp_path))
    finally:
        spark.sql("DROP TABLE collated_units")
