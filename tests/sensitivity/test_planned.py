"""What was certified before a row is read against what runs: no sum is wider, reaches further or is left out."""

import re

import pytest
from pairs import release, rows

from threea_spark import planned
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.outline import histogram_layout
from threea_spark.errors import PrivacyError
from threea_spark.forecast.outlook import outlook
from threea_spark.privacy.terms import Stage

KINDS = {"marginals-by-class": "marginals", "sizes-of-kept": "sizes"}


def kind_of(mechanism):
    """The stage, and the name without its number."""
    _, stage, name = mechanism.context
    plain = re.sub(r"-\d+$", "", name)
    return Stage(stage), KINDS.get(plain, plain)


def granted(mode, **own):
    ran = release(mode, **own)
    return ran.config, list(ran._published.mechanisms.values())


SLOWER = {
    "points and labels of two classes", "points and labels of a sample", "pairs and labels of two classes",
    "pairs, points and labels", "a numeric label", "several labels", "no label",
}  # fmt: skip
MODES = [pytest.param(mode, marks=pytest.mark.slow) if mode in SLOWER else mode for mode in rows.MODES]


@pytest.mark.parametrize("mode", MODES)
def test_every_sum_that_runs_was_certified(mode):
    max_rows = 1 + 2 * (list(rows.MODES).index(mode) % 2)
    config, mechanisms = granted(mode, max_rows=max_rows, n_base=60)
    plan = planned.make_plan(config)
    found = {}
    for mechanism in mechanisms:
        found.setdefault(kind_of(mechanism), []).append(mechanism)
    ways = list(planned.ways_through(config, plan))
    assert any(not _uncertified(found, way, plan) for way in ways), [_uncertified(found, way, plan) for way in ways]
    assert planned.worst_numeric_error(config, plan) <= plan.numeric_epsilon


def _uncertified(found, way, plan):
    """Sums that ran and that one way through the release does not hold."""
    by_kind = {(own.stage, own.name): own for own in way}
    beyond = []
    for kind, ran in found.items():
        own = by_kind.get(kind)
        widest, furthest = max(m.stddev for m in ran), max(m.moved for m in ran)
        if (
            own is None
            or widest > own.stddev_under(plan) * (1 + 1e-6)
            or furthest > plan.moved_by_unit(own.bound.moved)
        ):
            beyond.append(kind)
        elif len(ran) > own.times:
            beyond.append((*kind, "times"))
    return beyond


@pytest.mark.parametrize("mode", ["histograms", "moments", "pairs", "open categories", "a numeric label", "labels"])
def test_the_noise_that_a_plan_prints_is_that_of_the_release(mode):
    """A plan whose noise were a hundredth too small would be found, and one that is far too large as well."""
    config, mechanisms = granted(mode, n_base=60)
    said = {stage.stage: stage for stage in outlook(config, n_rows=1000).stages}
    units = {"histograms": histogram_layout(config).unit, "marginals": 1, "pairs": 1}
    compared = 0
    for mechanism in mechanisms:
        stage, name = kind_of(mechanism)
        if name in units and said[stage.value].noise_rows is not None:
            ratio = said[stage.value].noise_rows / (mechanism.stddev / units[name])
            assert 1.0 - 1e-9 <= ratio < 1.1, (stage, name)
            compared += 1
        assert said[stage.value].mu >= mechanism.mu * (1.0 - 1e-9)
    assert compared >= 1


def test_a_plan_that_cannot_be_certified_is_refused_in_words_before_a_row_is_read():
    config = rows.release_config("points and labels", max_rows=1)
    content = config.model_dump(mode="json")
    for privacy, words in (
        ({"epsilon": 1e-7, "delta": 1e-9}, "cannot be certified"),
        ({"epsilon": 1.0, "delta": 1e-16}, "certified"),
    ):
        content["privacy"] = {**content["privacy"], **privacy}
        with pytest.raises(PrivacyError, match=words) as caught:
            planned.make_plan(ReleaseConfig.from_dict(content))
        assert "raise" in str(caught.value).lower()
