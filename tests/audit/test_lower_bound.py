"""The audit itself: its bound holds where the law is known, and it catches what it must."""

import numpy as np
import pytest
from benchmark_files import load
from scipy.stats import norm

from threea_spark.privacy.gaussian import gaussian_epsilon

bound = load("audit_bound")
load("local_rows")
load("audit_trial")
load("audit_variants")
audit = load("audit")
variants = load("audit_variants")

DELTA = 1e-5


def statistics(mu, n, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(-mu * mu / 2, mu, n), rng.normal(mu * mu / 2, mu, n)


@pytest.mark.parametrize("mu", [0.5, 1.5, 3.0])
def test_the_bound_of_a_known_mechanism_is_below_it_as_often_as_it_says(mu):
    truth = gaussian_epsilon(mu, DELTA)
    above = [
        bound.lower_bound(bound.judged(*statistics(mu, 400, seed), 0.9), DELTA, gaussian=gaussian) > truth
        for seed in range(100)
        for gaussian in (True, False)
    ]
    assert np.mean(above) <= 0.1


def test_the_bound_comes_close_to_the_truth_with_many_trials():
    found = bound.lower_bound(bound.judged(*statistics(1.5, 40_000, 0), 0.99), DELTA, gaussian=True)
    assert 0.9 * gaussian_epsilon(1.5, DELTA) < found < gaussian_epsilon(1.5, DELTA)


def test_an_attacker_who_knows_nothing_proves_nothing():
    errors = bound.judged(*statistics(0.0, 1_000, 1), 0.99)
    assert bound.lower_bound(errors, DELTA, gaussian=True) < 0.2
    assert bound.lower_bound(errors, DELTA, gaussian=False) == 0.0


def test_error_rates_are_those_of_clopper_and_pearson():
    absent, present = np.zeros(200), np.ones(200)
    errors = bound.judged(absent, present, 0.95)
    assert errors.false_positive == pytest.approx(1.0 - 0.025 ** (1 / 100))
    assert errors.mu == pytest.approx(2.0 * norm.isf(errors.false_positive))


def chosen(all_variants, name, broken=""):
    return next(v for v in all_variants if v.name == name and v.broken == broken)


@pytest.mark.parametrize(
    "name",
    ["no adaptation", *(pytest.param(name, marks=pytest.mark.slow) for name in ("defaults at epsilon 4", "mixing"))],
)
def test_sound_releases_stay_below_their_claim(name):
    record = audit.audit(chosen(variants.sound_variants(), name), trials=24, confidence=0.999)
    assert record["lower_bound"] <= record["claimed_epsilon"]
    assert 0.3 * record["claimed_mu"] < record["pair_mu"] <= record["claimed_mu"] * (1.0 + 1e-9)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        pytest.param("defaults", "no noise on histograms", marks=pytest.mark.slow),
        ("mixing", "no noise on mixed rows"),
        pytest.param("the paper's accounting", "clusters of private rows without noise", marks=pytest.mark.slow),
    ],
)
def test_releases_without_noise_are_caught(name, broken):
    record = audit.audit(chosen(variants.broken_variants(), name, broken), trials=40, confidence=0.99)
    assert record["lower_bound"] > record["claimed_epsilon"]


@pytest.mark.parametrize(
    "broken",
    [
        "a unit of four rows, priced as one",
        pytest.param("a row replaced, priced as one added", marks=pytest.mark.slow),
    ],
)
def test_pairs_that_are_no_neighbours_are_further_apart_than_the_claim(broken):
    (variant,) = [found for found in variants.broken_variants() if found.broken == broken]
    record = audit.audit(variant, trials=4, confidence=0.9)
    assert record["pair_mu"] > 1.2 * record["claimed_mu"]
