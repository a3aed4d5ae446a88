"""Releases into catalog tables, by name: the receipt stands in the history, the properties on the table."""

import json

import pytest
from tables import clinic, config_of

from threea_spark import ReleaseConfig, release
from threea_spark.engine.delta import Place, commit_metadata, properties_of
from threea_spark.errors import ReleaseExistsError, ReleaseFailedError, TargetExistsError
from threea_spark.preflight import prepare
from threea_spark.publish import write as publish
from threea_spark.publish.described import PROPERTY_UNIT, comments_of, plain, table_comment, tags_of
from threea_spark.report.pages import receipt_of

SOURCE, TARGET = "threea_catalog.stays", "threea_catalog.released"


@pytest.fixture
def schema(spark):
    spark.sql("CREATE SCHEMA threea_catalog")
    frame = clinic(600).rename(columns={"cost.usd": "cost", "ward name": "ward"})
    commented = spark.createDataFrame(frame).withMetadata("age", {"comment": "in years; it's at admission"})
    commented.write.format("delta").saveAsTable(SOURCE)
    yield
    spark.sql("DROP SCHEMA threea_catalog CASCADE")


def config(**stages):
    columns = {
        "age": {"type": "integer", "lower": 18, "upper": 100},
        "cost": {"type": "float", "lower": 0, "upper": 1e6, "nullable": True},
        "died": {"type": "categorical", "values": ["no", "yes"]},
    }
    plain = config_of("", "", columns=columns, **stages)
    return ReleaseConfig.from_dict({**plain, "source": {"table": SOURCE}, "target": {"table": TARGET}})


@pytest.mark.parametrize("generator", ["sample", "mix"])
def test_a_release_by_name_is_whole_and_says_what_it_is(spark, schema, generator):
    asked = config(anonymize={"generator": generator})
    if generator == "mix":
        target = {"table": TARGET, "source_comments": True}
        asked = ReleaseConfig.from_dict({**asked.model_dump(mode="json"), "target": target})
        assert asked.digest == config(anonymize={"generator": generator}).digest
    receipt = release(spark, asked)
    place = Place.named(TARGET)
    assert spark.table(TARGET).count() == receipt.n_released
    assert commit_metadata(spark, place).count(receipt.to_json()) == 1
    properties = properties_of(spark, place)
    assert properties.items() >= {**receipt.properties, PROPERTY_UNIT: plain(receipt.privacy.unit)}.items()
    assert spark.sql(f"DESCRIBE DETAIL {TARGET}").collect()[0]["description"] == table_comment(receipt)
    said = {"age": "in years; it's at admission"} if generator == "mix" else {}
    assert comments_of(spark.table(TARGET)) == said
    assert tags_of(properties, "one row")["threea_receipt"] == receipt.release_id
    assert receipt_of(spark, asked) == receipt
    left = {table.name for table in spark.catalog.listTables("threea_catalog")}
    assert left == {"stays", "released"}
    with pytest.raises(ReleaseExistsError):
        release(spark, asked)
    with pytest.raises(TargetExistsError):
        release(spark, config(anonymize={"generator": generator}, privacy={"epsilon": 2.0}))


def test_another_release_is_appended_with_its_own_receipt(spark, schema):
    first = release(spark, config())
    appended = ReleaseConfig.from_dict(
        {**config(privacy={"epsilon": 2.0}).model_dump(mode="json"), "target": {"table": TARGET, "mode": "append"}}
    )
    second = release(spark, appended)
    assert spark.table(TARGET).count() == first.n_released + second.n_released
    found = [json.loads(text)["release_id"] for text in commit_metadata(spark, Place.named(TARGET)) if text]
    assert sorted(found) == sorted([first.release_id, second.release_id])
    properties = properties_of(spark, Place.named(TARGET))
    assert properties["threea.release_id"] == first.release_id
    assert properties["threea.releases"] == ",".join(sorted(found))
    assert 3.0 < float(properties["threea.epsilon"]) < 5.0  # the first claims 3, the second 2
    assert properties["threea.delta"] == "2e-05"
    assert spark.sql(f"DESCRIBE DETAIL {TARGET}").collect()[0]["description"] == table_comment(first)
    with pytest.raises(ReleaseExistsError):
        release(spark, appended)


@pytest.mark.parametrize("another", [False, True])
def test_a_table_without_its_receipt_does_not_stay_unless_another_wrote_to_it(spark, schema, monkeypatch, another):
    def fails(rows, place, receipt, *, release_id):
        if another:
            spark.table(TARGET).write.format("delta").mode("append").saveAsTable(TARGET)
        raise OSError("the catalog is gone")

    monkeypatch.setattr(publish, "append", fails)
    with pytest.raises(ReleaseFailedError):
        release(spark, config())
    assert spark.catalog.tableExists(TARGET) == another


WIDER = {
    "age": {"type": "integer", "lower": 18, "upper": 100},
    "cost": {"type": "float", "lower": 0, "upper": 1e6, "nullable": True},
    "ward": {"type": "categorical", "values": ["CCU", "MICU", "SICU"], "nullable": True},
    "died": {"type": "categorical", "values": ["no", "yes"]},
}


def appended(columns):
    plain = {**config(privacy={"epsilon": 2.0}).model_dump(mode="json"), "target": {"table": TARGET, "mode": "append"}}
    return ReleaseConfig.from_dict({**plain, "domain": {"label": "died", "columns": columns}})


def test_a_target_that_may_refuse_rows_is_refused_before_a_row_is_read_and_one_that_cannot_takes_them(spark, schema):
    """The table's own schema and constraints are known before: nothing is booked on what Delta would refuse."""
    spark.sql(f"CREATE TABLE {TARGET} (died CHAR(3), COST DOUBLE, age BIGINT NOT NULL, n INT DEFAULT 1) USING delta "
              "TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')")  # fmt: skip
    spark.sql(f"ALTER TABLE {TARGET} ADD CONSTRAINT old CHECK (age > 17 AND (cost IS NULL OR cost <= 1e6))")
    claim = {"threea.epsilon": "1", "threea.delta": "1e-6", "threea.accounting": "end_to_end"}
    for name, value in {"threea.release_id": "r1", "threea.releases": "r1", **claim}.items():
        spark.sql(f"ALTER TABLE {TARGET} SET TBLPROPERTIES ('{name}' = '{value}')")
    plain = {name: column for name, column in WIDER.items() if name != "ward"}
    prepare(spark, appended(plain))
    for columns, words in [
        (WIDER, r"'ward': not a column of the target; add it there \(string\)"),
        (plain | {"age": {**plain["age"], "nullable": True}}, "'age': NOT NULL in the target"),
        (plain | {"age": {**plain["age"], "lower": 0}}, r"CHECK old \(age > 17 AND"),
        (plain | {"died": {"type": "categorical", "values": ["no", "perhaps"]}}, "the listed 'perhaps' is longer"),
    ]:
        with pytest.raises(TargetExistsError, match=words):
            prepare(spark, appended(columns))
    receipt = release(spark, appended(plain))
    found = spark.table(TARGET)
    assert found.count() == receipt.n_released
    assert found.where("n = 1 and age > 17 and rtrim(died) in ('no', 'yes')").count() == receipt.n_released
