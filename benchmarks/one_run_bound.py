"""Lower bounds on epsilon from one release, by how many of its canaries an attacker guessed right.

Each of m canaries is in the table by a fair coin of its own. The attacker guesses the coins of some and abstains on the
others; a private release lets it be right only so often. Two bounds: for (epsilon, delta)-DP that of Steinke, Nasr,
Jagielski 2023 (arXiv 2305.08846, Theorem 5.2), for mu-GDP, which knows more of the mechanism, that of Mahloujifar,
Melis, Chaudhuri 2024 (arXiv 2410.22235, Theorem 3.2 and Algorithm 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtr, ndtri
from scipy.stats import binom

from threea_spark.privacy.gaussian import gaussian_epsilon

_TOLERANCE = 1e-3
_LARGEST = 64.0


@dataclass(frozen=True)
class Guesses:
    """What an attacker achieved.

    Attributes:
      canaries: Coins that were thrown.
      made: Guesses, fixed before the release; it abstains on the others.
      right: How many of them were right.
    """

    canaries: int
    made: int
    right: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.made <= self.canaries or self.made < 1:
            raise ValueError(f"guesses do not fit one another: {self}")


def epsilon_bound(guesses: Guesses, delta: float, confidence: float) -> float:
    """The largest epsilon at which no (epsilon, delta)-DP release would let so many guesses be right so easily."""
    return _largest(lambda epsilon: chance_of_dp(guesses, epsilon, delta) < 1.0 - confidence)


def mu_bound(guesses: Guesses, confidence: float) -> float:
    """The largest mu at which no mu-GDP release would."""
    return _largest(lambda mu: is_refuted(guesses, mu, 1.0 - confidence))


def gaussian_epsilon_bound(guesses: Guesses, delta: float, confidence: float) -> float:
    """The bound on mu, as the epsilon that a release of this mu has at delta."""
    return gaussian_epsilon(mu_bound(guesses, confidence), delta)


def chance_of_dp(guesses: Guesses, epsilon: float, delta: float) -> float:
    """Bounds the chance of as many right guesses under (epsilon, delta)-DP.

    Without delta each guess is at best randomized response. Source: arXiv 2305.08846, Theorem 5.2, whose alpha is the
    largest 2 / i * P[right > Binomial >= right - i].
    """
    made, right = guesses.made, guesses.right
    rate = float(expit(epsilon))
    below = np.cumsum(binom.pmf(np.arange(right - 1, -1, -1), made, rate))
    alpha = float((2.0 * below / np.arange(1, right + 1)).max(initial=0.0))
    return min(1.0, float(binom.sf(right - 1, made, rate)) + alpha * guesses.canaries * delta)


def is_refuted(guesses: Guesses, mu: float, chance: float) -> bool:
    """Whether under mu-GDP as many right guesses have less than this chance.

    Let s_i be P[at least i right] * made / m, split into r_i, a random canary being guessed right then, and h_i, it
    being guessed wrong. Flipping that canary's coin gives r_(i+1) <= 1 - G_mu(h_i); so the tail that was assumed needs
    a least s_0, which can be no more than made / m. Source: arXiv 2410.22235, Theorem 3.2, Algorithm 3.
    """
    made, right, m = guesses.made, guesses.right, guesses.canaries
    tail = chance * made / m
    summed, r = tail, tail * right / made  # summed: s_j over all j > i, up to `right`
    for i in range(right - 1, -1, -1):
        wrong = float(ndtr(ndtri(r) - mu)) if r > 0.0 else 0.0
        above = tail
        tail = max(above, (wrong + summed / made) / (1.0 - i / made))
        r += (i / made) * (tail - above)
        summed += tail
        if tail > made / m:
            return True
    return False


def _largest(refuted: Callable[[float], bool]) -> float:
    """The largest parameter that is refuted, from below, to a tolerance; 0 where none is."""
    if not refuted(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while refuted(high) and high < _LARGEST:
        low, high = high, 2.0 * high
    while high - low > _TOLERANCE and not math.isclose(low, high):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low
