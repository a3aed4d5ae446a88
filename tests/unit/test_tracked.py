"""What MLflow would be told of a release, what is refused, and what a missing or autologging MLflow does."""

import dataclasses
import re
import sys

import numpy as np
import pytest
import yaml
from in_process import threea
from report_pages import HOSTILE, internal, public, receipt, statement, table
from tables import config_of
from test_model_store import model_of

from threea_spark import ReleaseConfig, log_release
from threea_spark.errors import ConfigError
from threea_spark.evaluation.models import MODELS, class_chances
from threea_spark.privacy.budget import Accounting
from threea_spark.publish.mlflow import autologging_off
from threea_spark.publish.mlflow_fields import metrics_of, params_of, tags_of

KEY = r"[\w .:/-]{1,250}"


def release(n_more=0, names=(), **sections):
    _, domain = table(10, n_more, names)
    plain = domain.model_dump(mode="json")
    config = ReleaseConfig.from_dict(config_of("in", "out", columns=plain["columns"], label=plain["label"], **sections))
    return config, receipt(domain, release_id=f"{config.digest}-v3")


def test_every_field_of_a_configuration_is_a_parameter_but_columns_are_counted():
    config, made = release(privacy={"unit": {"column": "patient", "max_rows": 4}})
    params = params_of(config, made)
    assert params["privacy.epsilon"] == "3.0"
    assert params["privacy.unit.column"] == "patient"
    assert params["adapt.support_size"] == "8"
    assert params["encode.cells"] == "auto"
    assert params["domain.label"] == "died"
    assert {name: count for name, count in params.items() if name.startswith("domain.columns")} == {
        "domain.columns.categorical": "1",
        "domain.columns.float": "1",
        "domain.columns.integer": "1",
        "domain.columns.timestamp": "1",
    }
    for section in ReleaseConfig.model_fields:
        assert any(name.startswith(f"{section}.") for name in params), section
    for name, value in made.resolved.items():
        assert params[f"resolved.{name}"] == str(value)


def test_wide_tables_and_hostile_names_fit_what_mlflow_takes():
    config, made = release(n_more=3000, names=HOSTILE)
    params, tags, metrics = params_of(config, made), tags_of(made), metrics_of(made)
    assert len(params) <= 100
    assert max(map(len, params.values())) <= 500
    assert max(map(len, tags.values())) <= 5000
    for name in (*params, *tags, *metrics):
        assert re.fullmatch(KEY, name), name


def test_metrics_are_the_receipts_numbers_and_shares_are_whole():
    _, made = release()
    metrics, spent = metrics_of(made), made.privacy
    assert metrics["epsilon_spent"] == spent.epsilon_spent
    assert metrics["rows_released"] == made.n_released
    shares = [metrics[f"{spend.stage}.share"] for spend in spent.stages]
    assert sum(shares) == pytest.approx(1.0)
    assert all(isinstance(value, float) and np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize(
    "other", [statement(sampled=True), statement(accounting=Accounting.CONDITIONAL)], ids=["sampled", "conditional"]
)
def test_what_has_no_number_is_left_out(other):
    _, made = release()
    metrics = metrics_of(dataclasses.replace(made, privacy=other))
    assert ("mu" in metrics) == (other.mu is not None)
    stages = {name.split(".")[0] for name in metrics if name.endswith(".share")}
    assert stages == ({spend.stage for spend in other.stages if spend.mu} if other.mu else set())
    assert all(np.isfinite(value) for value in metrics.values())


def test_two_receipts_of_one_release_have_two_tags():
    _, made = release()
    assert tags_of(made) == tags_of(dataclasses.replace(made))
    assert tags_of(made)["threea.receipt"] != tags_of(dataclasses.replace(made, n_released=1))["threea.receipt"]


@pytest.mark.parametrize(
    "report",
    [
        "<title>INTERNAL: real against released rows, out</title>",
        "<title>Release report {id}</title><div class=\"banner\" role=\"note\">",
        "<title>Release report 0123456789abcdef-v3</title>",
        "<title>Release report {id}</title",
        "",
        internal(),
        internal(title="<title>Release report {id}</title>"),
    ],
    ids=["internal-title", "internal-banner", "another", "broken", "empty", "internal", "internal-hostile"],
)  # fmt: skip
def test_a_report_that_is_not_the_public_one_of_the_release_is_refused(report):
    config, made = release()
    with pytest.raises(ConfigError, match="report"):
        log_release(made, config=config, report=report.replace("{id}", made.release_id))


def test_a_configuration_or_model_of_another_release_is_refused():
    config, made = release()
    other, _ = release(privacy={"epsilon": 2.0})
    with pytest.raises(ConfigError, match="config"):
        log_release(made, config=other)
    with pytest.raises(ConfigError, match="model"):
        log_release(made, config=config, model=model_of())


def test_a_missing_mlflow_is_one_clear_error_before_the_source_is_looked_for(tmp_path, monkeypatch):
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(config_of(tmp_path / "nowhere", tmp_path / "out")))
    monkeypatch.setitem(sys.modules, "mlflow", None)  # what an import of a package that is not there does
    for options in (["--mlflow"], ["--mlflow-experiment", "x"]):
        done = threea("release", "-c", tmp_path / "release.yaml", *options, cwd=tmp_path)
        assert done.returncode == 11, done.stderr
        assert done.stdout == ""
        assert done.stderr == "error: mlflow is missing; pip install 'threea-spark[mlflow]'\n"


@pytest.mark.filterwarnings("ignore")
def test_a_wide_release_with_hostile_names_is_taken_by_a_real_store(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    config, made = release(n_more=300, names=HOSTILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store.db")
    page = public(n_more=300, names=HOSTILE, release_id=made.release_id)
    run_id = log_release(made, config=config, report=page, experiment="wide")
    assert mlflow.get_run(run_id).data.params == params_of(config, made)
    folder = mlflow.artifacts.download_artifacts(run_id=run_id)
    assert ReleaseConfig.from_yaml(f"{folder}/config.yaml") == config


@pytest.fixture
def autologging(tmp_path, monkeypatch):
    """MLflow as a Databricks notebook has it: every fit is recorded."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "notebook")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store.db")
    for flavor in (mlflow.sklearn, mlflow.lightgbm):
        flavor.autolog(log_models=False, log_datasets=False, silent=True)
    yield mlflow
    for flavor in (mlflow.sklearn, mlflow.lightgbm):
        flavor.autolog(disable=True, silent=True)


@pytest.mark.filterwarnings("ignore")
def test_models_that_judge_a_release_are_not_autologged(autologging):
    from sklearn.linear_model import LogisticRegression

    frame, domain = table(200)
    for model in MODELS:
        class_chances(model, frame, frame, domain)
    assert autologging.search_runs(search_all_experiments=True, output_format="list") == []
    with autologging_off():
        pass
    LogisticRegression().fit(np.arange(8.0)[:, None], np.arange(8) % 2)  # is recorded: the search would have seen them
    assert len(autologging.search_runs(search_all_experiments=True, output_format="list")) == 1
