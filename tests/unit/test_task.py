"""A task has one BLAS thread, and what it imported is no garbage of its own."""

import gc
import sys
import types

import pyarrow as pa
import pytest
from threadpoolctl import threadpool_info

from threea_spark.engine import task, threads
from threea_spark.engine.task import as_task

BATCH = pa.RecordBatch.from_arrays([pa.array([1, 2])], ["a"])


@pytest.fixture(autouse=True)
def fresh_worker(monkeypatch):
    monkeypatch.setattr(task, "_known_modules", 0)
    yield
    gc.unfreeze()


def test_a_task_passes_its_batches_on_with_one_thread_for_each_library():
    found = []

    def work(batches):
        found.extend(pool["num_threads"] for pool in threadpool_info())
        yield from batches

    before = [pool["num_threads"] for pool in threadpool_info()]
    for _ in range(2):  # the second looks no library up
        assert list(as_task(work)(iter([BATCH, BATCH]))) == [BATCH, BATCH]
    assert len(found) == 2 * len(before) > 0
    assert set(found) == {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_libraries_are_looked_up_once_and_again_when_more_modules_are_imported(monkeypatch):
    looked_up, find = [], threads.ThreadpoolController
    monkeypatch.setattr(threads, "_found", None)
    monkeypatch.setattr(threads, "ThreadpoolController", lambda: looked_up.append(1) or find())
    for _ in range(3):
        with threads.one_thread():
            pass
    assert len(looked_up) == 1
    monkeypatch.setitem(sys.modules, "threea_no_such_module", types.ModuleType("threea_no_such_module"))
    with threads.one_thread():
        pass
    assert len(looked_up) == 2


def test_modules_are_set_aside_once_and_again_when_more_are_imported(monkeypatch):
    def pass_on(batches):
        return batches

    list(as_task(pass_on)(iter([])))
    frozen = gc.get_freeze_count()
    assert frozen > 10_000
    kept = [[] for _ in range(1_000)]
    list(as_task(pass_on)(iter([])))
    assert gc.get_freeze_count() <= frozen
    monkeypatch.setitem(sys.modules, "threea_no_such_module", types.ModuleType("threea_no_such_module"))
    list(as_task(pass_on)(iter([])))
    assert gc.get_freeze_count() >= frozen + len(kept) / 2
