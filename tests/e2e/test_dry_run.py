"""A dry run says what a release would do, or why it would be refused, and leaves no trace."""

import copy
import json

import pytest
import yaml
from pyspark.errors import AnalysisException
from tables import clinic, config_of
from typer.testing import CliRunner

from threea_spark import ReleaseConfig
from threea_spark.cli.main import app
from threea_spark.engine.not_delta import why_no_delta
from threea_spark.errors import BudgetError, ConfigError, SchemaError, SourceError, TargetExistsError
from threea_spark.preflight import prepare
from threea_spark.source.draft import drafted, release_text

LEDGER = {"path": "ledger", "budget": {"epsilon": 4.0, "delta": 3e-5}}


def dry_run(spark, tmp_path, content, *options):
    """In this process, so that the command finds the session of the tests."""
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(content))
    return CliRunner().invoke(app, ["release", "-c", str(tmp_path / "release.yaml"), "--dry-run", *options])


def test_it_says_what_would_be_done_and_does_nothing(spark, source, tmp_path):
    ledger = {**LEDGER, "path": str(tmp_path / "ledger")}
    content = config_of(source, tmp_path / "out", privacy={"ledger": ledger})
    done = dry_run(spark, tmp_path, content)
    assert done.exit_code == 0, done.output
    for words in ("nothing was read", "at version 0", "left out    patient", "ledger      has", "approximate mu"):
        assert words in done.output
    plain = json.loads(dry_run(spark, tmp_path, content, "--json").stdout)
    assert plain["columns"] == list(content["domain"]["columns"])
    assert plain["source_version"] == 0
    assert sorted(place.name for place in tmp_path.iterdir()) == ["release.yaml"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c: c["source"].update(version=3), SourceError),
        (lambda c: c["domain"]["columns"].update(weight={"type": "float", "lower": 0, "upper": 1}), SchemaError),
        (lambda c: c["target"].update(c["source"]), ConfigError),
        (lambda c: c["privacy"]["ledger"].update(budget={"epsilon": 1.0, "delta": 3e-5}), BudgetError),
    ],
)
def test_what_would_be_refused_is_refused(spark, source, tmp_path, change, error):
    ledger = {**LEDGER, "path": str(tmp_path / "ledger")}
    content = config_of(source, tmp_path / "out", privacy={"ledger": ledger})
    content = copy.deepcopy(content)
    change(content)
    with pytest.raises(error):
        prepare(spark, ReleaseConfig.from_dict(content)).ledger.check()
    assert list(tmp_path.iterdir()) == []


COLUMNS = {"age": {"type": "integer", "lower": 18, "upper": 100}}


@pytest.fixture
def one_table(spark, tmp_path):
    """One private table under two names and by its folder, and another table by name."""
    folder = tmp_path / "stays"
    spark.createDataFrame(clinic(20)[["age"]]).write.format("delta").save(str(folder))
    spark.sql("CREATE SCHEMA threea_names")
    for name in ("stays", "same"):
        spark.sql(f"CREATE TABLE threea_names.{name} USING delta LOCATION '{folder}'")
    spark.range(3).write.format("delta").saveAsTable("threea_names.other")
    yield str(folder)
    spark.sql("DROP SCHEMA threea_names CASCADE")


def placed(source, target, mode="create", **privacy):
    plain = config_of("", "", columns=COLUMNS, label=None, task="none", privacy=privacy)
    places = {"source": source, "target": {**target, "mode": mode}}
    return ReleaseConfig.from_dict({**plain, **places})


@pytest.mark.parametrize("mode", ["create", "append"])
@pytest.mark.parametrize("way", ["two names", "name and path", "path and name", "unqualified name", "inside", "linked"])
def test_a_target_that_is_the_source_under_another_name_is_refused(spark, one_table, tmp_path, way, mode):
    by_name, by_path = {"table": "threea_names.stays"}, {"path": one_table}
    (tmp_path / "link").symlink_to(one_table)
    source, target = {
        "two names": (by_name, {"table": "threea_names.same"}),
        "name and path": (by_name, by_path),
        "path and name": (by_path, by_name),
        "unqualified name": (by_name, {"table": "spark_catalog.threea_names.stays"}),
        "inside": (by_name, {"path": f"{one_table}/out"}),
        "linked": (by_name, {"path": str(tmp_path / "link")}),
    }[way]
    before = spark.table("threea_names.stays").count()
    with pytest.raises(ConfigError, match=r"target: .*the private source; choose another target"):
        prepare(spark, placed(source, target, mode))
    assert spark.table("threea_names.stays").count() == before


def test_a_ledger_that_is_the_source_or_the_target_under_another_name_is_refused(spark, one_table, tmp_path):
    source, out = {"table": "threea_names.stays"}, {"path": str(tmp_path / "out")}
    with pytest.raises(ConfigError, match=r"privacy\.ledger: is the private source"):
        prepare(spark, placed(source, out, ledger={"table": "threea_names.same"}))
    other = spark.sql("DESCRIBE DETAIL threea_names.other").collect()[0]["location"]
    with pytest.raises(ConfigError, match=r"privacy\.ledger: is the target"):
        prepare(spark, placed(source, {"path": other}, ledger={"table": "threea_names.other"}))


