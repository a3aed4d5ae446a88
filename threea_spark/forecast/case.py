"""A release that might be: its recipe and noisy sums under a plan and an assumed number of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.encode.outline import TableShape, expected_shape, histogram_layout
from threea_spark.planned import sums_of
from threea_spark.privacy.accounting import CLAIM_SLACK
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.gaussian import gaussian_mu
from threea_spark.privacy.planned_sums import PlannedSum
from threea_spark.privacy.terms import Stage
from threea_spark.privacy.unit import PrivacyUnit
from threea_spark.recipes.choice import choose
from threea_spark.recipes.recipe import Recipe


@dataclass(frozen=True)
class Case:
    """A release of a configuration, under a plan that may be another than its own.

    Attributes:
      config: Its columns and settings; epsilon and unit are those of the plan.
      plan: What may be spent.
      n_rows: Assumed number of rows that are read.
    """

    config: ReleaseConfig
    plan: PrivacyPlan
    n_rows: int

    def under(self, epsilon: float) -> Case:
        """The same release under another epsilon: calibrated, not certified; what a sample gains is left as it is."""
        plan = replace(self.plan, epsilon=epsilon)
        ratio = _affordable_mu(plan) / _affordable_mu(self.plan)
        return replace(self, plan=replace(plan, stage_mu={own: ratio * mu for own, mu in plan.stage_mu.items()}))

    def of_single_rows(self) -> Case:
        """The same release with one row read of each unit."""
        unit = self.plan.unit
        return replace(self, plan=replace(self.plan, unit=PrivacyUnit(unit.column, 1, unit.missing)))

    def of_rows(self, n_rows: int) -> Case:
        """The same release of another number of rows."""
        return replace(self, n_rows=n_rows)

    @cached_property
    def layout(self) -> HistogramLayout:
        """What Encode counts."""
        return histogram_layout(self.config)

    @cached_property
    def shape(self) -> TableShape:
        """The table's, with classes of equal size."""
        return expected_shape(self.config, float(self.n_rows))

    @cached_property
    def recipe(self) -> Recipe:
        """What would run."""
        return choose(self.config, self.plan, self.shape)

    @cached_property
    def sums(self) -> tuple[PlannedSum, ...]:
        """The noisy sums that the recipe may ask for."""
        return tuple(sums_of(self.recipe, self.config, self.plan, self.shape))

    def noise_of(self, stage: Stage, name: str) -> float | None:
        """Standard deviation of the noise on a count of one of its sums, in rows; None where it is not asked for."""
        unit = self.layout.unit if (stage, name) == (Stage.ENCODE, "histograms") else 1
        asked = (own for own in self.sums if own.stage is stage and own.name == name)
        return next((own.stddev_under(self.plan) / unit for own in asked), None)


def _affordable_mu(plan: PrivacyPlan) -> float:
    """What a plan may spend in all, where no stage reads a sample; see `privacy.budget.calibrate`."""
    return gaussian_mu(plan.epsilon * (1.0 - plan.numeric_share) * (1.0 - CLAIM_SLACK), plan.delta_composition)
