"""Keeps every cluster at or above its minimum size, exactly: prices are found on a sample and verified on all rows.

Conditional mode only: neither sample nor counts are noisy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from threea_spark.approximate.mixture import Mixture
from threea_spark.approximate.prices import merge_smallest, optimal_prices, unmet
from threea_spark.arrays import Float32Array, Float64Array, Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.engine.rows import StagedRows
from threea_spark.errors import PrivacyError
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.terms import Stage

CountRows = Callable[[Mixture], Float64Array]
"""Counts the rows of each component over the whole table, shape (k,): one pass."""

SAMPLE_ROWS = 50_000
_MAX_COSTS = 1 << 23  # rows times components: what prices are found on in seconds
_PRICE_PASSES = 4
_FIRST_MARGIN = 0.01  # of the minimum
_DEVIATIONS = 3.0


@dataclass(frozen=True)
class PriceSample:
    """Rows on the driver that prices are found on. PRIVATE.

    Attributes:
      scores: Shape (n, width).
      classes: Shape (n,).
      rate: Share of the table's rows they are.
    """

    scores: Float32Array
    classes: Int64Array
    rate: float

    @classmethod
    def of(
        cls, staged: StagedRows, encoding: Encoding, n_rows: float, n_components: int, meter: PrivacyMeter
    ) -> PriceSample:
        """Takes about SAMPLE_ROWS rows, or all where there are no more; one pass."""
        rate = min(1.0, min(SAMPLE_ROWS, _MAX_COSTS // n_components) / max(n_rows, 1.0))
        with meter.sample(Stage.APPROXIMATE, staged, rate) as held:
            rows = meter.expose(Stage.APPROXIMATE, held)
        return cls(encoding.scores(rows.packed), rows.classes, rate)

    def priced(self, mixture: Mixture, least: Float64Array) -> Mixture:
        """Sets each component's price so that it holds `least` rows of the table, as far as the sample can tell."""
        free = replace(mixture, prices=np.zeros(mixture.n_components))
        cost = free.discrepancy(self.scores)
        foreign = (mixture.class_of != self.classes[:, None]) & (mixture.class_of >= 0)
        start = mixture.prices if mixture.prices.any() else None
        prices = optimal_prices(np.where(foreign, np.inf, cost), least * self.rate, start=start)
        return replace(mixture, prices=prices)

    def margin(self, least: int, attempt: int) -> float:
        """By how much of the minimum a component is to hold more, so that chance leaves few of them below.

        A component's m rows of the sample are off by about sqrt(m) at first. What one count has set right is off by
        the chance of the rows that changed hands, the square root of these.
        """
        if self.rate >= 1.0:
            return 0.0
        return _FIRST_MARGIN if attempt == 0 else attempt * _DEVIATIONS * float(max(least * self.rate, 1.0) ** -0.75)

    def sizes(self, mixture: Mixture) -> Float64Array:
        """Rows of the table each component would hold, by the sample, shape (k,)."""
        component = mixture.assign(self.scores, self.classes)
        return np.bincount(component, minlength=mixture.n_components) / self.rate


def exactly_constrained(
    staged: StagedRows,
    encoding: Encoding,
    mixture: Mixture,
    least: int,
    n_rows: float,
    count: CountRows,
    meter: PrivacyMeter,
) -> Mixture:
    """Raises prices, then merges what cannot be filled, until every cluster holds the minimum.

    What a component holds of the table beyond what the sample foretold is known after one count; the next prices
    allow for it. So a large table takes the pass of the sample and one or two counts.

    Args:
      staged: Packed rows. PRIVATE.
      encoding: The table's codes.
      mixture: Whose clusters must be large enough; its prices are found anew.
      least: Rows every cluster must hold.
      n_rows: Rows of the table.
      count: Counts the rows of each component; one pass.
      meter: Books the sample that prices are found on.

    Raises:
      PrivacyError: if a class has fewer rows than the minimum and more than one cluster is left of it.
    """
    sizes = count(mixture)
    if unmet(mixture, sizes, least) == 0:
        return mixture
    sample = PriceSample.of(staged, encoding, n_rows, mixture.n_components, meter)
    surplus = np.zeros(mixture.n_components)  # of what the sample foretold
    for attempt in range(_PRICE_PASSES + mixture.n_components):
        goal = least * (1.0 + sample.margin(least, min(attempt, _PRICE_PASSES)))
        mixture = sample.priced(mixture, np.maximum(goal - surplus, 0.0))
        sizes = count(mixture)
        if unmet(mixture, sizes, least) == 0:
            return mixture
        surplus = sizes - sample.sizes(mixture)
        if attempt >= _PRICE_PASSES:
            mixture = merge_smallest(mixture, sizes, least)
            surplus = np.zeros(mixture.n_components)
    raise PrivacyError("approximate: clusters below min_cluster_size are left; lower it, or approximate.components")
