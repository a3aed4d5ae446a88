"""How many rows a Python task is handed at a time: limited in bytes for blocks, in rows for rows of the source."""

import pyarrow as pa
import pytest

from threea_spark.engine.batches import BATCH_BYTES, MOST_BYTES, MOST_ROWS, limited_in_rows
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


@pytest.mark.parametrize("limit", ["1000000", "2147483647"])
def test_a_limit_that_somebody_else_set_is_left_alone(spark, limits, limit):
    spark.conf.set(MOST_BYTES, limit)
    with limited_in_rows(spark.range(1)):
        assert (spark.conf.get(MOST_BYTES), spark.conf.get(MOST_ROWS)) == (limit, limits[MOST_ROWS])
