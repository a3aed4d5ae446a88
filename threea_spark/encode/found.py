"""What finding bounds and categories costs, and how many rows it takes to find one: from the configuration alone."""

from __future__ import annotations

from dataclasses import dataclass

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.bounds import bounds_layout
from threea_spark.encode.fit import value_query
from threea_spark.encode.misfits import stands_out
from threea_spark.encode.outline import encode_prices
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.planned_sums import planned_sum
from threea_spark.privacy.selection import threshold
from threea_spark.privacy.terms import Stage


@dataclass(frozen=True)
class Finding:
    """What one kind of search costs and needs.

    Attributes:
      n_columns: Columns that are searched.
      share: Part of the release's mu^2.
      least_rows: A bound or a category is found where a noisy count reaches this.
    """

    n_columns: int
    share: float
    least_rows: float


def finding_bounds(config: ReleaseConfig, plan: PrivacyPlan) -> Finding | None:
    """What it takes to find the bounds that are `auto`; None if there are none."""
    layout = bounds_layout(config.domain)
    if not layout.columns:
        return None
    mu = encode_prices(config, plan.mu_of(Stage.ENCODE)).bounds
    stddev = planned_sum(layout.query(), mu).stddev_under(plan)
    return Finding(len(layout.columns), (mu / plan.whole_mu) ** 2, stands_out(layout.size) * stddev)


def finding_values(config: ReleaseConfig, plan: PrivacyPlan) -> Finding | None:
    """What it takes to find the categories of open columns; None if there are none."""
    names = list(config.domain.open_columns)
    if not names:
        return None
    mu = encode_prices(config, plan.mu_of(Stage.ENCODE)).values
    query = value_query(names[0], config.domain)
    least = threshold(
        planned_sum(query, mu).stddev_under(plan),
        max_rows=plan.unit.max_rows,
        distance=plan.relation.distance,
        n_columns=query.n_columns,
        delta=plan.delta_selection,
        min_units=query.min_units,
    )
    return Finding(len(names), len(names) * (mu / plan.whole_mu) ** 2, least)
