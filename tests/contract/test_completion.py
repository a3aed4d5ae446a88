"""`threea --show-completion` writes a script that a real bash completes commands and options with. Starts no Spark."""

import os
import shutil
import subprocess
import sys

import pytest
from in_process import threea

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
SHELLS = ["bash", "zsh", "fish"]
ANY_SHELL = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
COMPLETING = 'eval "$1"; COMP_WORDS=($2); COMP_CWORD=$3; _threea_completion threea; printf "%s\\n" "${COMPREPLY[@]}"'


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment in which `threea` is this very package."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "threea"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from threea_spark.cli.main import main; main()" "$@"\n')
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def script_for(shell, folder):
    done = threea("--show-completion", shell, cwd=folder, **ANY_SHELL)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell_completes_threea(tmp_path, shell):
    assert "_THREEA_COMPLETE=complete_" + shell in script_for(shell, tmp_path)


@bash
def test_bash_completes_with_the_script(environment, tmp_path):
    command = ["bash", "-c", COMPLETING, "bash", script_for("bash", tmp_path), "threea ledger ", "2"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"show", "grant", "void", "view"}


@pytest.mark.parametrize(
    ("typed", "word", "completed"),
    [
        ("threea re", 1, {"release", "report"}),
        ("threea ledger ", 2, {"show", "grant", "void", "view"}),
        ("threea domain draft --c", 3, {"--config"}),
        ("threea release --no", 2, {"--no-model", "--no-report"}),
    ],
)
def test_what_the_script_asks_is_answered(tmp_path, typed, word, completed):
    asked = {"_THREEA_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(word)}
    assert set(threea(cwd=tmp_path, **asked).stdout.split()) == completed
