"""The attacks on released rows: they succeed where nothing protects, and the noise stops them."""

import math

import numpy as np
import pytest
from benchmark_files import load

for name in ("audit_bound", "local_rows", "attack_inversion"):
    load(name)
inversion = load("attack_inversion")
membership = load("attack_membership")


@pytest.mark.parametrize("mix_size", [5, 20])
def test_rows_come_back_from_mixtures_without_noise(mix_size):
    found = inversion.errors(mix_size, math.inf, 100)
    assert found["others_known"] < 1e-6
    assert found["many_releases"] < 1e-6


@pytest.mark.parametrize("mix_size", [5, 20])
def test_rows_do_not_come_back_from_noisy_mixtures(mix_size):
    found = inversion.errors(mix_size, 0.27, 100)
    assert found["others_known"] > 0.9 * found["guess"]
    assert found["many_releases"] > 0.9 * found["allowed_many"]
    assert found["many_releases"] > 0.7 * found["guess"]


def test_an_attacker_learns_from_releases_that_differ_and_from_no_others():
    rng = np.random.default_rng(1)
    same, other = rng.normal(0, 1, (2, 400, 3)), rng.normal(3, 1, (400, 3))
    absent, present = membership.likelihoods(same[0], other)
    assert (present > absent.max()).mean() > 0.9
    absent, present = membership.likelihoods(same[0], same[1])
    assert abs((present[:, None] > absent[None, :]).mean() - 0.5) < 0.1


@pytest.mark.parametrize("place", [0, 4])
def test_releases_are_attacked_from_end_to_end(place):
    attack = membership.attacks(None)[place]
    record = membership.run_attack(attack, 6, 0.95)
    assert 0.0 <= record["auc"] <= 1.0
    assert record["lower_bound"] <= record["claimed_epsilon"]
    assert record["claimed_mu"] == pytest.approx(0.2678, abs=1e-3)
