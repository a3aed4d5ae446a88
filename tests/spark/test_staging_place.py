"""Where private rows stand while a release runs: never where readers of releases look, and where clean-up looks."""

import json

import pytest
from tables import clinic, config_of, write_delta
from typer.testing import CliRunner

from threea_spark import ReleaseConfig, fit, release
from threea_spark.cli.main import app
from threea_spark.errors import SourceError
from threea_spark.preflight import prepare

COLUMNS = {
    "age": {"type": "integer", "lower": 18, "upper": 100},
    "died": {"type": "categorical", "values": ["no", "yes"]},
}
SCHEMAS = ("threea_private", "threea_public", "threea_apart")


@pytest.fixture(scope="module")
def schemas(spark, tmp_path_factory):
    """A source by name and by path, and schemas for what readers may see and for staging."""
    for schema in SCHEMAS:
        spark.sql(f"CREATE SCHEMA {schema}")
    rows = clinic(400)[["age", "died"]]
    spark.createDataFrame(rows).write.format("delta").saveAsTable("threea_private.stays")
    yield write_delta(spark, rows, tmp_path_factory.mktemp("staging") / "source")
    for schema in SCHEMAS:
        spark.sql(f"DROP SCHEMA {schema} CASCADE")


def config(source, target="threea_public.out", **stages):
    plain = config_of("", "", columns=COLUMNS, **stages)
    return ReleaseConfig.from_dict({**plain, "source": source, "target": {"table": target}})


def staged_in(spark):
    """The schemas that hold staging now."""
    return [
        s for s in (*SCHEMAS, "default") for t in spark.catalog.listTables(s) if t.name.startswith("threea_staging")
    ]


WAYS = [
    ({"table": "threea_private.stays"}, ["threea_private"]),
    ({"table": "threea_private.stays", "staging_schema": "`threea_apart`"}, ["threea_apart"]),
    ({"staging_schema": "spark_catalog.threea_apart"}, ["threea_apart"]),
    ({}, ["default"]),
]


@pytest.mark.parametrize(
    ("way", "source", "wanted"),
    [
        pytest.param(way, *own, marks=() if own is WAYS[0] or (way, own) == ("release", WAYS[-1]) else pytest.mark.slow)
        for way in ("release", "fit")
        for own in WAYS
    ],
)
def test_private_rows_are_staged_apart_from_the_target_and_dropped(spark, schemas, way, source, wanted):
    place = source if "table" in source else {"path": str(schemas), **source}
    seen = []
    asked = config(place, f"threea_public.{way}_{WAYS.index((source, wanted))}")

    def look(name, number, of):
        if number == 3:
            seen.extend(staged_in(spark))

    if way == "release":
        release(spark, asked, listener=look)
    else:
        fit(spark.table("threea_private.stays"), asked, listener=look)
    assert seen == wanted
    assert staged_in(spark) == []


@pytest.mark.parametrize("way", ["release", "fit"])
def test_a_schema_that_is_not_there_is_named_before_a_row_is_read(spark, schemas, way):
    asked = config({"table": "threea_private.stays", "staging_schema": "threea_nowhere"})
    with pytest.raises(SourceError, match=r"source\.staging_schema: there is no schema `threea_nowhere`"):
        prepare(spark, asked) if way == "release" else fit(spark.table("threea_private.stays"), asked)
    assert not spark.catalog.tableExists("threea_public.out")


@pytest.mark.parametrize(("source", "wanted"), WAYS)
def test_clean_up_looks_where_releases_stage(spark, schemas, tmp_path, source, wanted):
    file = tmp_path / "release.json"
    place = source if "table" in source else {"path": str(schemas), **source}
    file.write_text(config(place).model_dump_json(exclude_none=True))

    def cleaned(*options):
        done = CliRunner().invoke(app, ["cleanup", "-c", str(file), "--hours", "0", "--json", *options])
        assert done.exit_code == 0, done.output
        return [item["name"] for item in json.loads(done.stdout) if not item["is_folder"]]

    for schema in (*SCHEMAS, "default"):
        spark.sql(f"CREATE TABLE {schema}.threea_staging_of_a_lost_driver (a INT) USING delta")
    try:
        (name,) = cleaned("--yes")
        assert name.endswith("threea_staging_of_a_lost_driver")
        assert cleaned() == []
        assert staged_in(spark) == [schema for schema in (*SCHEMAS, "default") if schema not in wanted]
    finally:
        for schema in (*SCHEMAS, "default"):
            spark.sql(f"DROP TABLE IF EXISTS {schema}.threea_staging_of_a_lost_driver")


def test_clean_up_in_a_schema_that_is_not_there_says_so(spark, tmp_path):
    file = tmp_path / "release.json"
    asked = config({"table": "threea_nowhere.stays"})
    file.write_text(asked.model_dump_json(exclude_none=True))
    done = CliRunner().invoke(app, ["cleanup", "-c", str(file)])
    assert isinstance(done.exception, SourceError)
    assert "`threea_nowhere`" in str(done.exception)
