"""Each fault in a copy of the package is found by the test that is named for it, which passes without the fault.

The named tests run in a process whose `threea_spark` is the copy; one that breaks for another reason than its own
assertion (no such test, an import that fails) does not count as found.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]
TESTS_FAILED = 1  # pytest's own exit codes: 0 all passed, 1 tests failed, 2 and above something else
pytestmark = pytest.mark.mutants
SKIPPED = shutil.ignore_patterns("__pycache__")


@pytest.fixture(scope="session")
def copy(tmp_path_factory):
    """A folder with a copy of the package as it is."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "threea_spark", folder / "threea_spark", ignore=SKIPPED)
    return folder


def run(folder, *tests):
    """Runs tests of this repository against the package in a folder; the folder comes first on Python's path."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--rootdir", ROOT]
    command += ["-c", ROOT / "pyproject.toml", *(ROOT / test for test in tests)]
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environment = {**own, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)


def test_the_copy_is_what_is_tested(copy):
    where = "import threea_spark; print(threea_spark.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", where], cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()).is_relative_to(copy)


def test_without_a_fault_every_named_test_passes(copy):
    done = run(copy, *sorted({fault.test for fault in FAULTS}))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_found(copy, fault):
    path = copy / "threea_spark" / fault.file
    whole = path.read_text()
    assert whole.count(fault.text) == 1, f"adapt the row: {fault.text!r} is {whole.count(fault.text)} times in the file"
    try:
        path.write_text(whole.replace(fault.text, fault.instead))
        done = run(copy, fault.test)
    finally:
        path.write_text(whole)
    assert done.returncode == TESTS_FAILED, done.stdout[-3000:]
    assert " failed" in done.stdout, done.stdout[-3000:]
