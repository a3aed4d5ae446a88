"""Neighbouring tables through the files: no unit reaches a sum by way of file sizes, order or partitions.

The searches of tests/sensitivity begin where rows are in memory. These begin with files, as a release does.
"""

from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from benchmark_files import load
from pyspark.sql import functions as F

from threea_spark.engine.packed import UNIT_ID
from threea_spark.source import rows as table

load("local_rows")
rows = load("sensitivity_rows")
load("sensitivity_sums")
files = load("sensitivity_files")

RELATIONS = ("add_or_remove_one", "replace_one")
SLOWER = [mode for mode in rows.MODES if "labels" in mode or "label" in mode.split()]
QUICK = [mode for mode in rows.MODES if mode not in SLOWER]


def search(spark, folder, mode, relation, max_rows, *, tries=1, seed=0):
    rng = np.random.default_rng([seed, list(rows.MODES).index(mode), max_rows, RELATIONS.index(relation)])
    return files.search_files(spark, folder / "tables", mode, relation, max_rows, tries=tries, rng=rng)


@pytest.mark.parametrize("mode", [*QUICK, "points and labels"])
def test_one_unit_more_moves_no_sum_further_than_is_priced(spark, tmp_path, mode):
    """Units of one and of three rows take turns, and so do the relations; the slow test below tries them all."""
    place = list(rows.MODES).index(mode)
    found = search(spark, tmp_path, mode, RELATIONS[place % 2], 2 if place % 3 else 1)
    assert found["encode/histograms"].squared > 0


@pytest.mark.slow
@pytest.mark.parametrize("max_rows", [1, 2, 7])
@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("mode", rows.MODES)
def test_a_longer_search_finds_none_either(spark, tmp_path, mode, relation, max_rows):
    search(spark, tmp_path, mode, relation, max_rows, tries=8, seed=1)


def skipping_nulls():
    """As Spark's xxhash64 did: rows that hold the same values in other columns have one digest."""
    whole = table.row_digests

    def digests(cells, key):  # not at the top level: workers cannot import a test
        rows = zip(*(column.to_pylist() for column in cells), strict=True)
        texts = [repr([cell for cell in row if cell is not None]) for row in rows]
        return whole([pa.array(texts, pa.string())], key)

    return patch.object(table, "row_digests", digests)


def first_come(rows_, unit, key):
    """Rows are numbered as they come."""
    kept = [name for name in rows_.columns if name != UNIT_ID]
    return BOUND(rows_.withColumn("place", F.monotonically_increasing_id()), unit, key).select(*kept, "unit")


BOUND = table.bound_rows
BROKEN = {
    "a hash that skips nulls, and no order among equals": lambda: [
        skipping_nulls(), patch.object(table, "_total_order", lambda cells: ["order"]),
    ],
    "a short hash without a tie-break": lambda: [
        patch.object(table, "row_digests", lambda cells, key: pa.array([b"0" * 32] * len(cells[0]), pa.binary(32))),
        patch.object(table, "_total_order", lambda cells: ["order"]),
    ],
    "rows taken as they come": lambda: [patch.object(files, "bound_rows", first_come)],
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_an_order_that_files_decide_is_found(spark, tmp_path, broken):
    started = [own.start() for own in BROKEN[broken]()]
    try:
        with pytest.raises(AssertionError, match="priced for"):
            search(spark, tmp_path, "histograms", "add_or_remove_one", 2, tries=8)
    finally:
        patch.stopall()
    assert started
