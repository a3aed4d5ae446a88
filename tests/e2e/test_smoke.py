"""The smoke check on real Spark: a good cluster, one without a place to write, and workers that really differ."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from threea_spark.doctor.checks import Level, wrong
from threea_spark.doctor.probe import SMOKE, diagnose
from threea_spark.errors import ClusterNotReadyError
from threea_spark.session import delta_coordinate

ROOT = Path(__file__).resolve().parents[2]
SMOKE_JOB = str(ROOT / "jobs" / "smoke.py")
QUIET = {key: value for key, value in os.environ.items() if key != "THREEA_TEST_MASTER"}


def smoke(*arguments, cwd, command=(sys.executable,), **environment):
    return subprocess.run(
        [*command, SMOKE_JOB, *arguments], cwd=cwd, capture_output=True, text=True, check=False,
        env={**QUIET, **environment},
    )  # fmt: skip


def levels(done):
    found, _ = json.JSONDecoder().raw_decode(done.stdout)  # spark-submit lets standard error follow
    return {check["check"]: check["level"] for check in found["checks"]}


def test_a_good_cluster_has_nothing_wrong_and_nothing_stays_behind(spark, tmp_path):
    tables = {table.name for table in spark.catalog.listTables()}
    schemas = {schema.name for schema in spark.catalog.listDatabases()}
    for place in (None, "default", str(tmp_path)):
        found = {finding.check: finding for finding in diagnose(spark, place)}
        assert wrong(list(found.values())) == []
        assert found[f"delta table in {place or 'the current schema'}"].found == "1,000 rows written and read"
        assert "temporary table" not in found
    assert found["mapInArrow on workers"].level is Level.OK
    assert found["threea_spark on workers"].found.startswith("source ")
    assert "Delta-Lake/" in found["delta"].found
    assert {table.name for table in spark.catalog.listTables()} == tables
    assert {schema.name for schema in spark.catalog.listDatabases()} == schemas
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["a path", "no.such.schema"])
def test_a_place_where_nothing_can_be_written_is_wrong_and_says_how_to_fix_it(spark, tmp_path, place):
    (tmp_path / "file").write_text("no folder")
    write_to = str(tmp_path / "file" / "below") if place == "a path" else place
    bad = [finding for finding in diagnose(spark, write_to) if finding.level is Level.WRONG]
    assert [finding.check for finding in bad] == [f"delta table in {write_to}"]
    assert "--write-to" in bad[0].fix
    assert "\n" not in bad[0].found
    assert not any(schema.name.startswith(SMOKE) for schema in spark.catalog.listDatabases())


@pytest.mark.slow
def test_the_job_ends_with_0_on_a_good_cluster(tmp_path):
    done = smoke("--master", "local[2]", "--write-to", str(tmp_path / "here"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "numpy on workers" in done.stdout
    assert "wrong" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_the_command_does_the_same_through_connect(tmp_path):
    command = (sys.executable, "-c", "from threea_spark.cli.main import main; main()", "doctor")
    done = subprocess.run(
        [*command, "--master", "connect:local[2]", "--json"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=QUIET,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True
    assert levels(done)["mapInArrow on workers"] == "ok"
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_workers_with_other_code_than_the_driver_are_found(tmp_path):
    other = tmp_path / "of_workers"
    shutil.copytree(ROOT / "threea_spark", other / "threea_spark", ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "threea_spark" / "columns.py").open("a") as file:
        file.write("\nNEWER = True\n")
    (other / "scipy").mkdir()
    (other / "scipy" / "__init__.py").write_text("__version__ = '1.9.3'\n")
    submit = [
        str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]", "--packages", delta_coordinate(),
        "--conf", "spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension",
        "--conf", "spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "--conf", "spark.ui.enabled=false", "--conf", f"spark.executorEnv.PYTHONPATH={other}",
    ]  # fmt: skip
    done = smoke("--json", cwd=tmp_path, command=submit, PYSPARK_PYTHON=sys.executable)
    assert done.returncode == ClusterNotReadyError.exit_code, done.stderr[-2000:]
    found = levels(done)
    assert {check for check, level in found.items() if level == "wrong"} == {
        "scipy on workers",
        "dp_accounting on workers",  # it imports scipy
        "threea_spark on workers",
        "tasks import on workers",
    }
    assert found["scipy on the driver"] == found["numpy on workers"] == "ok"
    assert "error: not ready for a release" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "spark-warehouse").exists() or list((tmp_path / "spark-warehouse").iterdir()) == []


@pytest.mark.slow
def test_a_worker_without_python_is_a_finding_and_no_trace(tmp_path):
    done = smoke("--master", "local[2]", "--json", cwd=tmp_path, PYSPARK_PYTHON=str(tmp_path / "no_python"))
    assert done.returncode == ClusterNotReadyError.exit_code
    found = levels(done)
    assert found["mapInArrow on workers"] == "wrong"
    assert found["delta table in the current schema"] == "ok"
    assert "PYSPARK_PYTHON" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_connect_server_that_is_not_there_is_one_line_and_code_11(tmp_path):
    done = smoke("--master", "sc://localhost:1", cwd=tmp_path)
    assert done.returncode == 11
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
