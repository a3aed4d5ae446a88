"""The command line and the jobs on real Spark, as a person or a scheduler runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from tables import clinic, config_of, write_delta
from typer.testing import CliRunner

from threea_spark.cli.main import app
from threea_spark.errors import ReleaseExistsError
from threea_spark.model.released import ReleaseModel

ROOT = Path(__file__).resolve().parents[2]
QUIET = {key: value for key, value in os.environ.items() if key != "THREEA_TEST_MASTER"}


def write_config(folder, **overrides):
    path = folder / "release.yaml"
    path.write_text(yaml.safe_dump(config_of(folder / "source", folder / "out", **overrides)))
    return str(path)


def test_a_draft_names_each_column_and_leaves_its_bounds_open(spark, tmp_path):
    write_delta(spark, clinic(8), tmp_path / "source")
    draft = CliRunner().invoke(app, ["domain", "draft", "--table", str(tmp_path / "source")])
    assert draft.exit_code == 0, draft.output
    assert '"cost.usd": {type: float, lower: TODO' in draft.stdout


def test_the_whole_way_through_the_command_line(spark, tmp_path):
    """In this process, for a warm JVM; test_first_release.py starts one for each command."""

    def here(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    write_delta(spark, clinic(800), tmp_path / "source")
    write_delta(spark, clinic(300, seed=9), tmp_path / "held_out")
    config = write_config(tmp_path)
    done = here("release", "-c", config)
    assert done.exit_code == 0, done.output
    assert "differential privacy for everything that read a row" in done.stdout
    assert "[1/5]" in done.stderr
    n_released = json.loads((tmp_path / "out.receipt.json").read_text())["n_released"]
    assert n_released > 700
    assert "Release report" in (tmp_path / "out.report.html").read_text()
    assert isinstance(here("release", "-c", config).exception, ReleaseExistsError)
    (tmp_path / "out.receipt.json").unlink()
    for options in ([], ["--dry-run"], ["--save-model", tmp_path / "out.model"]):
        again = here("release", "-c", config, "--if-exists", "skip", "--json", *options)
        assert again.exit_code == 0, again.output
        assert json.loads(again.stdout)["n_released"] == n_released
        assert "was written before" in again.stderr or "--dry-run" in options
    assert json.loads((tmp_path / "out.receipt.json").read_text())["n_released"] == n_released
    more = tmp_path / "more"
    asked = ("sample", "--model", tmp_path / "out.model", "--target", more, "--rows", 50, "--json")
    drawn = here(*asked, "--where", "died=yes", "--where", "age=30..80")
    assert drawn.exit_code == 0, drawn.output
    assert json.loads(drawn.stdout)["rows"] == 50
    rows = spark.read.format("delta").load(str(more)).toPandas()
    assert len(rows) == 50
    assert set(rows["died"]) == {"yes"}
    assert rows["age"].between(30, 80).all()
    judged = here("evaluate", "-c", config, "--held-out", tmp_path / "held_out", "--json")
    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.stdout)["internal"] is True


def test_spark_submit_runs_the_job(spark, tmp_path):
    from threea_spark.session import delta_coordinate

    write_delta(spark, clinic(400), tmp_path / "source")
    submitted = write_config(tmp_path, approximate={"components": 1})  # a process of its own fits no small mixture
    submit = [
        str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]", "--packages", delta_coordinate(),
        "--conf", "spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension",
        "--conf", "spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "--conf", "spark.sql.shuffle.partitions=2", "--conf", "spark.databricks.delta.snapshotPartitions=2",
        "--conf", "spark.ui.enabled=false", "--conf", f"spark.sql.warehouse.dir={tmp_path / 'warehouse'}",
        str(ROOT / "jobs" / "release.py"), "--config", submitted,
    ]  # fmt: skip
    environment = {**QUIET, "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(submit, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "differential privacy for everything that read a row" in done.stdout
    assert (tmp_path / "out.receipt.json").exists()
    assert (tmp_path / "out.report.html").exists()
    assert len(ReleaseModel.load(tmp_path / "out.model").sample_local(7)) == 7
    assert not any((tmp_path / "warehouse").glob("threea_staging*"))
