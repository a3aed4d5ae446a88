"""A driver that is killed at any step leaves no target or a whole one, a true ledger, and a table that can be released.

Each case is a real release in a process group of its own, killed with SIGKILL.
"""

import os
import time

import pytest

from threea_spark.publish.cleanup import is_committed, leftovers

pytestmark = pytest.mark.faults

STEPS = {1: "encode: histograms", 2: "encode: stage", 3: "approximate", 4: "adapt", 5: "release: write"}


def whole(spark, target):
    """Rows of the target; None if there is no table."""
    if not is_committed(target):
        return None
    return spark.read.format("delta").load(str(target)).count()


@pytest.mark.parametrize("step", list(STEPS))
def test_a_driver_killed_at_a_step(spark, releasing, config, kinds, tmp_path, step):
    first = releasing(config)
    first.wait_for(f"step {step} {STEPS[step]}")
    time.sleep(0.2 * (step % 3) if step < len(STEPS) else 0.0)  # at its start, or within it; writing takes less
    first.kill()
    assert whole(spark, tmp_path / "out") is None
    assert kinds() == ["start"]  # what may have been drawn counts
    again = releasing(config)
    assert again.end() == 0, again.lines
    assert whole(spark, tmp_path / "out") == int(again.lines[-1].split()[1])
    assert kinds() == ["start", "start", "finish"]
    assert again.staging == []


def test_a_driver_killed_in_mid_write_leaves_files_but_no_table(spark, releasing, config, kinds, tmp_path):
    config["anonymize"] = {"rows": 400_000}
    first = releasing(config)
    first.wait_for("step 5")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").rglob("*.parquet")) and time.monotonic() < deadline:
        os.sched_yield()
    first.kill()
    assert list((tmp_path / "out").rglob("*.parquet"))
    assert whole(spark, tmp_path / "out") is None
    again = releasing(config)
    assert again.end() == 0, again.lines
    assert whole(spark, tmp_path / "out") == 400_000


def test_staging_of_a_killed_driver_is_named_for_clean_up(spark, releasing, config, monkeypatch, tmp_path):
    first = releasing(config)
    first.wait_for("step 4")
    first.kill()
    (folder,) = first.staging
    local = tmp_path / "threea-spark-gone" / "warehouse"
    local.mkdir(parents=True)
    folder.rename(local / folder.name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert [item.name for item in leftovers(spark, "", hours=0.0)] == [str(local / folder.name)]
    assert leftovers(spark, "", hours=1.0) == []
