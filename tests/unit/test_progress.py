"""Progress on a terminal, in a log, and for whoever listens."""

import io
import logging

import pytest
from rich.console import Console

from threea_spark.cli.console import wrapped
from threea_spark.cli.progress import announce_spark, shown_progress, shown_step
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


def test_every_bar_ends_full_unless_its_step_failed(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert shown(terminal=True).rstrip().rpartition("[2/2]")[2].count("3/3") == 1
    text = io.StringIO()
    with shown_progress(Console(file=text, force_terminal=True, width=100)) as listener:
        listener("write", 1, 1)
    assert "1/1" in text.getvalue().rpartition("write")[2]


def test_a_step_of_unknown_length_and_the_start_of_spark_are_told_unless_quiet(monkeypatch, capsys):
    announce_spark()
    session = logging.getLogger("threea_spark.session")
    for quiet, told in (("", ["training ...", "starting Spark ..."]), ("1", [])):
        monkeypatch.setenv("THREEA_QUIET", quiet)
        with shown_step("training ..."):
            session.info("starting Spark ...")
        assert capsys.readouterr().err.splitlines() == told


def test_lines_break_between_words_under_the_text_that_goes_on():
    text = "guarantee\n  covers      histograms, category names and rows\n  - no word is cut"
    assert wrapped(text, 42) == (
        "guarantee\n  covers      histograms, category names\n              and rows\n  - no word is cut"
    )
    assert wrapped("x" * 99, 50) == "x" * 99
    assert wrapped(text, 80) == text
