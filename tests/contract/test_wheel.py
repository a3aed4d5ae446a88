"""What is shipped: the package's own modules and nothing else, small, under a licence."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 1_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder, tree = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "threea_spark", tree / "threea_spark")  # so that no older build joins in
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, tree]
    subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_holds_every_module_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {file.relative_to(ROOT).as_posix() for file in (ROOT / "threea_spark").rglob("*.py")}
    shipped = {name for name in names if ".dist-info/" not in name}
    templates = {f.relative_to(ROOT).as_posix() for f in (ROOT / "threea_spark" / "report" / "templates").iterdir()}
    assert len(templates) > 4
    assert shipped == modules | templates | {"threea_spark/py.typed", "threea_spark/SKILL.md"}
    metadata = {name.split("/")[1] for name in names - shipped}
    assert metadata <= {"METADATA", "WHEEL", "RECORD", "top_level.txt", "entry_points.txt", "licenses"}
    assert [name for name in names - shipped if name.endswith("licenses/LICENSE")]


def test_a_wheel_is_small_and_names_no_machine(wheel):
    assert wheel.stat().st_size < LARGEST
    archive = zipfile.ZipFile(wheel)
    for name in archive.namelist():
        content = archive.read(name)
        assert str(ROOT).encode() not in content, name
        assert name.endswith("LICENSE") or b"http://" not in content, name
