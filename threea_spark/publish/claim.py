"""Cleans up after a failed first write to a local folder, and takes nothing from another release that writes there.

A commit is never removed. Files without a commit are, unless another process has announced that it writes there too.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MARK = ".threea-writing"

_QUIET_S = 3.0
"""Tasks of a failed write that start a little later make the folder anew: it has to stay away for as long as this."""

_PATIENCE_S = 30.0

_POLL_S = 0.05


@contextmanager
def claimed(folder: Path | None) -> Iterator[None]:
    """Announces a write beside the folder; if it fails and nothing was committed, the folder goes again.

    Args:
      folder: Where nothing stood before; None for a table that is no local folder, where nothing is done.
    """
    if folder is None:
        yield
        return
    stood_before = folder.exists()
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = folder.with_name(f".{folder.name}.{os.getpid()}.{secrets.token_hex(4)}{_MARK}")
    mark.touch()
    try:
        yield
    except BaseException:
        mark.unlink(missing_ok=True)
        if not stood_before:
            _remove_for_good(folder)
        raise
    finally:
        mark.unlink(missing_ok=True)


def _remove_for_good(folder: Path) -> None:
    """Removes what a failed write left, and what its last tasks still make; Spark does not wait for them to end."""
    start = removed = time.monotonic()
    while time.monotonic() < min(removed + _QUIET_S, start + _PATIENCE_S):
        if folder.exists():
            if is_committed(folder) or _others(folder):
                return
            shutil.rmtree(folder, ignore_errors=True)
            removed = time.monotonic()
        time.sleep(_POLL_S)


def is_committed(folder: Path) -> bool:
    """Tells whether a Delta table stands in a local folder."""
    return any((folder / "_delta_log").glob("*.json"))


def _others(folder: Path) -> bool:
    """Whether a process that still runs has announced a write; marks of dead ones are swept away."""
    alive = False
    for mark in folder.parent.glob(f".{folder.name}.*{_MARK}"):
        if _is_alive(int(mark.name.removeprefix(f".{folder.name}.").split(".")[0])):
            alive = True
        else:
            mark.unlink(missing_ok=True)
    return alive


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
