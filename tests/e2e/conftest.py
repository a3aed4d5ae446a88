"""One source for all tests of a process that only read it."""

import pytest
from tables import clinic, write_delta


@pytest.fixture(scope="session")
def source(spark, tmp_path_factory):
    """The clinic as a Delta table, one version; whoever writes to a source makes one of its own."""
    return write_delta(spark, clinic(), tmp_path_factory.mktemp("clinic") / "source")
