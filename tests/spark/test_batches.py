"""How many rows a Python task is handed at a time: limited in bytes for blocks, in rows for rows of the source."""

import pyarrow as pa
import pytest

from threea_spark.engine.batches import BATCH_BYTES, MOST_BYTES, MOST_ROWS, limited_in_rows
from threea_spark.engine.spark import SparkSource
from threea_spark.engine.staging import stage, staging
from threea_spark.engine.task import as_task


def most_rows(rows):
    """The most rows of a batch."""

    def sizes(batches):
        yield pa.RecordBatch.from_pydict({"n": pa.array([max(batch.num_rows for batch in batches)], pa.int32())})

    return max(row["n"] for row in rows.mapInArrow(as_task(sizes), "n int").collect())


@pytest.fixture
def limits(spark):
    """The session's limits, as they were."""
    before = {name: spark.conf.get(name) for name in (MOST_BYTES, MOST_ROWS)}
    yield before
    for name, value in before.items():
        spark.conf.set(name, value)


@pytest.mark.connect
def test_batches_of_the_source_are_limited_in_rows_and_others_in_bytes_as_before(spark, limits):
    rows = spark.range(0, 12_000, 1, 1).selectExpr("id", "repeat('x', 1000) AS long", "'y' AS short")
    in_bytes = most_rows(rows)
    assert BATCH_BYTES / 1200 < in_bytes < BATCH_BYTES / 1000
    with limited_in_rows(rows):
        assert in_bytes < most_rows(rows) == min(12_000, BATCH_BYTES // (8 + 2 * 64))
    assert {name: spark.conf.get(name) for name in limits} == limits


def test_limits_come_back_where_a_pass_fails(spark, limits):
    with pytest.raises(ValueError, match="a pass"), limited_in_rows(spark.range(1)):
        raise ValueError("a pass")
    assert {name: spark.conf.get(name) for name in limits} == limits


def test_the_pass_over_the_source_is_limited_in_rows_and_those_over_kept_rows_are_not(spark, limits, monkeypatch):
    seen = []

    def noted(rows, name, *more):
        seen.append(spark.conf.get(MOST_BYTES))
        return stage(rows, name, *more)

    monkeypatch.setattr("threea_spark.engine.spark.stage", noted)

    def pack(batches):
        yield from (pa.RecordBatch.from_pydict({"n_rows": pa.array([1], pa.int32()), "block": [b"x"]}) for _ in batches)

    for keeps in (True, False):
        with staging(spark, "limits", "") as name:
            source = SparkSource(spark.range(0, 50, 1, 1).selectExpr("rand(1) AS c0"), name, keeps=keeps)
            if keeps:
                source._keep(None)
            source.staged(pack, 1)
    in_bytes, in_rows = limits[MOST_BYTES], str((1 << 31) - 1)
    assert seen == [in_rows, in_bytes, in_rows]


@pytest.mark.parametrize("limit", ["1000000", "2147483647"])
def test_a_limit_that_somebody_else_set_is_left_alone(spark, limits, limit):
    spark.conf.set(MOST_BYTES, limit)
    with limited_in_rows(spark.range(1)):
        assert (spark.conf.get(MOST_BYTES), spark.conf.get(MOST_ROWS)) == (limit, limits[MOST_ROWS])
