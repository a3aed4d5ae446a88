"""Every check of a cluster on what it must accept and what it must refuse; no Spark."""

import dataclasses
import io
import json
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from threea_spark.cli.doctor import check_up, table_of
from threea_spark.doctor import checks
from threea_spark.doctor.checks import MISSING, Finding, Level, Machine
from threea_spark.doctor.probe import SMOKE, read_machine, require_answer, temporary_place
from threea_spark.engine.delta import Place
from threea_spark.errors import ClusterNotReadyError, EnvironmentNotReadyError

PYPROJECT = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
VERSIONS = {"numpy": "2.1.0", "scipy": "1.14.1", "pandas": "2.2.3", "pyarrow": "17.0.0", "pydantic": "2.9.2",
            "dp_accounting": "0.6.0", "threadpoolctl": "3.5.0", "ruamel.yaml": "0.18.6"}  # fmt: skip
DRIVER = Machine("driver", "3.11.9", VERSIONS, "source 0123456789ab")
WORKER = dataclasses.replace(DRIVER, host="worker")
PYPI = {"dp_accounting": "dp-accounting"}


def worker(**changes):
    """A worker that differs in one version, or in what is named."""
    versions = {**VERSIONS, **{name: changes.pop(name) for name in list(changes) if name in VERSIONS}}
    return dataclasses.replace(WORKER, versions=versions, **changes)


@pytest.mark.parametrize("name", sorted(set(checks.NEEDED) - {"python"}))
def test_the_versions_needed_are_those_of_pyproject(name):
    line = re.search(rf'"{PYPI.get(name, name)}(?:\[connect\])?>=([\d.]+)(?:,<([\d.]+))?"', PYPROJECT)
    assert checks.NEEDED[name] == line.groups()


def test_the_python_needed_is_that_of_pyproject():
    assert f'requires-python = ">={checks.NEEDED["python"][0]},<{checks.NEEDED["python"][1]}"' in PYPROJECT


@pytest.mark.parametrize(
    ("name", "version", "level"),
    [
        ("python", "3.10.0", Level.OK),
        ("python", "3.9.19", Level.WRONG),
        ("python", "3.13.0", Level.OK),
        ("python", "3.14.0", Level.WRONG),
        ("pandas", "2.3.3", Level.OK),
        ("pandas", "3.1.1", Level.OK),
        ("pandas", "4.0.0rc1", Level.WRONG),
        ("pandas", "1.5.3", Level.WRONG),
        ("pandas", MISSING, Level.WRONG),
        ("pyarrow", "15.0.0", Level.OK),
        ("pyarrow", "14.0.2", Level.WRONG),
        ("pyarrow", "ImportError: libarrow.so", Level.WRONG),
        ("numpy", "1.26.4", Level.OK),
        ("numpy", "1.9.9", Level.WRONG),
        ("pyspark", "4.0.0", Level.OK),
        ("pyspark", "3.5.6", Level.WRONG),
        ("pyspark", "4.3.0", Level.WRONG),
        ("dp_accounting", "0.7.0", Level.WRONG),
    ],
)
def test_a_version_is_held_against_its_bounds(name, version, level):
    found = checks.check_version(name, version)
    assert found.level is level
    assert bool(found.fix) is (level is not Level.OK)


def test_a_sound_driver_has_nothing_wrong():
    assert checks.wrong(checks.check_driver(DRIVER)) == []
    broken = dataclasses.replace(DRIVER, versions={**VERSIONS, "pandas": "4.0.1"})
    assert checks.wrong(checks.check_driver(broken)) == ["pandas on the driver"]


def test_another_line_of_pyspark_than_the_servers_is_a_warning():
    assert [f.level for f in checks.check_spark("4.1.1", "4.1.0")] == [Level.OK]
    assert [f.level for f in checks.check_spark("4.0.2", "4.2.0")] == [Level.OK, Level.WARN]


def test_equal_workers_have_nothing_wrong():
    found = checks.check_workers(DRIVER, [WORKER, dataclasses.replace(WORKER, host="another")])
    assert {f.level for f in found} == {Level.OK}
    assert found[0].found == "hosts: 2, environments: 2"


@pytest.mark.parametrize(
    ("changes", "check", "level"),
    [
        ({"numpy": "2.1.1"}, "numpy on workers", Level.WRONG),
        ({"scipy": MISSING}, "scipy on workers", Level.WRONG),
        ({"source": MISSING}, "threea_spark on workers", Level.WRONG),
        ({"source": "source ffffffffffff"}, "threea_spark on workers", Level.WRONG),
        ({"python": "3.11.2"}, "python on workers", Level.WARN),
        ({"python": "3.12.9"}, "python on workers", Level.WRONG),
        ({"failed": {"threea_spark.encode.packing": "ImportError: x"}}, "tasks import on workers", Level.WRONG),
    ],
)
def test_one_worker_of_two_that_differs_is_found(changes, check, level):
    found = checks.check_workers(DRIVER, [WORKER, worker(host="odd", **changes)])
    (odd,) = (f for f in found if f.level is not Level.OK)
    assert (odd.check, odd.level) == (check, level)
    assert odd.fix


def test_pandas_may_differ_on_workers_which_never_import_it():
    assert checks.wrong(checks.check_workers(DRIVER, [worker(pandas=MISSING)])) == []


