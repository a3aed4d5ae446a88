"""What pyspark prints of a failed query is kept from standard error while a release runs."""

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from threea_spark.query_errors import unprinted_query_errors

PLANTED = "PLANTED-7f3a91"


def fail(spark):
    with pytest.raises(PySparkException, match=PLANTED):
        spark.range(1).select(F.lit(PLANTED).cast("int")).collect()


def test_a_failed_query_is_not_printed(spark, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with unprinted_query_errors():
        fail(spark)
    assert PLANTED not in "".join(capfd.readouterr())


def test_without_it_pyspark_prints_the_value(spark, capfd):
    if "connect" in type(spark).__module__:
        pytest.skip("a Connect client prints nothing of its own")
    fail(spark)
    assert PLANTED in "".join(capfd.readouterr())
