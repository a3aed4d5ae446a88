"""How well an attacker can do under a guarantee's (epsilon, delta) pairs: the trade-off curve of f-DP.

Source: Dong, Roth, Su, Gaussian differential privacy, Journal of the Royal Statistical Society B 84(1), 2022,
arXiv 1905.02383: the trade-off function of one pair (after Wasserman and Zhou 2010), and the supremum over a collection
of pairs ("dual to primal").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.errors import PrivacyError

Pairs = Sequence[tuple[float, float]]

_MAX_EXPONENT = 700.0


def false_negative_rate(pairs: Pairs, false_positive_rate: Float64Array) -> Float64Array:
    """Returns an attacker's smallest false negative rate, f(a) = max(0, 1 - delta - e^eps a, e^-eps (1 - delta - a)).

    Args:
      pairs: (epsilon, delta) pairs that hold simultaneously. More pairs give a tighter bound; each alone is valid.
      false_positive_rate: In [0, 1], shape (n,).

    Returns:
      The supremum over the pairs, shape (n,); no attacker does better, since each pair bounds every attacker.

    Raises:
      PrivacyError: if an epsilon, a delta or a rate is out of range.
    """
    rate = np.asarray(false_positive_rate, dtype=np.float64)
    if not (rate.size == 0 or (np.min(rate) >= 0.0 and np.max(rate) <= 1.0)):
        raise PrivacyError("a false positive rate must be in [0, 1]")
    best = np.zeros_like(rate)
    for epsilon, delta in pairs:
        if not (epsilon >= 0.0 and 0.0 <= delta <= 1.0):
            raise PrivacyError(f"epsilon must be at least 0 and delta in [0, 1], got {epsilon} and {delta}")
        steep = math.exp(min(epsilon, _MAX_EXPONENT))
        best = np.maximum(best, np.maximum(1.0 - delta - steep * rate, (1.0 - delta - rate) / steep))
    return best


def true_positive_rate(pairs: Pairs, false_positive_rate: Float64Array) -> Float64Array:
    """Returns an attacker's largest true positive rate at each false positive rate, shape (n,)."""
    return 1.0 - false_negative_rate(pairs, false_positive_rate)


def delta_between(pairs: Pairs, epsilons: Float64Array) -> Float64Array:
    """Interpolates a delta that holds at each epsilon between given pairs: linear in e^epsilon, where delta is convex.

    Args:
      pairs: As for `false_negative_rate`.
      epsilons: Between the smallest and the largest epsilon of the pairs, shape (n,).
    """
    ordered = sorted(pairs)
    known = np.array([epsilon for epsilon, _ in ordered])
    deltas = np.minimum.accumulate([delta for _, delta in ordered])  # what holds at one epsilon holds above it
    shift = known[-1]  # e^(epsilon - shift) neither overflows nor changes the line
    return np.asarray(np.interp(np.exp(epsilons - shift), np.exp(known - shift), deltas), dtype=np.float64)


def right_answers(pairs: Pairs) -> float:
    """Returns the largest probability of guessing which of two equally likely tables was used; a coin toss has 0.5.

    It is (2 - min over a of (a + f(a))) / 2. Each pair's line of slope -1 or steeper meets its mirror image where
    a = f(a); f is convex and symmetric, so the sum is smallest there.
    """
    at_corner = max((1.0 - delta) / (1.0 + math.exp(min(epsilon, _MAX_EXPONENT))) for epsilon, delta in pairs)
    return 1.0 - max(0.0, at_corner)


def curve_rates() -> Float64Array:
    """Returns the false positive rates at which curves are drawn: dense near 0, where they are steep, then even."""
    fine = np.logspace(-5.0, -1.0, 41)
    return np.unique(np.concatenate([[0.0], fine, np.linspace(0.1, 1.0, 46)]))
