"""Shows progress: on a terminal a moving line with counts and the time left, elsewhere plain lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from threea_spark.cli.console import err, escaped, is_quiet, tell
from threea_spark.engine.progress import Listener


@contextmanager
def shown_progress(console: Console = err) -> Iterator[Listener | None]:
    """Yields the listener that shows a release's steps; None if THREEA_QUIET is set."""
    if is_quiet():
        yield None
    elif console.is_terminal:
        with _bars(console) as bars:
            lines = TerminalLines(bars)
            yield lines
            lines.end()
    else:
        yield PlainLines(console)


@contextmanager
def shown_step(words: str, console: Console = err) -> Iterator[None]:
    """Shows that one step of unknown length runs; nothing if THREEA_QUIET is set."""
    if console.is_terminal and not is_quiet():
        with console.status(escaped(words)):
            yield
    else:
        tell(words)
        yield


def announce_spark() -> None:
    """Prints a word when Spark starts, which takes from seconds to a minute, unless THREEA_QUIET is set."""
    starts = logging.getLogger("threea_spark.session")
    starts.setLevel(logging.INFO)
    starts.handlers = [_Told()]


class _Told(logging.Handler):
    """Prints a record's message as a line about progress."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(record.getMessage())


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
        self.end()
        self.bars.add_task(escaped(f"[{number}/{n_steps}] {name}"), total=None)

    def count(self, done: int, total: int) -> None:
        """Moves the line of the current step."""
        self.bars.update(self.bars.tasks[-1].id, completed=done, total=total)

    def end(self) -> None:
        """Ends the line of the current step; what failed before its end stays as it was."""
        for task in self.bars.tasks:
            if not task.finished:
                self.bars.update(task.id, total=task.total or 1, completed=task.total or 1)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
