"""Releases into catalog tables, by name: the receipt stands in the history, the properties on the table."""

import json

import pytest
from tables import clinic, config_of

from threea_spark import ReleaseConfig, release
from threea_spark.engine.delta import Place, commit_metadata, properties_of
from threea_spark.errors import ReleaseExistsError, ReleaseFailedError, TargetExistsError
from threea_spark.publish import write as publish
from threea_spark.report.pages import receipt_of

SOURCE, TARGET = "threea_catalog.stays", "threea_catalog.released"


@pytest.fixture
def schema(spark):
    spark.sql("CREATE SCHEMA threea_catalog")
    frame = clinic(600).rename(columns={"cost.usd": "cost", "ward name": "ward"})
    spark.createDataFrame(frame).write.format("delta").saveAsTable(SOURCE)
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
    receipt = release(spark, asked)
    place = Place.named(TARGET)
    assert spark.table(TARGET).count() == receipt.n_released
    assert commit_metadata(spark, place).count(receipt.to_json()) == 1
    assert properties_of(spark, place).items() >= receipt.properties.items()
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
