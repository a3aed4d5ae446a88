"""Gaussian differential privacy in closed form: mu, epsilon, delta and the trade-off curve.

Source of all formulas: Dong, Roth, Su 2019, arXiv 1905.02383 (Corollary 1: delta(epsilon), Corollary 2: composition).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

from threea_spark.errors import PrivacyError

NORMAL_95 = 1.96
"""Standard deviations that normal noise stays within 19 times of 20."""


def compose_mu(mus: Iterable[float]) -> float:
    """Composes Gaussian mechanisms, including adaptively chosen ones: mu^2 adds up. Source: Corollary 2."""
    return math.sqrt(math.fsum(mu * mu for mu in mus))


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Returns the smallest delta at which a mu-GDP mechanism is (epsilon, delta)-DP. Source: Corollary 1."""
    if not (0.0 <= mu < math.inf and 0.0 <= epsilon < math.inf):
        raise PrivacyError(f"mu and epsilon must be in [0, inf), got {mu} and {epsilon}")
    if mu == 0.0:
        return 0.0
    upper = log_ndtr(-epsilon / mu + mu / 2.0)
    lower = epsilon + log_ndtr(-epsilon / mu - mu / 2.0)
    return float(max(0.0, -math.expm1(lower - upper) * math.exp(upper)))


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Returns the largest mu for which mu-GDP implies (epsilon, delta)-DP; the inverse of `gaussian_delta` in mu."""
    if not (0.0 < epsilon < math.inf and 0.0 < delta < 1.0):
        raise PrivacyError(f"epsilon must be in (0, inf) and delta in (0, 1), got {epsilon} and {delta}")
    high = 1.0
    while gaussian_delta(high, epsilon) < delta:
        high *= 2.0
    return float(brentq(lambda mu: gaussian_delta(mu, epsilon) - delta, 0.0, high, xtol=1e-14, rtol=1e-13))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Returns the smallest epsilon at which mu-GDP implies (epsilon, delta)-DP; the inverse of `gaussian_delta`."""
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    high = 1.0
    while gaussian_delta(mu, high) > delta:
        high *= 2.0
    return float(brentq(lambda epsilon: gaussian_delta(mu, epsilon) - delta, 0.0, high, xtol=1e-14, rtol=1e-13))


def mixing_mu(*, row_norm: float, mix_size: int, noise_stddev: float, repeats: int = 1) -> float:
    """Returns the mu of releasing noisy averages of `mix_size` rows for a fixed partition: the paper's formula.

    Args:
      row_norm: L2 bound on what a row adds to a group's sum; sqrt(D) for D features bounded by 1.
      mix_size: Number of rows in each average.
      noise_stddev: Standard deviation of the noise on each coordinate of an average, in the units of row_norm.
      repeats: Number of groups a row belongs to: 1 if clusters partition the rows, the number of classes if each class
        has its own centres over all rows.

    Source: 3A, arXiv 2307.01875, mu = sqrt(p * D) / (l * sigma).
    """
    return math.sqrt(repeats) * row_norm / (mix_size * noise_stddev)


def trade_off(mu: float, false_positive_rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns an attacker's smallest false negative rate, G_mu(a) = Phi(Phi^-1(1 - a) - mu). Source: Equation (6)."""
    return np.asarray(ndtr(ndtri(1.0 - false_positive_rate) - mu), dtype=np.float64)
