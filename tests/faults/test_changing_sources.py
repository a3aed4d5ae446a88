"""A source that changes while it is released: the release is of the version it began with, or of none."""

import pytest
from tables import clinic, config_of, write_delta
from test_killed_drivers import STEPS, whole

from threea_spark import ReleaseConfig, release
from threea_spark.errors import ReleaseFailedError

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("no_staging_left")]
OLD, NEW = 1500, 400


@pytest.fixture
def changing(spark, tmp_path):
    """Releases a table that is overwritten at a step, and whose old files are then vacuumed if so asked."""
    place = write_delta(spark, clinic(OLD), tmp_path / "changing")
    config = ReleaseConfig.from_dict(config_of(place, tmp_path / "out"))

    def run(step, *, vacuumed):
        def change(name, number, of):
            if number != step:
                return
            write_delta(spark, clinic(NEW, seed=9), place)
            if vacuumed:
                spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
                spark.sql(f"VACUUM delta.`{place}` RETAIN 0 HOURS")

        return release(spark, config, listener=change)

    return run


@pytest.mark.parametrize("step", list(STEPS))
def test_a_source_overwritten_at_a_step_is_released_as_it_was(spark, changing, tmp_path, step):
    receipt = changing(step, vacuumed=False)
    assert receipt.source_version == 0
    assert whole(spark, tmp_path / "out") == receipt.n_released > NEW + 500


def test_a_source_whose_files_go_before_they_are_read_ends_in_one_error(changing, tmp_path):
    with pytest.raises(ReleaseFailedError, match="no table was written"):
        changing(1, vacuumed=True)
    assert not (tmp_path / "out").exists()


def test_a_source_whose_files_go_once_they_were_read_is_released_as_it_was(spark, changing, tmp_path):
    receipt = changing(2, vacuumed=True)
    assert whole(spark, tmp_path / "out") == receipt.n_released > NEW + 500
