"""The audit by one run: its bounds hold where the law is known, and it catches what it must on real releases."""

import math

import numpy as np
import pytest
from benchmark_files import load
from scipy.special import expit

from threea_spark.privacy.gaussian import gaussian_epsilon
from threea_spark.privacy.terms import Stage

bound = load("one_run_bound")
load("local_rows")
attack = load("one_run_attack")
one_run = load("one_run")

DELTA = 1e-5


def test_all_guesses_right_bound_epsilon_as_the_binomial_says():
    rate = 0.05 ** (1 / 500)
    found = bound.epsilon_bound(bound.Guesses(500, 500, 500), 0.0, 0.95)
    assert found == pytest.approx(math.log(rate / (1.0 - rate)), abs=2e-3)


def test_delta_costs_something():
    guesses = bound.Guesses(1000, 100, 98)
    assert bound.epsilon_bound(guesses, 1e-4, 0.95) < bound.epsilon_bound(guesses, 0.0, 0.95)


def test_guessing_proves_nothing():
    guesses = bound.Guesses(1000, 1000, 500)
    assert bound.epsilon_bound(guesses, DELTA, 0.95) == 0.0
    assert bound.mu_bound(guesses, 0.95) == 0.0


def randomized_response(epsilon, m, seed):
    return bound.Guesses(m, m, int(np.random.default_rng(seed).binomial(m, expit(epsilon))))


def test_randomized_response_stays_below_its_epsilon_as_often_as_it_says():
    above = [bound.epsilon_bound(randomized_response(1.0, 400, seed), 0.0, 0.95) > 1.0 for seed in range(200)]
    assert np.mean(above) <= 0.09  # 5 % and three standard deviations


def test_randomized_response_comes_near_its_epsilon_and_a_weaker_one_exceeds_it():
    found = bound.epsilon_bound(randomized_response(1.0, 100_000, 0), 0.0, 0.95)
    assert 0.97 < found <= 1.0
    assert bound.epsilon_bound(randomized_response(1.3, 100_000, 0), 0.0, 0.95) > 1.0


def gaussian_guesses(mu, m, made, seed):
    rng = np.random.default_rng(seed)
    coins = rng.random(m) < 0.5
    return one_run.guessed(mu * (coins - 0.5) + rng.standard_normal(m), coins, made / m)


@pytest.mark.parametrize("mu", [0.5, 1.0, 2.0])
def test_gaussian_canaries_stay_below_their_mu_and_far_noisier_claims_are_refuted(mu):
    found = [bound.mu_bound(gaussian_guesses(mu, 1000, 100, seed), 0.95) for seed in range(20)]
    assert max(found) <= mu
    assert np.median(found) > 0.4 * mu
    assert bound.gaussian_epsilon_bound(gaussian_guesses(mu, 1000, 100, 0), DELTA, 0.95) > gaussian_epsilon(
        0.25 * mu, DELTA
    )


@pytest.mark.parametrize(("made", "right"), [(0, 0), (5, 6), (11, 5)])
def test_guesses_that_do_not_fit_are_refused(made, right):
    with pytest.raises(ValueError, match="do not fit"):
        bound.Guesses(10, made, right)


def variant(name, broken=""):
    return next(v for v in one_run.variants() if v.name == name and v.broken == broken and v.epsilon == 4.0)


@pytest.mark.parametrize(
    ("name", "canaries"),
    [
        pytest.param("no adaptation", 150, marks=pytest.mark.slow),
        pytest.param("label function", 100, marks=pytest.mark.slow),
        pytest.param("mixing", 100, marks=pytest.mark.slow),
    ],
)
def test_a_sound_release_stays_below_its_claim(spark, name, canaries):
    records = one_run.audit(spark, variant(name), canaries, 0.999)
    assert all(record["lower_bound"] <= record["claimed_epsilon"] for record in records)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        pytest.param("no adaptation", "no noise on class statistics", marks=pytest.mark.slow),
        pytest.param("mixing", "no noise on mixed rows", marks=pytest.mark.slow),
    ],
)
def test_a_release_without_noise_in_one_stage_is_caught(spark, name, broken):
    records = one_run.audit(spark, variant(name, broken), 250, 0.95)
    assert max(record["lower_bound"] for record in records) > 4.0


def test_only_the_named_stage_is_weakened():
    from threea_spark.privacy.mechanism import NoisySum
    from threea_spark.privacy.terms import Relation

    relation = Relation.ADD_OR_REMOVE_ONE
    mechanism = NoisySum(
        context=("r", "encode", "histograms"), squared_sensitivity=9, mu=1.0, relation=relation, moved=3
    )
    assert attack.Weakened(0.25, Stage.ENCODE)(mechanism).stddev == pytest.approx(0.25 * mechanism.stddev)
    assert attack.Weakened(0.25, Stage.ADAPT)(mechanism) == mechanism
