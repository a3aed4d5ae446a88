import numpy as np
import pytest
from dp_accounting.gaussian_mechanism import get_epsilon_gaussian
from scipy.stats import norm
from some import some

from threea_spark.errors import PrivacyError
from threea_spark.privacy.gaussian import (
    compose_mu,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_mu,
    mixing_mu,
    trade_off,
)

DELTAS = [10.0**-k for k in range(2, 13)]  # ten orders of magnitude
FEW_DELTAS = [DELTAS[0], DELTAS[-1]]  # the ends: between them nothing else can go wrong
EPSILONS = [1e-3, 0.01, 0.1, 1.0, 10.0, 100.0]


@pytest.mark.parametrize("delta", some(DELTAS, FEW_DELTAS))
@pytest.mark.parametrize("epsilon", some(EPSILONS, [1e-3, 1.0, 100.0]))
def test_mu_epsilon_and_delta_are_inverses_of_one_another(epsilon, delta):
    mu = gaussian_mu(epsilon, delta)
    assert gaussian_delta(mu, epsilon) == pytest.approx(delta, rel=1e-6)
    assert gaussian_epsilon(mu, delta) == pytest.approx(epsilon, rel=1e-6)


@pytest.mark.parametrize("delta", some(DELTAS, FEW_DELTAS))
@pytest.mark.parametrize("mu", some([0.01, 0.1, 0.5, 1.0, 3.0], [0.01, 3.0]))
def test_epsilon_agrees_with_dp_accounting(mu, delta):
    assert gaussian_epsilon(mu, delta) == pytest.approx(get_epsilon_gaussian(1.0 / mu, delta), rel=1e-6, abs=1e-9)


def test_delta_at_epsilon_zero_is_the_total_variation():
    for mu in (0.1, 1.0, 2.5):
        assert gaussian_delta(mu, 0.0) == pytest.approx(2.0 * norm.cdf(mu / 2.0) - 1.0, rel=1e-12)


def test_delta_falls_with_epsilon_and_rises_with_mu():
    by_epsilon = [gaussian_delta(1.0, e) for e in (0.0, 0.5, 1.0, 2.0, 4.0)]
    by_mu = [gaussian_delta(mu, 1.0) for mu in (0.0, 0.1, 0.5, 1.0, 2.0)]
    assert by_epsilon == sorted(by_epsilon, reverse=True)
    assert by_mu == sorted(by_mu)
    assert by_mu[0] == 0.0


def test_the_trade_off_curve_is_its_own_inverse_and_known_at_one_half():
    a = np.linspace(0.01, 0.99, 50)
    assert np.allclose(trade_off(1.3, trade_off(1.3, a)), a)
    assert trade_off(1.0, np.array([0.5]))[0] == pytest.approx(norm.cdf(-1.0))
    assert np.allclose(trade_off(0.0, a), 1.0 - a)  # mu 0 gives an attacker nothing


def test_mu_composes_by_squares():
    assert compose_mu([3.0, 4.0]) == pytest.approx(5.0)
    assert compose_mu([]) == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
def test_epsilon_outside_its_range_is_refused(bad):
    with pytest.raises(PrivacyError, match="epsilon"):
        gaussian_mu(bad, 1e-5)


@pytest.mark.parametrize("bad", [float("nan"), 0.0, 1.0, -1e-9])
def test_delta_outside_its_range_is_refused(bad):
    with pytest.raises(PrivacyError, match="delta"):
        gaussian_mu(1.0, bad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1])
def test_mu_outside_its_range_is_refused(bad):
    with pytest.raises(PrivacyError, match="mu"):
        gaussian_delta(bad, 1.0)


def test_the_papers_formula_is_the_noisy_sums_price():
    from threea_spark.privacy.meter import NoisySum
    from threea_spark.privacy.terms import Relation

    mechanism = NoisySum(
        context=("t",), squared_sensitivity=700**2, mu=0.3, relation=Relation.ADD_OR_REMOVE_ONE, moved=9
    )
    mu = mixing_mu(row_norm=700.0, mix_size=25, noise_stddev=mechanism.stddev / 25)
    assert mu == pytest.approx(0.3)
    assert mixing_mu(row_norm=3.0, mix_size=10, noise_stddev=0.5, repeats=4) == pytest.approx(1.2)
