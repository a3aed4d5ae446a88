"""Releases logged to a real MLflow store, in SQLite: it holds the receipt, the model and no value of a row."""

import dataclasses
import os
import shutil

import pandas as pd
import pytest
import yaml
from planting import COLUMNS, TEXTS, files_with_planted, planted_rows
from tables import config_of
from typer.testing import CliRunner

from threea_spark import ReleaseConfig, ReleaseModel, log_release
from threea_spark.cli.main import app
from threea_spark.errors import EnvironmentNotReadyError
from threea_spark.publish.mlflow_fields import metrics_of, params_of, tags_of
from threea_spark.publish.receipt import Receipt

pytestmark = [
    pytest.mark.usefixtures("no_staging_left"),
    pytest.mark.filterwarnings("ignore:.*noload.*"),  # MLflow's own use of SQLAlchemy
    pytest.mark.filterwarnings("ignore:.*type hint.*"),  # and its own type hints
]

EXPERIMENT = "releases"


def threea(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def written_config(folder, source, **sections):
    unit = {"column": "patient", "max_rows": 1}
    plain = config_of(source, folder / "out", columns=COLUMNS, privacy={"epsilon": 5.0, "unit": unit}, **sections)
    (folder / "release.yaml").write_text(yaml.safe_dump(plain))
    return folder / "release.yaml"


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """MLflow on a store of its own: a database, and the folder that artifacts go to by default."""
    with pytest.MonkeyPatch.context() as patch:
        store = tmp_path_factory.mktemp("store")
        patch.chdir(store)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
        yield pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def released(spark, mlflow, tmp_path_factory):
    """The folder of one release from planted rows, logged by the command."""
    folder = tmp_path_factory.mktemp("tracking")
    spark.createDataFrame(planted_rows()).write.format("delta").save(str(folder / "source"))
    config = written_config(folder, folder / "source")
    done = threea("release", "-c", config, "--save-model", folder / "model", "--mlflow-experiment", EXPERIMENT)
    assert done.exit_code == 0, done.output
    assert "logged to MLflow as run" in done.output
    return folder


@pytest.fixture
def parts(released):
    """What the release left: its receipt, configuration, model and report."""
    return (
        Receipt.read(released / "out.receipt.json"),
        ReleaseConfig.from_yaml(released / "release.yaml"),
        ReleaseModel.load(released / "model"),
        (released / "out.report.html").read_text(),
    )


def runs_of(mlflow, experiment=EXPERIMENT):
    return mlflow.search_runs(experiment_names=[experiment], output_format="list")


def test_the_run_is_the_receipt(mlflow, parts):
    receipt, config, _, _ = parts
    (run,) = runs_of(mlflow)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == receipt.release_id
    assert run.data.params == params_of(config, receipt)
    assert run.data.metrics == metrics_of(receipt)
    assert run.data.metrics["epsilon_spent"] == receipt.privacy.epsilon_spent
    assert run.data.params["privacy.unit.column"] == "patient"
    assert run.data.tags["threea.release_id"] == receipt.release_id
    assert run.data.tags["threea.source_version"] == "0"
    assert run.data.tags["threea.accounting"] == "end_to_end"


def test_the_run_names_no_user_no_machine_and_no_time_of_the_release(mlflow, released, parts):
    receipt = parts[0]
    (run,) = runs_of(mlflow)
    assert run.data.tags == {**tags_of(receipt), "mlflow.runName": receipt.release_id}
    assert run.info.user_id in (None, "", "unknown")
    assert mlflow.active_run() is None
    assert run.inputs.dataset_inputs == []
    assert run.info.start_time / 1000 >= (released / "out.report.html").stat().st_mtime - 1  # begun when all was done


def test_the_files_are_those_of_the_release(mlflow, released, parts):
    _, config, _, report = parts
    (run,) = runs_of(mlflow)
    names = {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert names == {"receipt.json", "config.yaml", "report.html", "model"}
    got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id)
    assert (released / "out.receipt.json").read_bytes() == open(f"{got}/receipt.json", "rb").read()
    assert open(f"{got}/report.html").read() == report
    assert ReleaseConfig.from_yaml(f"{got}/config.yaml") == config
    files = ["MLmodel", "arrays.npz", "model.json", "python_env.yaml", "requirements.txt"]
    assert sorted(os.listdir(f"{got}/model")) == files
    assert sorted(os.listdir(released / "model")) == ["arrays.npz", "model.json"]


def test_the_model_in_the_store_draws_the_same_rows(spark, mlflow, parts):
    (run,) = runs_of(mlflow)
    loaded = ReleaseModel.load(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/model"))
    drawn = [model.sample(spark, 200, seed=7).toPandas() for model in (loaded, parts[2])]
    assert len(drawn[0]) == 200
    assert drawn[0].equals(drawn[1])
    function = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert function.predict(pd.DataFrame({"n_rows": [200]}), params={"seed": 7}).equals(
        parts[2].sample_local(200, seed=7)
    )
    assert mlflow.register_model(f"runs:/{run.info.run_id}/model", "clinic").version == 1


def test_a_release_is_found_again_and_given_only_what_it_lacks(mlflow, parts):
    receipt, config, model, report = parts
    (run,) = runs_of(mlflow)
    assert log_release(receipt, config=config, model=model, report=report, experiment=EXPERIMENT) == run.info.run_id
    assert len(runs_of(mlflow)) == 1
    client = mlflow.MlflowClient()
    bare = log_release(receipt, config=config, experiment="later")
    assert {item.path for item in client.list_artifacts(bare)} == {"receipt.json", "config.yaml"}
    assert log_release(receipt, config=config, model=model, experiment="later") == bare
    assert {item.path for item in client.list_artifacts(bare)} == {"receipt.json", "config.yaml", "model"}
    again = dataclasses.replace(receipt, n_released=receipt.n_released + 1)  # the target dropped, and released anew
    assert log_release(again, config=config, experiment="later") != bare


def test_the_experiment_is_the_one_that_mlflow_was_told(mlflow, parts, monkeypatch):
    receipt, config, _, _ = parts
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of the environment")
    run_id = log_release(receipt, config=config)
    assert [run.info.run_id for run in runs_of(mlflow, "of the environment")] == [run_id]


def test_a_run_whose_files_cannot_be_written_is_marked_and_logged_anew(mlflow, parts, tmp_path):
    receipt, config, _, report = parts
    (tmp_path / "file").write_text("no folder")
    mlflow.create_experiment("broken", artifact_location=f"file://{tmp_path}/file")
    with pytest.raises(EnvironmentNotReadyError, match="the release is kept"):
        log_release(receipt, config=config, report=report, experiment="broken")
    assert [run.info.status for run in runs_of(mlflow, "broken")] == ["FAILED"]
    (tmp_path / "file").unlink()
    run_id = log_release(receipt, config=config, report=report, experiment="broken")
    assert mlflow.get_run(run_id).info.status == "FINISHED"
    assert sorted(run.info.status for run in runs_of(mlflow, "broken")) == ["FAILED", "FINISHED"]


def test_nothing_is_spent_if_the_store_does_not_open(spark, released, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    config = written_config(tmp_path, released / "source", adapt={"method": "none"})
    done = threea("release", "-c", config, "--no-report", "--mlflow")
    assert isinstance(done.exception, EnvironmentNotReadyError)
    assert "Nothing was read or booked" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_the_store_holds_no_value_of_a_row_and_the_search_would_find_one(mlflow, released, tmp_path):
    """Last: all that the tests above have logged is searched."""
    store = os.getcwd()
    assert {"mlflow.db", "mlruns"} <= set(os.listdir(store))
    assert files_with_planted(store) == {}
    shutil.copy("mlflow.db", tmp_path)
    leaky = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    leaky.set_tag(runs_of(mlflow)[0].info.run_id, "leak", TEXTS[0])
    assert any(TEXTS[0] in names for names in files_with_planted(tmp_path).values())
