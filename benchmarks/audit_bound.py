"""From an attacker's statistics to a lower bound on epsilon that holds with a confidence.

The threshold is chosen on one half of the trials and judged on the other. The two error rates are bounded from above
by Clopper and Pearson. Where the claim is Gaussian, they bound mu (Nasr et al. 2023, arXiv 2302.07956, section 4.2);
else epsilon directly (Kairouz, Oh, Viswanath 2015, arXiv 1311.0776, Theorem 2.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import beta

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.privacy.gaussian import gaussian_epsilon

_CANDIDATES = 201


@dataclass(frozen=True)
class Errors:
    """Upper bounds on an attacker's error rates, together at the confidence asked for."""

    false_positive: float
    false_negative: float

    @property
    def mu(self) -> float:
        """No mechanism of a smaller mu allows such an attacker."""
        return max(0.0, float(ndtri(1.0 - self.false_positive) - ndtri(self.false_negative)))

    def epsilon(self, delta: float) -> float:
        """No (epsilon, delta)-DP mechanism of a smaller epsilon allows such an attacker."""
        found = [0.0]
        for one, other in [
            (self.false_positive, self.false_negative),
            (self.false_negative, self.false_positive),
        ]:
            if 1.0 - other - delta > 0.0:
                found.append(math.log((1.0 - other - delta) / one))
        return max(found)


def judged(absent: Float64Array, present: Float64Array, confidence: float) -> Errors:
    """Bounds the error rates of the best threshold.

    Args:
      absent, present: Statistics of trials in either world, larger where PRESENT is likelier; at least 4 each.
      confidence: That both bounds hold.
    """
    level = 0.5 * (1.0 + confidence)
    threshold = _best_threshold(absent[::2], present[::2], level)
    absent, present = absent[1::2], present[1::2]
    return Errors(
        float(_clopper_pearson((absent > threshold).sum(), len(absent), level)),
        float(_clopper_pearson((present <= threshold).sum(), len(present), level)),
    )


def lower_bound(errors: Errors, delta: float, *, gaussian: bool) -> float:
    """The lower bound on epsilon at delta."""
    return gaussian_epsilon(errors.mu, delta) if gaussian else errors.epsilon(delta)


def _best_threshold(absent: Float64Array, present: Float64Array, level: float) -> float:
    """The threshold at which these trials themselves would give the largest bound on mu."""
    candidates = np.unique(np.quantile(np.concatenate([absent, present]), np.linspace(0.0, 1.0, _CANDIDATES)))
    positive = np.array([(absent > candidate).sum() for candidate in candidates])
    negative = np.array([(present <= candidate).sum() for candidate in candidates])
    bounds = ndtri(1.0 - _clopper_pearson(positive, len(absent), level))
    bounds -= ndtri(_clopper_pearson(negative, len(present), level))
    return float(candidates[np.argmax(bounds)])


def _clopper_pearson(events: Int64Array, n: int, level: float) -> Float64Array:
    """Upper bounds on the rates of events that were seen so often among n."""
    return np.where(events >= n, 1.0, beta.ppf(level, events + 1, np.maximum(n - events, 1)))
