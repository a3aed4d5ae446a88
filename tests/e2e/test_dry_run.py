"""A dry run says what a release would do, or why it would be refused, and leaves no trace."""

import copy
import json

import pytest
import yaml
from tables import clinic, config_of, write_delta
from typer.testing import CliRunner

from threea_spark import ReleaseConfig
from threea_spark.cli import app
from threea_spark.errors import BudgetError, SchemaError, SourceError, TargetExistsError
from threea_spark.prepared import prepare

LEDGER = {"path": "ledger", "budget": {"epsilon": 4.0, "delta": 3e-5}}


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory):
    return write_delta(spark, clinic(60), tmp_path_factory.mktemp("dry") / "source")


def dry_run(spark, tmp_path, content, *options):
    """In this process, so that the command finds the session of the tests."""
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(content))
    return CliRunner().invoke(app, ["release", "-c", str(tmp_path / "release.yaml"), "--dry-run", *options])


def test_it_says_what_would_be_done_and_does_nothing(spark, source, tmp_path):
    ledger = {**LEDGER, "path": str(tmp_path / "ledger")}
    content = config_of(source, tmp_path / "out", privacy={"ledger": ledger})
    done = dry_run(spark, tmp_path, content)
    assert done.exit_code == 0, done.output
    for words in ("nothing was read", "at version 0", "left out    patient", "ledger      holds", "approximate mu"):
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
        (lambda c: c["target"].update(c["source"]), TargetExistsError),
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
