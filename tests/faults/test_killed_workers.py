"""Python workers and executors that die while a release runs: it ends whole, or with one error and nothing left."""

import os
import signal
import subprocess
import time

import pytest
from test_killed_drivers import whole

pytestmark = pytest.mark.faults


def processes(session, text):
    """Processes of a session whose command line holds `text`; Python's workers have a group of their own."""
    listed = subprocess.run(["ps", "-eww", "-o", "pid,sid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, own, args in rows if int(own) == session and text in args]


def kill(session, text, seconds=60.0):
    """Kills all such processes that are found first within so many seconds: one may be idle."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := processes(session, text):
            for process in found:
                os.kill(process, signal.SIGKILL)
            return
        time.sleep(0.05)
    pytest.fail(f"no process with {text!r} within {seconds} s")


def test_a_killed_python_worker_is_replaced_and_the_release_ends_whole(spark, releasing, config, kinds, tmp_path):
    config["anonymize"] = {"rows": 300_000}
    one = releasing(config, master="local[2,4]")
    one.wait_for("step 5")
    kill(one.process.pid, "pyspark.daemon")
    assert one.end() == 0, one.lines
    assert whole(spark, tmp_path / "out") == 300_000
    assert kinds() == ["start", "finish"]
    assert one.staging == []


def test_a_worker_killed_where_no_retry_is_allowed_ends_in_one_error(spark, releasing, config, kinds, tmp_path):
    config["anonymize"] = {"rows": 300_000}
    one = releasing(config, master="local[2,1]")
    one.wait_for("step 5")
    kill(one.process.pid, "pyspark.daemon")
    assert one.end() == 9, one.lines
    (failed,) = [line for line in one.lines if line.startswith("failed")]
    assert "no table was written" in failed
    assert not (tmp_path / "out").exists()
    assert kinds() == ["start", "fail"]
    assert one.staging == []


@pytest.mark.parametrize("step", ["step 2", "step 5"])
def test_an_executor_that_dies_is_replaced(spark, releasing, config, kinds, tmp_path, step):
    config["anonymize"] = {"rows": 300_000}
    config["privacy"]["unit"] = {"column": "patient", "max_rows": 2}  # rows are shuffled in steps 1 and 2
    one = releasing(config, master="local-cluster[2,1,1024]")
    one.wait_for(step)
    kill(one.process.pid, "CoarseGrainedExecutorBackend")
    assert one.end() == 0, one.lines
    assert whole(spark, tmp_path / "out") == 300_000
    assert kinds() == ["start", "finish"]
    assert one.staging == []


def test_a_disk_that_is_full_in_staging_ends_in_one_error(spark, releasing, config, kinds, tmp_path):
    scratch = tmp_path / "run0" / "warehouse"
    scratch.mkdir(parents=True)
    small = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(scratch)], capture_output=True)
    if small.returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    try:
        one = releasing(config)
        assert one.end() == 9, one.lines
        assert not (tmp_path / "out").exists()
        assert kinds() == ["start", "fail"]
    finally:
        subprocess.run(["umount", str(scratch)], check=False)
