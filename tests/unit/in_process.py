"""Runs the command line's own `main` in this process, as the shell sees it: exit status, standard output and error."""

import contextlib
import io
import sys
import traceback
from dataclasses import dataclass

import pytest

from threea_spark.cli.main import main


@dataclass(frozen=True)
class Done:
    """What a shell would see, with the names that subprocess.run gives it."""

    returncode: int
    stdout: str
    stderr: str


def threea(*arguments, cwd, **environment):
    """Runs `threea` with these arguments in a folder; whatever `main` raises ends as in a process of its own."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["threea", *(str(argument) for argument in arguments)])
        patch.delenv("THREEA_TEST_MASTER", raising=False)
        for name, value in {"COLUMNS": "200", **environment}.items():
            patch.setenv(name, value)
        try:
            main()
            status = 0
        except SystemExit as ended:
            status = _status(ended.code)
        except BaseException:  # as the interpreter ends a process that nothing caught
            traceback.print_exc()
            status = 1
    return Done(status, out.getvalue(), errors.getvalue())


def _status(code):
    """The status of `sys.exit(code)`: a text is printed and is a failure."""
    if code is None or isinstance(code, int):
        return code or 0
    sys.stderr.write(f"{code}\n")
    return 1
