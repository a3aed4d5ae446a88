"""Progress on a terminal, in a log, and for whoever listens."""

import io

import pytest
from rich.console import Console

from threea_spark.cli.progress import shown_progress
from threea_spark.engine.progress import Progress, counted


def release_like(listener):
    progress = Progress(2, listener)
    with progress.step("encode: histograms [of all]"):
        pass
    with progress.step("adapt: points"):
        assert list(counted(3)) == [0, 1, 2]
    return progress


def shown(*, terminal):
    text = io.StringIO()
    with shown_progress(Console(file=text, force_terminal=terminal, width=100)) as listener:
        release_like(listener)
    return text.getvalue()


def test_a_log_gets_one_plain_line_a_step():
    assert shown(terminal=False).splitlines() == ["[1/2] encode: histograms [of all]", "[2/2] adapt: points"]


def test_a_terminal_gets_counts_and_the_time_left(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    text = shown(terminal=True)
    for words in ("[1/2] encode: histograms [of all]", "[2/2] adapt: points", "3/3", "0:00:0"):
        assert words in text


def test_nothing_is_shown_where_quiet_is_asked_for(monkeypatch):
    monkeypatch.setenv("THREEA_QUIET", "1")
    assert shown(terminal=True) == ""


def test_whoever_listens_is_told_how_far_a_step_is():
    class Listener:
        def __init__(self):
            self.heard = []

        def __call__(self, *step):
            self.heard.append(step)

        def count(self, done, total):
            self.heard.append((done, total))

    listener = Listener()
    progress = release_like(listener)
    steps = [("encode: histograms [of all]", 1, 2), ("adapt: points", 2, 2)]
    assert listener.heard == [*steps, (0, 3), (1, 3), (2, 3), (3, 3)]
    assert list(progress.seconds) == [name for name, *_ in steps]


def test_the_number_of_steps_is_set_right_once_they_are_known():
    heard = []
    progress = Progress(6, lambda *step: heard.append(step), writes=True)
    with progress.step("encode"):
        pass
    progress.expect(["approximate", "adapt"])
    for name in ("approximate", "adapt", "write"):
        with progress.step(name):
            pass
    assert heard == [("encode", 1, 6), ("approximate", 2, 4), ("adapt", 3, 4), ("write", 4, 4)]


def test_a_step_that_fails_leaves_no_listener_behind():
    heard = []
    listener = type("Listener", (), {"__call__": lambda *_: None, "count": lambda _, *how_far: heard.append(how_far)})()

    def fails():
        with Progress(1, listener).step("it"):
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        fails()
    assert list(counted(2)) == [0, 1]
    assert heard == []
