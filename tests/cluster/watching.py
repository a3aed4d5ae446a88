"""What runs where while a release runs, by Spark's own counts."""

import json
import os
import signal
import threading
import time
from collections import defaultdict
from contextlib import contextmanager

import pytest
from standalone import HOSTS

from threea_spark import release

_SECONDS = 120.0


def wait_until(condition, what):
    """Waits until a condition holds; if it never does, the test fails."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail(f"never in {_SECONDS} s: {what}")


def running(spark):
    """Running tasks by host, of the executors that are alive."""
    infos = spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
    return {info.host(): info.numRunningTasks() for info in infos if info.host() in HOSTS}


def on_all_hosts(spark, cluster):
    """Gives Spark work until dynamic allocation has an executor with a Python worker on each host."""

    def a_second(
        batches,
    ):  # long enough for a task that waits to be missed; local, since executors have no test modules
        time.sleep(1.0)
        yield from batches

    def grown():
        spark.range(0, 4, 1, 4).mapInArrow(a_second, "id bigint").count()
        return set(running(spark)) == set(HOSTS) and all(python_workers(cluster, host) for host in HOSTS)

    wait_until(grown, "executors on both hosts")


def python_workers(cluster, host):
    """Python's processes on a host but their parents, the daemons that fork them."""
    daemons = cluster.workers[host].processes("pyspark.daemon")
    return [process for process in daemons if _parent(process) in daemons]


def _parent(process):
    with open(f"/proc/{process}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


@contextmanager
def paused(cluster, host):
    """Stops Python's workers on a host, as a machine does that hangs; yields what lets them go on."""
    stopped = python_workers(cluster, host)
    assert stopped

    def go_on():
        for process in stopped:
            if os.path.exists(f"/proc/{process}"):
                os.kill(process, signal.SIGCONT)

    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    try:
        yield go_on
    finally:
        go_on()


def released_while(spark, cluster, config, step, act):
    """Releases; `act` runs beside it from the start of a step on, and must have ended well.

    The step begins with an executor on each host, and once `act` has called the function that it is given.

    Returns:
      The receipt, and for each later step the files of the staging table as it starts.
    """
    failures, acting, files, begun = [], [], {}, threading.Event()

    def acts():
        try:
            act(begun.set)
        except BaseException as error:  # a thread's error would be lost
            failures.append(error)
        finally:
            begun.set()

    def listener(name, number, of):
        if acting:
            files[name] = staged_files(spark)
        if name.startswith(step) and not acting:
            on_all_hosts(spark, cluster)
            acting.append(threading.Thread(target=acts))
            acting[0].start()
            begun.wait()

    receipt = release(spark, config, listener=listener)
    acting[0].join()
    assert not failures, failures
    return receipt, files


def staged_files(spark):
    """Names of the staging table's files; none where it is not written yet."""
    names = [table.name for table in spark.catalog.listTables() if table.name.startswith("threea_staging")]
    return [os.path.basename(file) for name in names for file in spark.table(name).inputFiles()]


def events(spark, kind):
    """The application's events of a kind so far."""
    context = spark.sparkContext
    context._jsc.sc().listenerBus().waitUntilEmpty()
    folder = context.getConf().get("spark.eventLog.dir").removeprefix("file://")
    (file,) = [name for name in os.listdir(folder) if context.applicationId in name]
    with open(os.path.join(folder, file)) as lines:
        whole = [line for line in lines if line.endswith("\n")]
    return [event for event in map(json.loads, whole) if event["Event"] == kind]


def ended_tasks(spark, since):
    """Ended attempts of each task since a time, oldest first: by stage, attempt of the stage, and place."""
    attempts = defaultdict(list)
    for event in events(spark, "SparkListenerTaskEnd"):
        task = event["Task Info"]
        if task["Launch Time"] >= since * 1000.0:
            attempts[event["Stage ID"], event["Stage Attempt ID"], task["Index"]].append(task)
    return attempts
