"""Slow, lost and leaving machines of a standalone cluster: a release ends whole, and each row is staged once."""

import os
import signal
import time

import pytest
from standalone import HOSTS
from tables import clinic, config_of, write_delta
from watching import ended_tasks, events, paused, released_while, running, wait_until

from threea_spark import ReleaseConfig, release

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("no_staging_left")]

SLOW = HOSTS[1]
N_ROWS = 6_000
SEVERAL_TASKS = {
    "spark.sql.files.maxPartitionBytes": "64k",
    "spark.sql.files.openCostInBytes": "64k",
    "spark.sql.adaptive.coalescePartitions.enabled": "false",
}
"""So that a small table is read, and its shuffles, by several tasks."""
UNIT = {"unit": {"column": "patient", "max_rows": 2}}
"""Rows of a unit are shuffled: a lost machine takes such rows with it."""
KEPT = N_ROWS * 2 // 3  # of three rows of each patient two are read


@pytest.fixture(autouse=True)
def several_tasks(spark):
    before = {name: spark.conf.get(name, None) for name in SEVERAL_TASKS}
    for name, value in SEVERAL_TASKS.items():
        spark.conf.set(name, value)
    yield
    for name, value in before.items():
        spark.conf.unset(name) if value is None else spark.conf.set(name, value)


@pytest.fixture(scope="session")
def source(spark, tmp_path_factory):
    """The clinic in files of unequal sizes: of two that were mistaken for each other, the counts would tell."""
    place, frame = tmp_path_factory.mktemp("cluster-source") / "source", clinic(N_ROWS)
    write_delta(spark, frame[:500], place)
    for start, stop in ((500, 1_500), (1_500, 3_500), (3_500, N_ROWS)):
        rows = spark.createDataFrame(frame[start:stop]).coalesce(1)
        rows.write.format("delta").mode("append").save(str(place))
    return place


@pytest.fixture
def config(source, tmp_path):
    """So large an epsilon that a noisy count is a count, to within a row or two."""

    def of(**unit):
        privacy, adapt = {"epsilon": 300.0, **unit}, {"method": "none"}
        return ReleaseConfig.from_dict(config_of(source, tmp_path / "out", privacy=privacy, adapt=adapt))

    return of


def rows_of(spark, tmp_path):
    return spark.read.format("delta").load(str(tmp_path / "out")).count()


def parts(files):
    """Which task wrote each file of a table: once each, all of them."""
    return sorted(int(name.split("-")[1]) for name in files)


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_slow_task_is_run_twice_and_each_row_is_staged_once(spark, cluster, config, tmp_path, goes_on):
    """Each attempt draws tokens of its own for its rows: those of one are committed, and those of the other nowhere."""
    since = time.time()

    def hang(begin):
        with paused(cluster, SLOW) as go_on:
            begin()
            wait_until(lambda: copied(spark, since), "a second copy of a slow task")
            if goes_on:  # both attempts write their files, and race to commit
                go_on()
            wait_until(lambda: not running(spark).get(SLOW), "the slow task to end")

    receipt, files = released_while(spark, cluster, config(), "encode: stage", hang)
    twice = [own for own in ended_tasks(spark, since).values() if any(task["Speculative"] for task in own)]
    assert twice
    assert all({task["Host"] for task in own} == set(HOSTS) for own in twice)
    assert sum(not task["Failed"] and not task["Killed"] for task in max(twice, key=len)) == 1
    for staged in files.values():
        assert parts(staged) == list(range(len(staged)))
        assert len(staged) > 2
    assert receipt.n_released == rows_of(spark, tmp_path) == pytest.approx(N_ROWS, abs=5)


def copied(spark, since):
    """Whether a stage has more attempts under way than tasks, or has ended with a second copy of one."""
    tracker = spark.sparkContext.statusTracker()
    infos = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    if any(info.numActiveTasks + info.numCompletedTasks > info.numTasks for info in infos if info is not None):
        return True
    return any(task["Speculative"] for own in ended_tasks(spark, since).values() for task in own)


@pytest.mark.parametrize("step", ["encode: stage", "release: write"])
def test_a_machine_that_is_lost_in_the_middle_of_a_task(spark, cluster, config, tmp_path, step):
    def lose(begin):
        with paused(cluster, SLOW):
            begin()
            wait_until(lambda: running(spark).get(SLOW), "a task on the machine")
            cluster.workers[SLOW].kill()

    try:
        receipt, files = released_while(spark, cluster, config(**UNIT), step, lose)
    finally:
        cluster.replace(SLOW)
    for staged in files.values():
        assert parts(staged) == list(range(len(staged)))
    assert receipt.n_released == rows_of(spark, tmp_path) == pytest.approx(KEPT, abs=5)


def test_a_machine_that_is_taken_out_of_service(spark, cluster, config, tmp_path):
    """Its executor is told, hands its shuffled rows over, and leaves."""
    before = len(events(spark, "SparkListenerExecutorRemoved"))

    def leave(begin):
        begin()
        wait_until(lambda: running(spark).get(SLOW), "a task on the machine")
        (worker,) = cluster.workers[SLOW].processes("deploy.worker.Worker")
        os.kill(worker, signal.SIGPWR)

    try:
        receipt, _ = released_while(spark, cluster, config(**UNIT), "encode", leave)
        wait_until(lambda: SLOW not in running(spark), "the executor to leave")
    finally:
        cluster.replace(SLOW)
    reasons = [event["Removed Reason"] for event in events(spark, "SparkListenerExecutorRemoved")[before:]]
    assert [reason for reason in reasons if "decommission" in reason.lower() and "scale down" not in reason], reasons
    assert receipt.n_released == rows_of(spark, tmp_path) == pytest.approx(KEPT, abs=5)


def test_executors_that_were_given_back_are_asked_for_again(spark, config, tmp_path):
    wait_until(lambda: len(running(spark)) == 1, "an idle executor to go")
    receipt = release(spark, config(**UNIT))
    assert receipt.n_released == rows_of(spark, tmp_path) == pytest.approx(KEPT, abs=5)
