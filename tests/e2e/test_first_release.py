"""The README's first release, command by command, as a newcomer with a Delta table and no domain file types it."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import threea
from tables import clinic, write_delta

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
WITH_BOUNDS = (ROOT / "docs" / "first-release-with-bounds.md").read_text()


def blocks(markdown, language):
    return re.findall(rf"```{language}\n(.*?)```", markdown, flags=re.DOTALL)


def commands(markdown):
    """The commands of all shell blocks; a backslash at the end of a line goes on, a comment is none."""
    text = "".join(blocks(markdown, "sh")).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def between(page, start, end):
    return page.split(start)[1].split(end)[0]


FIRST = between(README, "<!-- first release:", "<!-- end of first release -->")
INSTALL, INIT, RELEASE = commands(FIRST)
DRAFT, EDIT, PLAN = commands(between(WITH_BOUNDS, "<!-- with bounds:", "<!-- end of with bounds -->"))
(TRANSCRIPT,) = blocks(FIRST, "text")


@pytest.fixture
def folder(spark, tmp_path):
    """A fresh folder with the table of the README."""
    (tmp_path / "fresh").mkdir()
    stays = clinic(9_000).rename(columns={"cost.usd": "cost", "ward name": "ward"})
    write_delta(spark, stays, tmp_path / "fresh" / "stays")
    return tmp_path / "fresh"


def temporary(folder):
    """Where Python's temporary files go."""
    return folder.parent / "temporary"


@pytest.fixture
def shell(folder):
    """Runs a line in the folder, in which `threea` is this very package."""
    temporary(folder).mkdir()
    binaries = folder.parent / "bin"
    binaries.mkdir()
    script = binaries / "threea"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m threea_spark "$@"\n')
    script.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "THREEA_MASTER": "local[2]",
        "TMPDIR": str(temporary(folder)),
    }

    def run(line):
        return subprocess.run(
            line, shell=True, cwd=folder, capture_output=True, text=True, check=False, env=environment
        )

    return run


def here(line, folder):
    """Runs a command in this process, with the session of the tests if it needs one."""
    program, *arguments = shlex.split(line, comments=True)
    assert program == "threea"
    return threea(*arguments, cwd=folder)


def told(line, text):
    """Whether a line of a transcript is in a text, up to its numbers and to what `...` leaves out."""
    pattern = re.sub(r"\\?\d[\d,.\\]*", r"[\\d,.]+", re.escape(line.removesuffix("...").rstrip()))
    return re.search(rf"^{pattern}", text, flags=re.MULTILINE) is not None


def test_three_commands_from_a_table_to_its_release(folder, shell, spark):
    assert INSTALL.startswith("pip install './[")
    begun = shell(INIT)
    assert begun.returncode == 0, begun.stderr
    for line in TRANSCRIPT.splitlines():
        assert told(line, begun.stderr + begun.stdout), line
    again = here(INIT, folder)
    assert again.returncode == 2
    assert "release.yaml exists" in again.stderr
    done = shell(RELEASE)
    assert done.returncode == 0, done.stderr
    assert "starting Spark ..." in done.stderr
    assert "differential privacy for everything that read a row" in done.stdout
    released = spark.read.format("delta").load(str(folder / "stays_released"))
    assert released.columns == ["age", "cost", "ward", "admitted", "died"]
    assert json.loads((folder / "stays_released.receipt.json").read_text())["n_released"] > 2_000
    assert (folder / "stays_released.report.html").exists()
    assert list(temporary(folder).iterdir()) == []  # a session's log and staging may hold values of rows


def test_the_way_with_declared_bounds_leads_to_a_plan(folder, shell):
    drafted = here(DRAFT, folder)
    assert drafted.returncode == 0, drafted.stderr
    early = here(PLAN, folder)
    assert early.returncode == 2
    assert "domain.columns.age: lower and upper are still TODO" in early.stderr
    assert shell(EDIT).returncode == 0
    done = here(PLAN, folder)
    assert done.returncode == 0, done.stderr
    assert "noise" in done.stdout
