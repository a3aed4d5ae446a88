"""One Spark session for all tests that ask for one, classic or Connect; the JVM never starts for the others.

THREEA_TEST_MASTER=connect:local[2] runs the same tests through Spark Connect; those marked `connect` are enough to see
that every pass over rows, a release, an append, a ledger and a report work there too. With `cluster` they run on a
standalone cluster of two workers, with `connect:cluster` through a Connect server of its own on such a cluster.
"""

import os
from pathlib import Path
from unittest.mock import patch

import pytest

ROOT = Path(__file__).parent
SPARK_FOLDERS = {"spark", "e2e", "faults"}
MASTER = os.environ.get("THREEA_TEST_MASTER", "local[2]")
# Of short queries half the JVM's time goes to C2, the optimising compiler: C1 alone, whose cache of code is too small.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=512m -XX:+UseSerialGC")
if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores: threads of theirs would only wait
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
# What jax compiled in one process, the others and the next run read: half of a small fit's time is compilation.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT.parent / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# A second CPU stands for a device that is not jax's default: tests/gpu.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
SMALL = {"spark.sql.shuffle.partitions": "2", "spark.driver.memory": "1500m"}
ON_CLUSTER = "cluster", "connect:cluster"


def pytest_collection_modifyitems(items):
    """Marks what needs Spark and both cores: the rest may run in several processes at once."""
    for item in items:
        if "spark" in item.fixturenames or item.path.relative_to(ROOT).parts[0] in SPARK_FOLDERS:
            item.add_marker("spark")


@pytest.fixture(scope="session", autouse=True)
def small_mixtures():
    """Releases in tests fit mixtures of few components in few steps: no bound and no sum depends on how good a fit is.

    tests/jax/test_product_fit.py and the benchmarks judge fits of full size.
    """
    from threea_spark.approximate import product_fit

    small = product_fit.ProductSettings(components=60, steps=80, more_steps=40)
    with patch.object(product_fit, "ProductSettings", lambda: small):
        yield


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Two workers with everything on that a shared cluster may have on: see tests/cluster/standalone.py."""
    from standalone import Cluster

    with Cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="session")
def spark(request, tmp_path_factory):
    from pyspark.sql import SparkSession

    from threea_spark.session import build_session

    active = SparkSession.getActiveSession()  # Databricks: use what is there, do not stop it
    if active is not None:
        yield active
        return
    master, extra, scratch = MASTER, SMALL, tmp_path_factory.mktemp("spark")
    if MASTER in ON_CLUSTER:
        cluster = request.getfixturevalue("cluster")
        extra = SMALL | cluster.settings
        master = cluster.connect_server(scratch, extra) if MASTER.startswith("connect:") else cluster.master
    session = build_session("tests", master=master, scratch=scratch, extra=extra)
    yield session
    session.stop()


@pytest.fixture
def no_staging_left(spark):
    """Fails a test that leaves a private staging table behind."""
    yield
    left = [table.name for table in spark.catalog.listTables() if table.name.startswith("threea_staging")]
    assert left == []
