"""Tests of what a shared cluster takes away; `make test-cluster` runs them."""

import pytest


@pytest.fixture(scope="session")
def spark(spark):
    """The session on the cluster."""
    if not spark.sparkContext.master.startswith("spark://"):
        pytest.fail("these tests need THREEA_TEST_MASTER=cluster: make test-cluster sets it")
    return spark
