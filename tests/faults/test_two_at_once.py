"""Two releases of the same id at once: one is written whole, and the other takes nothing of it away."""

import pytest
from test_killed_drivers import whole

pytestmark = pytest.mark.faults


def test_of_two_releases_to_one_target_one_is_written_and_stays(spark, releasing, config, kinds, tmp_path):
    both = [releasing(config), releasing(config)]
    ends = sorted(one.end() for one in both)
    assert ends[0] == 0, [one.lines for one in both]
    assert ends[1] in (6, 9), [one.lines for one in both]
    winner = next(one for one in both if one.process.returncode == 0)
    assert whole(spark, tmp_path / "out") == int(winner.lines[-1].split()[1])
    assert kinds().count("finish") == 1
    assert not [folder for one in both for folder in one.staging]
