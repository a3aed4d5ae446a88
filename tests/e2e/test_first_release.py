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

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
MAX_COMMANDS = 5


def commands(markdown):
    """The commands of all shell blocks; a backslash at the end of a line goes on, a comment is none."""
    blocks = "".join(re.findall(r"```sh\n(.*?)```", markdown, flags=re.DOTALL))
    return [line for line in blocks.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


def between(start, end):
    return README.split(start)[1].split(end)[0]


INSTALL = commands(between("## Install\n", "\n## "))
STEPS = commands(between("<!-- first release:", "<!-- end of first release -->"))


@pytest.fixture
def shell(tmp_path):
    """Runs a line in a fresh folder in which `threea` is this very package."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "threea"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from threea_spark.cli.main import main; main()" "$@"\n')
    script.chmod(0o755)
    (tmp_path / "fresh").mkdir()
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "THREEA_MASTER": "local[2]"}

    def run(line):
        return subprocess.run(
            line, shell=True, cwd=tmp_path / "fresh", capture_output=True, text=True, check=False, env=environment
        )

    return run


def here(line, folder):
    """Runs a command that is refused before Spark starts, without a process of its own."""
    program, *arguments = shlex.split(line, comments=True)
    assert program == "threea"
    return threea(*arguments, cwd=folder)


def test_installed_and_released_in_five_commands():
    assert all(command.startswith("pip install") for command in INSTALL)
    assert STEPS[0].startswith("threea domain draft")
    assert STEPS[-1].startswith("threea release")
    assert len(INSTALL) + len(STEPS) <= MAX_COMMANDS


def test_each_command_of_the_readme_works_on_a_real_table(spark, tmp_path, shell):
    stays = clinic(900).rename(columns={"cost.usd": "cost", "ward name": "ward"})
    write_delta(spark, stays, tmp_path / "fresh" / "stays")
    draft, *rest = STEPS
    drafted = shell(draft)
    assert drafted.returncode == 0, drafted.stderr
    early = here(STEPS[-1], tmp_path / "fresh")
    assert early.returncode == 2
    assert "domain.columns.age: lower and upper are still TODO" in early.stderr
    again = here(draft, tmp_path / "fresh")
    assert again.returncode == 2
    assert "release.yaml exists" in again.stderr
    for command in rest:
        done = shell(command)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert "differential privacy for everything that read a row" in done.stdout
    released = spark.read.format("delta").load(str(tmp_path / "fresh" / "stays_released"))
    assert released.columns == ["age", "cost", "ward", "admitted", "died"]
    assert json.loads((tmp_path / "fresh" / "stays_released.receipt.json").read_text())["n_released"] > 700
    assert (tmp_path / "fresh" / "stays_released.report.html").exists()
