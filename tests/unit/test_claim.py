"""A failed write takes its files away, and nothing that another write made or still makes."""

import os
import subprocess
import sys
import threading

import pytest

from threea_spark.publish.cleanup import claimed, is_committed


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def fail_in(folder, *names):
    def write_and_fail():
        with claimed(folder):
            write(folder, *names)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_and_fail()


def test_a_failed_write_leaves_nothing(tmp_path):
    fail_in(tmp_path / "deep" / "out", "part-0.parquet")
    assert list((tmp_path / "deep").iterdir()) == []


@pytest.mark.parametrize("times", [1, 3])
def test_tasks_that_write_after_the_failure_leave_nothing_either(tmp_path, times):
    def writes_whenever_it_was_removed():
        for _ in range(times):
            while (tmp_path / "out").exists():
                pass
            write(tmp_path / "out", "part-1.parquet")

    late = threading.Thread(target=writes_whenever_it_was_removed, daemon=True)

    def write_and_fail():
        with claimed(tmp_path / "out"):
            write(tmp_path / "out", "part-0.parquet")
            late.start()
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_and_fail()
    late.join(30)
    assert not (tmp_path / "out").exists()


def test_a_write_that_succeeds_leaves_its_files_alone(tmp_path):
    with claimed(tmp_path / "out"):
        write(tmp_path / "out", "part-0.parquet", "_delta_log/00000000000000000000.json")
    assert is_committed(tmp_path / "out")
    assert [place.name for place in tmp_path.iterdir()] == ["out"]


def test_a_commit_of_another_release_is_never_removed(tmp_path):
    fail_in(tmp_path / "out", "part-0.parquet", "_delta_log/00000000000000000000.json")
    assert is_committed(tmp_path / "out")


def test_a_folder_that_stood_before_is_left(tmp_path):
    write(tmp_path / "out", "mine.txt")
    fail_in(tmp_path / "out", "part-0.parquet")
    assert (tmp_path / "out" / "mine.txt").exists()


@pytest.mark.parametrize("alive", [True, False])
def test_files_stay_while_another_process_still_writes_there(tmp_path, alive):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = tmp_path / f".out.{other.pid}.aa.threea-writing"
    mark.touch()
    try:
        if not alive:
            other.kill()
            other.wait()
        fail_in(tmp_path / "out", "part-0.parquet")
        assert (tmp_path / "out").exists() == alive
        assert mark.exists() == alive
    finally:
        other.kill()
        other.wait()


def test_the_process_of_a_mark_is_this_one(tmp_path):
    with claimed(tmp_path / "out"):
        (mark,) = tmp_path.iterdir()
        assert mark.name.startswith(f".out.{os.getpid()}.")
