"""What pyspark logs of a failed query, to standard error, is silenced while a release runs."""

import logging

import pytest
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import functions as F

from threea_spark.engine.delta import Place, exists, history_of, latest_version, read_latest
from threea_spark.engine.quiet import unprinted_query_errors
from threea_spark.errors import SourceError

PLANTED = "PLANTED-7f3a91"


@pytest.fixture
def logged():
    """All that pyspark's loggers of failed queries hand to their handlers."""
    records, handler = [], logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    loggers = [PySparkLogger.getLogger(f"{kind}QueryContextLogger") for kind in ("DataFrame", "SQL")]
    for logger in loggers:
        logger.addHandler(handler)
    yield records
    for logger in loggers:
        logger.removeHandler(handler)


def fail(spark):
    with pytest.raises(PySparkException, match=PLANTED):
        spark.range(1).select(F.lit(PLANTED).cast("int")).collect()


@pytest.mark.connect
def test_a_failed_query_is_not_logged(spark, logged):
    with unprinted_query_errors():
        fail(spark)
    assert logged == []


@pytest.mark.connect
def test_a_table_that_is_not_there_is_an_error_and_no_log(spark, logged):
    missing = Place.named("threea_nowhere")
    for ask in (read_latest, lambda spark, place: latest_version(spark, place, None)):
        with pytest.raises(SourceError, match="threea_nowhere is not found; check the name of the table"):
            ask(spark, missing)
    assert not exists(spark, missing)
    assert history_of(spark, missing) == ()
    with unprinted_query_errors(), pytest.raises(PySparkException):
        spark.sql("SELECT * FROM threea_nowhere").collect()
    assert logged == []
    with pytest.raises(PySparkException):
        spark.sql("SELECT * FROM threea_nowhere").collect()
    if "connect" not in type(spark).__module__:
        assert "threea_nowhere" in "".join(logged)


def test_without_it_pyspark_logs_the_value(spark, logged):
    fail(spark)
    if "connect" in type(spark).__module__ and not logged:
        pytest.skip("this Connect client logs nothing of its own")
    assert PLANTED in "".join(logged)
