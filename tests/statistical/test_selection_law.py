import numpy as np
import pytest
from noise_sources import SeededNoise, drawn
from scipy.stats import binom, norm
from thresholds import SELECTION_DELTA, SELECTION_RUNS, SLACK_STDDEVS

from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.noise import KeyedNoise
from threea_spark.privacy.selection import RARE_CHANCE, Selection, most_frequent, threshold
from threea_spark.privacy.terms import Relation

NOISE = KeyedNoise(bytes(range(32)))


def passing_rate(count, least, stddev, *, noise=NOISE):
    return float(np.mean(count + drawn(noise, stddev, SELECTION_RUNS, ("selection",)) >= least))


def allowed(delta):
    return delta + SLACK_STDDEVS * np.sqrt(delta / SELECTION_RUNS)


def measurable(stddev, *, max_rows=1, n_columns=1, min_units=2, factor=1.0):
    """The threshold where passing is seen often enough to be counted: the real rule without its floor of 1e-7."""
    return factor * threshold(
        stddev, max_rows=max_rows, distance=1, n_columns=n_columns, delta=SELECTION_DELTA, min_units=min_units,
        rare_chance=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("stddev", [2.0, 40.0])
@pytest.mark.parametrize("max_rows", [1, 4])
@pytest.mark.parametrize("min_units", [2, 10])
def test_a_value_of_fewer_units_passes_with_probability_delta_at_most(stddev, max_rows, min_units):
    least = measurable(stddev, max_rows=max_rows, min_units=min_units)
    one_value = SELECTION_DELTA / max_rows  # a unit's rows may bring that many new values
    rate = passing_rate(max_rows * (min_units - 1), least, stddev)
    assert rate <= allowed(one_value)
    assert rate > 0.2 * one_value  # and the threshold is not far too high
    enough = passing_rate(max_rows * (min_units - 1) + int(4 * stddev), least, stddev)
    assert enough > allowed(one_value)  # a name that stands out passes more often, and is seen to


@pytest.mark.parametrize("min_units", [3, 10])
def test_a_threshold_for_fewer_units_than_asked_would_be_seen(min_units):
    stddev = 2.0
    count = min_units - 1
    assert passing_rate(count, measurable(stddev, min_units=min_units), stddev) <= allowed(SELECTION_DELTA)
    assert passing_rate(count, measurable(stddev, min_units=min_units - 1), stddev) > allowed(SELECTION_DELTA)


@pytest.mark.parametrize("stddev", [2.0, 40.0])
def test_half_the_threshold_or_half_again_the_noise_would_be_seen(stddev):
    assert passing_rate(1, measurable(stddev, factor=0.5), stddev) > allowed(SELECTION_DELTA)
    assert passing_rate(1, measurable(stddev), 1.5 * stddev) > allowed(SELECTION_DELTA)
    weak = passing_rate(1, measurable(stddev), stddev, noise=SeededNoise(1, factor=1.3))
    assert weak > allowed(SELECTION_DELTA)


def test_all_the_values_a_unit_brings_pass_together_with_probability_delta_at_most():
    max_rows, stddev, n_columns = 4, 10.0, 2
    least = measurable(stddev, max_rows=max_rows, n_columns=n_columns)
    runs = SELECTION_RUNS // 8
    found = drawn(NOISE, stddev, runs * max_rows * n_columns, ("together",)).reshape(runs, -1)
    any_passes = (1 + found >= least).any(axis=1)  # each new value is held by one row
    assert binom.sf(int(any_passes.sum()) - 1, runs, SELECTION_DELTA) > 1e-4
    lower = (1 + found >= least / 2.0).any(axis=1)
    assert binom.sf(int(lower.sum()) - 1, runs, SELECTION_DELTA) < 1e-4


def chance(count, least, stddev):
    """Of an ideal draw, rounded: the noise's own law is tested in test_noise_law.py."""
    return float(norm.sf((np.ceil(least) - 0.5 - count) / stddev))


@pytest.mark.parametrize("delta", [0.1, 1e-3, 1e-6, 1e-12])
@pytest.mark.parametrize("stddev", [0.7, 2.0, 40.0])
@pytest.mark.parametrize(("max_rows", "min_units"), [(1, 2), (1, 10), (4, 2), (4, 10)])
def test_however_large_delta_is_a_value_of_fewer_units_hardly_ever_passes(delta, stddev, max_rows, min_units):
    given = {"max_rows": max_rows, "distance": 1, "n_columns": 3, "delta": delta, "min_units": min_units}
    wanted = min(delta / (max_rows * 3), RARE_CHANCE)
    fewer = max_rows * (min_units - 1)
    assert chance(fewer, threshold(stddev, **given), stddev) <= wanted
    assert chance(1, threshold(stddev, **given), stddev) <= wanted  # what one unit alone can hold of a new name
    if delta > 1e-3:
        assert chance(fewer, threshold(stddev, **given, rare_chance=1.0), stddev) > wanted  # the floor is needed


def test_at_two_units_and_a_small_delta_it_is_the_rule_without_a_minimum():
    least = threshold(10.0, max_rows=3, distance=2, n_columns=2, delta=1.2e-8, min_units=2)
    assert least == pytest.approx(3 + 10.0 * norm.isf(1e-9) + 0.5)


def test_the_threshold_rises_with_all_that_one_unit_can_do():
    given = {"max_rows": 1, "distance": 1, "n_columns": 1, "delta": 1e-7, "min_units": 2}

    def least(stddev=10.0, **changes):
        return threshold(stddev, **{**given, **changes})

    base = least()
    assert least(max_rows=2) > base + 1.0
    assert least(distance=2) > base
    assert least(n_columns=5) > base
    assert least(delta=1e-9) > base
    assert least(stddev=20.0) > base
    assert least(min_units=3) == pytest.approx(base + 1.0)
    assert least(min_units=3, max_rows=4) == pytest.approx(least(max_rows=4) + 4.0)


def selection():
    mechanism = NoisySum(
        context=("r", "encode", "values-of-x"),
        squared_sensitivity=1,
        mu=0.1,
        relation=Relation.ADD_OR_REMOVE_ONE,
        moved=1,
    )
    return Selection(mechanism, 60.0, NOISE)


def test_a_frequent_value_passes_with_its_noisy_count_and_a_rare_one_does_not():
    noisy = selection().passes("frequent", 1_000)
    assert noisy is not None
    assert noisy != 1_000 or selection().passes("another", 1_000) != 1_000
    assert abs(noisy - 1_000) < 100
    assert selection().passes("rare", 1) is None


def test_a_value_has_the_same_noise_at_every_attempt_and_another_value_another():
    first = [selection().passes(f"value-{i}", 1_000) for i in range(20)]
    again = [selection().passes(f"value-{i}", 1_000) for i in range(20)]
    assert first == again
    assert len(set(first)) > 5


def test_the_most_frequent_values_are_kept_and_ties_do_not_depend_on_order():
    passed = [("b", 5), ("a", 5), ("c", 9), ("d", 1)]
    assert most_frequent(passed, 3) == ("c", "a", "b") == most_frequent(passed[::-1], 3)
    assert most_frequent([], 3) == ()


@pytest.mark.parametrize(("count", "share"), [(95, norm.sf(0.5)), (105, norm.sf(-0.5))])
def test_the_noisy_count_alone_decides_whether_a_name_passes(count, share):
    """By the exact count none of the first and all of the second would pass, and the threshold would tell them."""
    mechanism = NoisySum(
        context=("t", "encode", "v"), squared_sensitivity=1, mu=0.1, relation=Relation.ADD_OR_REMOVE_ONE, moved=1
    )
    selection, n_names = Selection(mechanism, 100.0, NOISE), 2_000
    passed = [selection.passes(f"name {number}", count) for number in range(n_names)]
    found = [noisy for noisy in passed if noisy is not None]
    assert min(found) >= 100
    assert len(set(found)) > 15
    assert len(found) / n_names == pytest.approx(share, abs=0.05)
