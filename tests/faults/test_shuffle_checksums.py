"""Shuffled rows that are lost and made again are the same rows: Spark's checksums, which know no order, say so.

Where they differ, Spark runs all tasks again that have read them, or ends the job: the rollback of Spark 4.2.
"""

import pyspark
import pytest
from test_killed_drivers import whole

pytestmark = pytest.mark.faults

CHECKSUMS = {
    "spark.sql.shuffle.orderIndependentChecksum.enabled": "true",
    "spark.sql.shuffle.orderIndependentChecksum.enableFullRetryOnMismatch": "true",
    "spark.stage.maxConsecutiveAttempts": "50",
}
DIFFERENT, ROLLED_BACK = "Checksum of map output changes", "of shuffle checksum mismatch stage"
LOGGED = """
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %c{1}: %m%n
logger.outputs.name = org.apache.spark.ShuffleStatus
logger.outputs.level = info
logger.stages.name = org.apache.spark.scheduler.DAGScheduler
logger.stages.level = info
"""


def lost_in(one):
    """Takes shuffle files away from a release until Spark misses one; returns the log of the whole run."""
    one.wait_for("step 1")
    log = one.scratch / "spark.log"
    while "FetchFailed" not in log.read_text() and one.process.poll() is None:
        for file in (one.scratch / "local").rglob("shuffle_*.data"):
            file.unlink(missing_ok=True)
    one.end()
    text = log.read_text()
    assert "FetchFailed" in text
    return text


@pytest.fixture
def checking(tmp_path):
    """Spark's checksums, and in the log what comes of them."""
    file = tmp_path / "log4j2.properties"
    file.write_text(LOGGED)
    return CHECKSUMS | {"spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={file.as_uri()}"}


@pytest.fixture
def by_unit(config):
    """Rows are shuffled by their unit, with its token."""
    config["privacy"]["unit"] = {"column": "patient", "max_rows": 2}
    return config


def test_lost_shuffle_files_are_made_again(spark, releasing, by_unit, checking, kinds, tmp_path):
    one = releasing(by_unit, master="local[2,4]", **checking)
    log = lost_in(one)
    assert one.end() == 0, one.lines
    assert DIFFERENT not in log
    assert ROLLED_BACK not in log
    assert whole(spark, tmp_path / "out") == int(one.lines[-1].split()[1])
    assert kinds() == ["start", "finish"]


@pytest.mark.skipif(pyspark.__version__ < "4.2", reason="Spark compares shuffled rows from 4.2 on")
def test_tokens_that_an_attempt_draws_anew_are_noticed_and_rolled_back(releasing, by_unit, checking):
    log = lost_in(releasing(by_unit, script="redrawing.py", master="local[2,4]", **checking))
    assert DIFFERENT in log
    assert ROLLED_BACK in log
