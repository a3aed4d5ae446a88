"""A dry run says what a release would do, or why it would be refused, and leaves no trace."""

import copy
import json

import pytest
import yaml
from tables import clinic, config_of
from typer.testing import CliRunner

from threea_spark import ReleaseConfig
from threea_spark.cli.main import app
from threea_spark.errors import BudgetError, ConfigError, SchemaError, SourceError, TargetExistsError
from threea_spark.preflight import prepare

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
