"""How large a delta may be: by public numbers in a configuration, by the DP row count in a release; said in a plan."""

import pytest
from test_config import config_with, refusal

from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import PrivacyError
from threea_spark.forecast.outlook import outlook
from threea_spark.privacy import large_delta

UNIT = {"column": "p", "max_rows": 4}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"privacy__delta": 0.1}, "0.1 is above 0.01: one person in 10 may be released as is"),
        ({"privacy__delta": 0.0101}, "0.0101 is above 0.01"),
        ({"privacy__delta": 1.1e-6, "source__rows": 1_000_000}, "must be below 1e-06, one over the number of units"),
        ({"privacy__delta": 4.1e-6, "source__rows": 1_000_000, "privacy__unit": UNIT}, "must be below 4e-06"),
    ],
)
def test_a_delta_at_which_single_people_may_be_released_is_refused_unless_it_is_allowed_by_name(changes, words):
    (line,) = refusal(**changes)
    assert line.startswith("  (whole file): privacy.delta: ")
    assert words in line
    assert "`allow_large_delta: true`" in line
    assert ReleaseConfig.from_dict(config_with(**changes, privacy__allow_large_delta=True)).privacy.allow_large_delta


@pytest.mark.parametrize(
    "changes",
    [
        {"privacy__delta": 0.01},
        {"privacy__delta": 1e-6, "source__rows": 1_000_000},
        {"privacy__delta": 4e-6, "source__rows": 1_000_000, "privacy__unit": UNIT},
    ],
)
def test_a_delta_of_one_in_as_many_units_at_most_passes(changes):
    assert not ReleaseConfig.from_dict(config_with(**changes)).privacy.allow_large_delta


@pytest.mark.parametrize(("max_rows", "delta"), [(1, 1.01e-3), (3, 3.01e-3)])
def test_a_release_of_so_many_rows_is_refused_with_field_rule_and_fix(max_rows, delta):
    large_delta.require_small(0.98 * delta, max_rows, 1_000.0)
    with pytest.raises(PrivacyError, match=r"privacy\.delta: .* one over the number of units in the table") as caught:
        large_delta.require_small(delta, max_rows, 1_000.0)
    assert "`allow_large_delta: true`" in str(caught.value)
    assert "1000" not in str(caught.value).replace(",", "")


@pytest.mark.parametrize("n_rows", [0.0, -12.0])
def test_a_noisy_count_of_no_rows_refuses_nothing(n_rows):
    large_delta.require_small(0.5, 1, n_rows)
    assert large_delta.one_in_units(n_rows, 1) == float("inf")


def test_a_large_delta_that_was_allowed_is_told_and_a_small_one_is_not():
    (told,) = large_delta.advice(2e-3, 1, 1_000.0)
    assert (
        "larger than one over the number of people whose rows were read: real values of individuals may be among"
        in told
    )
    (told,) = large_delta.advice(0.02, 1, 10.0)
    assert "above 0.01: real values of individuals may be among" in told
    assert large_delta.advice(1e-3, 1, 1_000.0) == ()


def planned(n_rows, **changes):
    return outlook(ReleaseConfig.from_dict(config_with(**changes)), n_rows=n_rows)


def test_a_plan_says_one_in_how_many_delta_is_and_warns_of_too_many_assumed_rows():
    assert "delta 1e-06 is one in 1,000,000" in planned(100_000).in_words()
    assert "warning" not in planned(1_000_000).in_words()
    many = planned(2_000_000)
    assert "warning: privacy.delta should be below 5e-07" in many.in_words()
    assert "would be refused" in " ".join(many.in_words().split())
    assert len(many.as_dict()["delta"]) == 2
    assert "at least 2,000,000 units" in " ".join(many.in_words().split())
    allowed = planned(2_000_000, privacy__allow_large_delta=True).in_words()
    assert many.verdict.grade == "refused"
    assert planned(2_000_000, privacy__allow_large_delta=True).verdict.grade == "good"
    assert "real values of individuals may be released" in " ".join(allowed.split())


def test_allowing_it_is_part_of_the_configuration_s_name_only_where_it_was_asked():
    plain, allowed = (ReleaseConfig.from_dict(config_with(privacy__allow_large_delta=on)) for on in (False, True))
    assert plain.digest == ReleaseConfig.from_dict(config_with()).digest != allowed.digest
