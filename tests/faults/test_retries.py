"""A task that runs twice writes the same bytes: a second attempt tells nothing new."""

import pytest

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("generator", ["mix", "sample"])
def test_a_task_that_runs_again_writes_the_same_bytes(releasing, config, generator):
    config["anonymize"] = {"generator": generator}
    config["privacy"]["unit"] = {"column": "patient", "max_rows": 2}
    one = releasing(config, script="retrying.py", master="local[2,4]")
    assert one.end() == 0, one.process.stderr.read()[-2000:]
    once, twice, again = one.lines[-3:]
    assert again == "tasks ran again: True"
    assert len(once.split()) > 1
    assert once.split()[1:] == twice.split()[1:]
