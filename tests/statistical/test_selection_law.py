import numpy as np
import pytest
from noise_sources import SeededNoise, drawn
from scipy.stats import binom
from thresholds import SELECTION_DELTA, SELECTION_RUNS, SLACK_STDDEVS

from threea_spark.encode.selection import Selection, ordered_values, threshold
from threea_spark.privacy.accounting import Relation
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.noise import KeyedNoise

NOISE = KeyedNoise(bytes(range(32)))


def passing_rate(count, least, stddev, *, noise=NOISE):
    return float(np.mean(count + drawn(noise, stddev, SELECTION_RUNS, ("selection",)) >= least))


def allowed(delta):
    return delta + SLACK_STDDEVS * np.sqrt(delta / SELECTION_RUNS)


@pytest.mark.parametrize("stddev", [2.0, 40.0])
@pytest.mark.parametrize("max_rows", [1, 4])
def test_a_value_of_one_unit_passes_with_probability_delta_at_most(stddev, max_rows):
    least = threshold(stddev, max_rows=max_rows, distance=1, n_columns=1, delta=SELECTION_DELTA)
    one_value = SELECTION_DELTA / max_rows  # a unit's rows may bring that many new values
    rate = passing_rate(max_rows, least, stddev)
    assert rate <= allowed(one_value)
    assert rate > 0.2 * one_value  # and the threshold is not far too high


@pytest.mark.parametrize("stddev", [2.0, 40.0])
def test_half_the_threshold_or_half_again_the_noise_would_be_seen(stddev):
    least = threshold(stddev, max_rows=1, distance=1, n_columns=1, delta=SELECTION_DELTA)
    assert passing_rate(1, least / 2.0, stddev) > allowed(SELECTION_DELTA)
    assert passing_rate(1, least, 1.5 * stddev) > allowed(SELECTION_DELTA)
    weak = passing_rate(1, least, stddev, noise=SeededNoise(1, factor=1.3))
    assert weak > allowed(SELECTION_DELTA)


def test_all_the_values_a_unit_brings_pass_together_with_probability_delta_at_most():
    max_rows, stddev, n_columns = 4, 10.0, 2
    least = threshold(stddev, max_rows=max_rows, distance=1, n_columns=n_columns, delta=SELECTION_DELTA)
    runs = SELECTION_RUNS // 8
    found = drawn(NOISE, stddev, runs * max_rows * n_columns, ("together",)).reshape(runs, -1)
    any_passes = (1 + found >= least).any(axis=1)  # each new value is held by one row
    assert binom.sf(int(any_passes.sum()) - 1, runs, SELECTION_DELTA) > 1e-4
    lower = (1 + found >= least / 2.0).any(axis=1)
    assert binom.sf(int(lower.sum()) - 1, runs, SELECTION_DELTA) < 1e-4


def test_the_threshold_rises_with_all_that_one_unit_can_do():
    base = threshold(10.0, max_rows=1, distance=1, n_columns=1, delta=1e-6)
    assert threshold(10.0, max_rows=2, distance=1, n_columns=1, delta=1e-6) > base + 1.0
    assert threshold(10.0, max_rows=1, distance=2, n_columns=1, delta=1e-6) > base
    assert threshold(10.0, max_rows=1, distance=1, n_columns=5, delta=1e-6) > base
    assert threshold(10.0, max_rows=1, distance=1, n_columns=1, delta=1e-9) > base
    assert threshold(20.0, max_rows=1, distance=1, n_columns=1, delta=1e-6) > base


def selection():
    mechanism = NoisySum(
        context=("r", "encode", "values-of-x"),
        squared_sensitivity=1,
        mu=0.1,
        relation=Relation.ADD_OR_REMOVE_ONE,
        moved=1,
    )
    return Selection(mechanism, 60.0)


def test_a_frequent_value_passes_with_its_noisy_count_and_a_rare_one_does_not():
    noisy = selection().passes("frequent", 1_000, NOISE)
    assert noisy is not None
    assert noisy != 1_000 or selection().passes("another", 1_000, NOISE) != 1_000
    assert abs(noisy - 1_000) < 100
    assert selection().passes("rare", 1, NOISE) is None


def test_a_value_has_the_same_noise_at_every_attempt_and_another_value_another():
    first = [selection().passes(f"value-{i}", 1_000, NOISE) for i in range(20)]
    again = [selection().passes(f"value-{i}", 1_000, NOISE) for i in range(20)]
    assert first == again
    assert len(set(first)) > 5


def test_the_most_frequent_values_are_kept_and_ties_do_not_depend_on_order():
    passed = [("b", 5), ("a", 5), ("c", 9), ("d", 1)]
    assert ordered_values(passed, 3) == ("c", "a", "b") == ordered_values(passed[::-1], 3)
    assert ordered_values([], 3) == ()
