"""jobs/release.py leaves what `threea release` leaves: the same options, refused before Spark starts."""

import runpy
import sys
from pathlib import Path

import pytest
import yaml
from tables import config_of
from typer.main import get_command
from typer.testing import CliRunner

from threea_spark.cli.main import app
from threea_spark.errors import TargetExistsError

JOB = runpy.run_path(str(Path(__file__).resolve().parents[2] / "jobs" / "release.py"))
OF_A_TERMINAL_ONLY = {"--master", "--no-report", "--dry-run", "--json", "--help", "-c"}
OF_A_JOB_ONLY = {"--ledger", "--grants"}  # of whoever sets a job up; who types a command has the configuration
TINY = {"epsilon": 1e-7, "delta": 1e-9}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "release.yaml"
    path.write_text(yaml.safe_dump(config_of(tmp_path / "nowhere", tmp_path / "out")))
    return str(path)


def test_the_job_takes_the_options_of_the_command():
    ours = {name for action in JOB["_parser"]()._actions for name in action.option_strings}
    theirs = {name for option in get_command(app).commands["release"].params for name in option.opts}
    assert ours - {"-h", "--help"} - OF_A_JOB_ONLY == theirs - OF_A_TERMINAL_ONLY


@pytest.mark.parametrize(
    ("ledger", "is_refused"),
    [
        (None, True),
        ({"table": "gov.ledger"}, True),
        ({"table": "gov.ledger", "grants": "my.own.grants"}, True),
        ({"table": "my.own.ledger", "grants": "gov.grants"}, True),
        ({"table": "gov.LEDGER", "grants": "`gov`.grants"}, False),
    ],
)
def test_a_job_refuses_what_is_booked_elsewhere_before_spark_starts(ledger, is_refused, tmp_path, monkeypatch, capsys):
    path = tmp_path / "release.yaml"
    privacy = {} if ledger is None else {"ledger": ledger}
    path.write_text(yaml.safe_dump(config_of(tmp_path / "nowhere", tmp_path / "out", privacy=privacy)))
    started = []
    monkeypatch.setitem(JOB["main"].__globals__, "build_session", started.append)
    monkeypatch.setitem(JOB["main"].__globals__, "release_with_outputs", refuse)
    code = JOB["main"](["--config", str(path), "--ledger", "gov.ledger", "--grants", "gov.grants"])
    said = capsys.readouterr().err
    assert (code, started == []) == ((2, True) if is_refused else (5, False)), said
    if is_refused:
        assert "booked in gov.ledger, with grants: gov.grants; change privacy.ledger" in said


def refuse(spark, config, outputs):
    raise TargetExistsError("target: there is one")


def test_a_folder_that_holds_something_is_refused_before_spark_starts(config, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "kept").write_text("")
    assert JOB["main"](["--config", config, "--save-model", str(tmp_path / "model")]) != 0
    assert str(tmp_path / "model") in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--mlflow"], ["--mlflow-experiment", "x"]])
def test_a_missing_mlflow_is_refused_before_spark_starts(config, options, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mlflow", None)  # what an import of a package that is not there does
    assert JOB["main"](["--config", config, *options]) == 11
    assert capsys.readouterr().err == "error: mlflow is missing; pip install 'threea-spark[mlflow]'\n"


@pytest.mark.parametrize("run", ["job", "command"])
def test_a_claim_that_cannot_be_certified_is_refused_before_spark_starts(run, tmp_path, monkeypatch, capsys):
    path = tmp_path / "release.yaml"
    path.write_text(yaml.safe_dump(config_of(tmp_path / "nowhere", tmp_path / "out", privacy=TINY)))
    started = []
    monkeypatch.setitem(JOB["main"].__globals__, "build_session", started.append)
    monkeypatch.setattr("threea_spark.session.build_session", lambda app, *, master: started.append(app))
    if run == "job":
        code, said = JOB["main"](["--config", str(path)]), capsys.readouterr().err
    else:
        result = CliRunner().invoke(app, ["release", "-c", str(path), "--no-report"])
        code, said = result.exit_code, str(result.exception)
    assert code != 0
    assert "cannot be certified" in said
    assert not started
