"""Category names that may leave: DP partition selection with a Gaussian threshold.

A name passes when its noisy count reaches tau = m * (k - 1) + stddev * z, where a unit owns m rows at most and k >= 2
is the fewest units whose name may leave. A name that fewer than k units hold has a count of at most m * (k - 1), so it
passes with probability at most P(noise >= stddev * z). That z is set twice. So that all the names a unit could add
together cost no more than the part of delta kept for them: such a name is held by that unit alone, its count is at most
m, and m <= m * (k - 1). And so that a name of few units, which delta does not speak of, passes with probability 1e-7 at
most: k is what the domain promises of every name, delta what the claim allows for those of one unit.
Source: Desfontaines, Voss, Gipson, Mandayam 2022, arXiv 2006.03684, and Swanberg, Globus-Harris et al. 2023,
arXiv 2301.01998, Theorem 9, for the Gaussian threshold at contribution bound m.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.noise import NoiseSource, grid_of

RARE_CHANCE = 1e-7
"""Most that the chance may be at which a name passes that fewer units hold than the domain asks for."""


@dataclass(frozen=True)
class Selection:
    """The selection of one open column; travels to executors.

    Attributes:
      mechanism: Booked noise of this column's counts.
      threshold: In rows; what a noisy count must reach.
      noise: The release's source of noise.
    """

    mechanism: NoisySum
    threshold: float
    noise: NoiseSource

    def passes(self, value: str, count: int) -> int | None:
        """Returns the noisy count of a value if it may leave, else None."""
        exact = np.array([count], dtype=np.int64)
        noisy = int(self.mechanism.noised(exact, self.noise, part=(value,))[0])
        return noisy if noisy >= self.threshold else None


def threshold(
    stddev: float,
    *,
    max_rows: int,
    distance: int,
    n_columns: int,
    delta: float,
    min_units: int,
    rare_chance: float = RARE_CHANCE,
) -> float:
    """Returns the least noisy count at which a value is selected.

    Args:
      stddev: Standard deviation of the noise, in rows.
      max_rows: Rows of one unit, each of which could hold a new value.
      distance: 2 under replace-one, where two units differ, else 1.
      n_columns: Open columns that share `delta`.
      delta: Probability that any value known from one unit alone is selected.
      min_units: A value that fewer units hold is not selected, at least 2.
      rare_chance: Probability at most that such a value is selected all the same.
    """
    one_value = min(delta / (distance * max_rows * n_columns), rare_chance)
    lift = 0.5 * grid_of(stddev)  # rounding may lift by half a step
    return max_rows * (min_units - 1) + stddev * float(-ndtri(one_value)) + lift


def most_frequent(passed: Iterable[tuple[str, int]], most: int) -> tuple[str, ...]:
    """Orders selected values by noisy count, the most frequent first, and keeps at most `most`."""
    ranked = sorted(passed, key=lambda item: (-item[1], item[0]))
    return tuple(value for value, _ in ranked[:most])
