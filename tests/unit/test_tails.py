from dataclasses import replace

import numpy as np
import pytest

from threea_spark.encode.tails import Reading, Tail, TailReadings, fit_tail

EDGES = np.linspace(0.0, 400.0, 81)
STDDEV = 40.0


def readings_of(tail, seed, stddev=STDDEV):
    rows = tail.rows_between(EDGES)
    noise = np.random.default_rng(seed).normal(0.0, stddev, len(rows) + 1)
    whole = Reading(0, len(rows), float(rows.sum() + noise[-1]), stddev**2)
    density = tail.rows / tail.scale
    return TailReadings(EDGES, rows + noise[:-1], np.full(len(rows), stddev**2), [whole], density)


def mean_distance(rows):
    return float(rows @ (0.5 * (EDGES[:-1] + EDGES[1:])) / rows.sum())


@pytest.mark.parametrize("shape", [-0.5, 0.0, 0.3])
def test_a_tail_is_found_again_without_noise(shape):
    true = Tail(2_000.0, shape, 30.0, 400.0)
    found = fit_tail(readings_of(true, 0, stddev=1e-3))
    assert found.rows == pytest.approx(2_000.0, rel=0.05)
    assert mean_distance(found.rows_between(EDGES)) == pytest.approx(mean_distance(true.rows_between(EDGES)), rel=0.1)


@pytest.mark.parametrize("shape", [-0.25, 0.0, 0.3])
def test_the_mean_of_a_noisy_tail_is_read_better_by_a_fit_than_by_its_positive_counts(shape):
    true = Tail(1_000.0, shape, 25.0, 400.0)
    wanted = mean_distance(true.rows_between(EDGES))
    fitted, naive = [], []
    for seed in range(20):
        readings = readings_of(true, seed)
        fitted.append(abs(mean_distance(fit_tail(readings).rows_between(EDGES)) / wanted - 1.0))
        naive.append(abs(mean_distance(np.maximum(readings.rows, 0.0)) / wanted - 1.0))
    assert np.mean(fitted) < 0.3
    assert np.mean(fitted) < 0.5 * np.mean(naive)


def test_a_code_far_out_is_no_part_of_the_tail():
    true, n_code = Tail(2_000.0, 0.0, 20.0, 400.0), 1_500.0
    readings = readings_of(true, 1)
    readings.rows[40] += n_code
    (whole,) = readings.sums
    readings = replace(readings, sums=[replace(whole, rows=whole.rows + n_code)])
    without, naive = fit_tail(readings.without(np.arange(80) == 40)), fit_tail(readings)
    assert without.rows == pytest.approx(2_000.0, rel=0.05)
    assert naive.rows > 2_200.0
    wanted = mean_distance(true.rows_between(EDGES))
    assert mean_distance(without.rows_between(EDGES)) == pytest.approx(wanted, rel=0.1)


@pytest.mark.parametrize("shape", [-1.0, 0.0, 0.6])
@pytest.mark.parametrize("rows", [1e-3, 1.0, 1e5])
def test_no_row_lies_beyond_the_end_or_the_bound(shape, rows):
    tail = Tail(rows, shape, 7.0, 400.0)
    assert 0.0 < tail.end <= 400.0
    assert tail.rows_between(EDGES).sum() == pytest.approx(rows)
    assert tail.rows_between(np.array([tail.end, 400.0])).sum() == pytest.approx(0.0, abs=1e-9 * rows)


def test_a_sample_reaches_no_farther_than_its_last_row():
    """A heavy tail of a hundred rows under a bound a million scales away: the naive mean follows the bound."""
    tail, bound = Tail(100.0, 0.6, 1.0, 1e6), 1e6
    edges = np.append(0.0, np.geomspace(1e-3, bound, 400))
    beyond = tail.rows_between(np.array([tail.end, bound])).sum()
    assert beyond == 0.0
    largest = np.expm1(0.6 * -np.log(np.random.default_rng(3).random((500, 100)))) / 0.6
    assert 0.5 * tail.end < np.median(largest.max(axis=1)) < 2.0 * tail.end
    assert tail.rows_between(edges).sum() == pytest.approx(100.0)