def test_a_table_that_no_release_wrote_is_never_called_one_to_drop(spark, one_table):
    with pytest.raises(TargetExistsError) as caught:
        prepare(spark, placed({"table": "threea_names.stays"}, {"table": "threea_names.other"}))
    assert "was not made by a release; it is left untouched. Choose another target" in str(caught.value)
    assert "drop" not in str(caught.value)


@pytest.fixture
def other_tables(spark, one_table, tmp_path):
    """What is no Delta table: views and Parquet, and a unit in another case."""
    spark.sql("CREATE VIEW threea_names.seen AS SELECT * FROM threea_names.stays")
    spark.sql("CREATE TEMP VIEW threea_passing AS SELECT * FROM threea_names.stays")
    spark.sql("CREATE TABLE threea_names.files USING parquet AS SELECT * FROM threea_names.stays")
    spark.range(3).write.parquet(str(tmp_path / "parquet"))
    (tmp_path / "parquet" / "stays" / "_delta_log").mkdir(parents=True)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "file").write_text("no Parquet")
    yield tmp_path
    spark.catalog.dropTempView("threea_passing")


def test_what_is_no_delta_table_says_what_it_is_and_how_to_store_it(spark, other_tables):
    folder = str(other_tables / "parquet")
    copy = "CREATE TABLE ... USING delta AS SELECT * FROM"
    for place, words in [
        ({"table": "threea_names.seen"}, ["source.table: threea_names.seen is a view; ", f"{copy} threea_names.seen"]),
        ({"table": "threea_passing"}, ["threea_passing is a temporary view; ", f"{copy} threea_passing"]),
        ({"table": "threea_names.files"}, ["is a table of format parquet; ", f"{copy} threea_names.files"]),
        ({"path": folder}, ["holds Parquet files, but is no Delta table; ", f"{copy} parquet.`{folder}`", "CONVERT"]),
        ({"path": f"{other_tables}/text"}, ["text is not a readable Delta table; check the path"]),
        ({"path": f"{folder}/none"}, [f"source.path: {folder}/none is not a readable Delta table; check the path"]),
        (
            {"path": f"{folder}/stay"},
            [f"source.path: {folder}/stay is not a readable Delta table; did you mean 'stays'?"],
        ),
        ({"table": "threea_names.none"}, ["threea_names.none is not found; check the name of the table"]),
        ({"table": "threea_names.styas"}, ["threea_names.styas is not found; did you mean 'threea_names.stays'?"]),
        ({"table": "threea_name.stays"}, ["is not found; there is no schema `threea_name` in this session"]),
    ]:
        with pytest.raises(SourceError) as caught:
            prepare(spark, placed(place, {"path": str(other_tables / "out")}))
        for word in words:
            assert word in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    source = {"table": "threea_names.stays"}
    for mode in ("create", "append"):
        for place in ({"table": "threea_names.seen"}, {"table": "threea_names.files"}, {"path": folder}):
            with pytest.raises(TargetExistsError, match="and releases are Delta tables; choose another target"):
                prepare(spark, placed(source, place, mode))


@pytest.mark.parametrize("words", ["HISTORY", "DELTA_CONFIGURE_SPARK_SESSION_WITH_EXTENSION_AND_CATALOG"])
def test_a_session_without_delta_is_told_from_a_table_that_is_not_there(spark, words):
    """Without Delta's extension DESCRIBE HISTORY looks for a table of that name, and raises what Spark raises here."""
    with pytest.raises(AnalysisException) as without_delta:
        spark.sql("DESCRIBE TABLE HISTORY")
    error = without_delta.value if words == "HISTORY" else AnalysisException(words)
    found = why_no_delta(spark, "threea_names.stays", is_path=False, error=error)
    assert found.what == "cannot be looked up, since this session has no Delta"
    assert "threea_spark.build_session()" in found.fix
    assert "spark.sql.extensions=io.delta" in found.fix
    with pytest.raises(AnalysisException) as missing:
        spark.sql("DESCRIBE HISTORY threea_names.none")
    assert why_no_delta(spark, "threea_names.none", is_path=False, error=missing.value).what == "is not found"


def test_a_draft_of_a_view_says_that_it_has_to_be_stored(spark, other_tables):
    text = drafted(spark, "threea_names.seen", release_text)
    assert text.startswith("# threea_names.seen is a view, and a release reads a version of a Delta table: store")
    assert list(yaml.safe_load(text)["domain"]["columns"]) == ["age"]
    assert drafted(spark, "threea_names.stays", release_text).startswith("# Release of threea_names.stays")


def test_a_unit_in_another_case_is_proposed(spark, one_table, tmp_path):
    unit = {"unit": {"column": "AGE", "max_rows": 2}}
    content = config_of(
        one_table, tmp_path / "out", columns={"n": COLUMNS["age"]}, label=None, task="none", privacy=unit
    )
    with pytest.raises(SchemaError, match=r"'AGE': the unit of privacy .*; did you mean 'age'\?"):
        prepare(spark, ReleaseConfig.from_dict(content))
