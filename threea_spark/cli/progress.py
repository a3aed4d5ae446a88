"""Shows progress: on a terminal a moving line with counts and the time left, elsewhere plain lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from threea_spark.cli.console import err, escaped
from threea_spark.engine.progress import Listener

QUIET_VARIABLE = "THREEA_QUIET"


@contextmanager
def shown_progress(console: Console = err) -> Iterator[Listener | None]:
    """Yields the listener that shows a release's steps; None if THREEA_QUIET is set."""
    if os.environ.get(QUIET_VARIABLE):
        yield None
    elif console.is_terminal:
        with _bars(console) as bars:
            yield TerminalLines(bars)
    else:
        yield PlainLines(console)


class PlainLines:
    """Prints one line per step, for logs."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __call__(self, name: str, number: int, n_steps: int) -> None:
        """Prints that a step starts."""
        self.console.print(f"[{number}/{n_steps}] {name}", markup=False)


class TerminalLines:
    """Shows a moving line for the current step; finished steps stay above it."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars

    def __call__(self, name: str, number: int, n_steps: int) -> None:
        """Ends the line of the previous step and starts a new one."""
        for task in self.bars.tasks:
            if not task.finished:
                self.bars.update(task.id, total=task.total or 1, completed=task.total or 1)
        self.bars.add_task(escaped(f"[{number}/{n_steps}] {name}"), total=None)

    def count(self, done: int, total: int) -> None:
        """Moves the line of the current step."""
        self.bars.update(self.bars.tasks[-1].id, completed=done, total=total)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
