"""What pyspark logs of a failed query, to standard error, is silenced while a release runs."""

import logging

import pytest
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import functions as F

from threea_spark.engine.quiet import unprinted_query_errors

PLANTED = "PLANTED-7f3a91"


@pytest.fixture
def logged():
    """All that pyspark's logger of failed queries hands to its handlers."""
    records, handler = [], logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = PySparkLogger.getLogger("DataFrameQueryContextLogger")
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def fail(spark):
    with pytest.raises(PySparkException, match=PLANTED):
        spark.range(1).select(F.lit(PLANTED).cast("int")).collect()


@pytest.mark.connect
def test_a_failed_query_is_not_logged(spark, logged):
    with unprinted_query_errors():
        fail(spark)
    assert logged == []


def test_without_it_pyspark_logs_the_value(spark, logged):
    fail(spark)
    if "connect" in type(spark).__module__ and not logged:
        pytest.skip("this Connect client logs nothing of its own")
    assert PLANTED in "".join(logged)
