"""What MLflow would be told of a release, what is refused, and what a missing or autologging MLflow does."""

import dataclasses
import os
import re
import sys

import numpy as np
import pytest
import yaml
from doc_blocks import ROOT, blocks_of, run_python
from in_process import threea
from report_pages import HOSTILE, internal, public, receipt, statement, table
from tables import config_of
from test_model_store import model_of

from threea_spark import ReleaseConfig, log_release
from threea_spark.errors import ConfigError, EnvironmentNotReadyError
from threea_spark.evaluation.models import MODELS, class_chances
from threea_spark.model.released import ReleaseModel
from threea_spark.outputs import Outputs
from threea_spark.privacy.terms import Accounting
from threea_spark.publish.mlflow import autologging_off
from threea_spark.publish.mlflow_fields import metrics_of, params_of, tags_of
from threea_spark.publish.mlflow_model import save_for_mlflow
from threea_spark.publish.mlflow_store import open_experiment, reason_of

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
        said = ["checking the plan ...", "error: mlflow is missing; pip install 'threea-spark[mlflow]'"]
        assert done.stderr.splitlines() == said


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """MLflow on a real store: a database and a folder."""
    with pytest.MonkeyPatch.context() as patch:
        store = tmp_path_factory.mktemp("store")
        patch.chdir(store)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/store.db")
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        yield pytest.importorskip("mlflow")


@pytest.mark.filterwarnings("ignore")
def test_a_store_is_opened_before_anything_is_spent_and_says_why_not(mlflow, tmp_path, monkeypatch):
    client = mlflow.MlflowClient()
    assert client.get_experiment(open_experiment("new")).name == "new"
    assert open_experiment("new") == open_experiment("new")
    assert client.get_experiment(open_experiment(None)).name == "Default"
    client.delete_experiment(open_experiment("gone"))
    with pytest.raises(EnvironmentNotReadyError, match="experiment 'gone' is deleted; restore it"):
        open_experiment("gone")
    (tmp_path / "file").write_text("")
    for uri, why in (
        (f"sqlite:///{tmp_path}/file/x/store.db", "Not a directory"),
        (f"file://{tmp_path}/runs", "maintenance mode"),
        ("http://127.0.0.1:9", "Connection refused"),
        ("odd://me:secret@nowhere/x", r"unsupported URI 'odd://\*\*\*@nowhere/x'"),
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(EnvironmentNotReadyError, match=why) as caught:
            open_experiment("x")
        assert "Nothing was read or booked" in str(caught.value)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_a_database_without_its_library_is_named(monkeypatch):
    error = ValueError("got unsupported URI 'sqlite:///x.db' for model registry data storage")
    assert reason_of(error) == f"{error} (ValueError)"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "sqlalchemy" else name)
    assert "needs SQLAlchemy, pip install sqlalchemy alembic" in reason_of(error)


@pytest.mark.filterwarnings("ignore")
def test_a_store_that_fails_after_the_release_loses_no_model(mlflow, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder")
    mlflow.create_experiment("broken", artifact_location=f"file://{tmp_path}/file")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model, (config, made) = model_of(), release()
    made = dataclasses.replace(made, privacy=model.privacy, columns=tuple(model.types))
    outputs = Outputs(tmp_path / "r.json", with_report=False, with_model=False, mlflow_experiment="broken")
    outputs.check(config)  # the store answers
    outputs.write(None, config, made, model)
    said = capsys.readouterr().err
    assert "warning: MLflow did not accept the run: " in said
    assert "the release is kept" in said
    (spare,) = tmp_path.glob("threea-model-*")
    assert str(spare) in said
    assert ReleaseModel.load(spare).n_rows == model.n_rows


@pytest.mark.filterwarnings("ignore")
def test_a_model_is_a_python_function_that_a_registry_takes(mlflow, tmp_path):
    model, pd = model_of(), pytest.importorskip("pandas")
    save_for_mlflow(model, tmp_path / "model")
    drawn = model.sample_local(7, seed=3)
    assert ReleaseModel.load(tmp_path / "model").sample_local(7, seed=3).equals(drawn)
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert loaded.predict(pd.DataFrame({"n_rows": [7]}), params={"seed": 3}).equals(drawn)
    assert len(loaded.predict(pd.DataFrame())) == model.matching_rows
    assert loaded.metadata.signature.outputs.input_names() == list(model.types)
    with pytest.raises(ConfigError, match="pass one row"):
        loaded.predict(pd.DataFrame({"n_rows": [1, 2]}))
    client = mlflow.MlflowClient()
    run = client.create_run(open_experiment("models")).info.run_id
    client.log_artifacts(run, str(tmp_path / "model"), "model")
    (example,) = [block for block in blocks_of(ROOT / "docs" / "mlflow.md") if block.language == "python"]
    run_python(example, names := {"run_id": run})
    assert names["rows"].equals(model.sample_local(1000, seed=7))


@pytest.mark.filterwarnings("ignore")
def test_a_wide_release_with_hostile_names_is_taken_by_a_real_store(mlflow):
    config, made = release(n_more=300, names=HOSTILE)
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