def test_a_package_that_is_missing_everywhere_is_not_called_the_same():
    nowhere = {**VERSIONS, "scipy": MISSING}
    both = [dataclasses.replace(machine, versions=nowhere) for machine in (DRIVER, WORKER)]
    assert checks.wrong(checks.check_workers(both[0], both[1:])) == ["scipy on workers"]


def test_lost_and_doubled_rows_are_found():
    assert checks.check_arrow(10, 45, expected_rows=10).level is Level.OK
    assert checks.check_arrow(9, 45, expected_rows=10).level is Level.WRONG
    assert checks.check_arrow(10, 46, expected_rows=10).level is Level.WRONG


def test_a_delta_that_was_not_tried_is_a_warning_and_a_platforms_own_is_not():
    assert checks.check_delta("Apache-Spark/4.2.0 Delta-Lake/4.4.0", "4.4.0").level is Level.OK
    assert checks.check_delta("Apache-Spark/4.2.0 Delta-Lake/4.3.1", "4.4.0").level is Level.WARN
    assert checks.check_delta("Databricks-Runtime/17.3.x-scala2.13", "4.0.1").level is Level.OK


def test_the_fix_for_delta_depends_on_what_failed():
    no_jar = checks.delta_failed("main.x", "[DATA_SOURCE_NOT_FOUND] Failed to find the data source: delta", "a:b:1")
    no_right = checks.delta_failed("main.x", "PERMISSION_DENIED: User does not have CREATE TABLE", "a:b:1")
    assert "--packages a:b:1" in no_jar.fix
    assert "grant" in no_right.fix
    assert checks.wrong([no_jar, no_right]) == ["delta table in main.x"] * 2


def test_no_gpu_is_a_warning_and_no_jax_is_wrong():
    assert checks.check_device("gpu (NVIDIA H100)", "").level is Level.OK
    assert "threea-spark[gpu]" in checks.check_device("cpu", "").fix
    full = checks.check_device("cpu", "NVIDIA H100 has less than 2 GB free")
    assert full.level is Level.WARN
    assert "less than 2 GB free" in full.fix
    assert checks.no_jax("ModuleNotFoundError: No module named 'jax'").level is Level.WRONG


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("permission denied", "ValueError: permission denied"),
        ("", "ValueError: "),
        ("An error occurred\n: org.x.Y$ZException: no\n\tat a\nCaused by: java.io.IOException: full\n\tat b",
         "java.io.IOException: full"),
        ("Please see below\nTraceback\n  File x\nModuleNotFoundError: No module named 'scipy'",
         "ModuleNotFoundError: No module named 'scipy'"),
    ],
)  # fmt: skip
def test_an_error_becomes_one_line_with_its_cause(text, line):
    assert checks.brief(ValueError(text)) == line


def test_an_endless_error_is_cut():
    assert len(checks.brief(ValueError("x" * 10_000))) <= 300


def test_json_holds_every_check_and_the_verdict():
    findings = [Finding("a", "1"), Finding("b", "2", Level.WARN, "fix it")]
    assert json.loads(checks.as_json(findings)) == {
        "ok": True,
        "checks": [
            {"check": "a", "found": "1", "level": "ok", "mend": ""},
            {"check": "b", "found": "2", "level": "warn", "mend": "fix it"},
        ],
    }
    assert json.loads(checks.as_json([*findings, Finding("c", "3", Level.WRONG)]))["ok"] is False


def test_the_table_shows_brackets_as_they_are():
    console = Console(file=io.StringIO(), width=120)
    console.print(table_of([Finding("delta", "[DATA_SOURCE_NOT_FOUND] [bold]", Level.WRONG, "fix [it]")]))
    assert "[DATA_SOURCE_NOT_FOUND] [bold]" in console.file.getvalue()
    assert "wrong" in console.file.getvalue()
    assert "fix [it]" in console.file.getvalue()


def test_this_process_is_read_as_it_is():
    import numpy
    import pandas

    machine = read_machine()
    assert machine.python == ".".join(str(part) for part in sys.version_info[:3])
    assert machine.versions["numpy"] == numpy.__version__
    assert machine.versions["pandas"] == pandas.__version__
    assert re.fullmatch("source [0-9a-f]{12}", machine.source)
    assert machine.failed == {}


def test_a_temporary_table_never_bears_a_name_twice():
    assert temporary_place(None).name.startswith(SMOKE)
    assert re.fullmatch(rf"main\.released\.{SMOKE}\w+", temporary_place("main.released").name)
    folder = temporary_place("s3a://bucket/smoke/")
    assert folder.is_path
    assert re.fullmatch(rf"s3a://bucket/smoke/({SMOKE}\w+)/\1", folder.name)
    assert temporary_place(None) != temporary_place(None)
    assert isinstance(folder, Place)


def test_a_connect_server_that_does_not_answer_is_said_at_once():
    with pytest.raises(EnvironmentNotReadyError, match=r"sc://localhost:1 .*--master"):
        require_answer("sc://localhost:1")
    require_answer("local[2]")


def test_a_check_that_breaks_off_is_one_line_too(monkeypatch):
    def broken(spark, write_to):
        raise RuntimeError("the server is gone\n  at line 1")

    monkeypatch.setattr("threea_spark.doctor.probe.diagnose", broken)
    monkeypatch.setattr("threea_spark.session.build_session", lambda app, *, master: None)
    with pytest.raises(ClusterNotReadyError, match=r"^the check itself failed: RuntimeError: the server is gone$"):
        check_up(write_to=None, master="local[2]", json_wanted=False)
