"""Forecasts what the budget buys, from public numbers alone: `threea plan`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from threea_spark.config.release import ConfigLike, ReleaseConfig
from threea_spark.encode.outline import TableShape, expected_shape, histogram_layout
from threea_spark.encode.prices import BOUNDS_SHARE
from threea_spark.model.more_rows import more_rows_in_words
from threea_spark.planned import make_plan, sums_of
from threea_spark.privacy import large_delta
from threea_spark.privacy.budget import PrivacyPlan, Stage
from threea_spark.privacy.statement import plan_in_words
from threea_spark.recipes import rules
from threea_spark.recipes.choice import choose
from threea_spark.recipes.recipe import Draw, DrawPairs, DrawWide, Mix, Recipe


@dataclass(frozen=True)
class StageOutlook:
    """One stage: its mu, the noise on its counts in rows, and the rows of a typical count per noise."""

    stage: str
    mu: float
    noise_rows: float | None
    signal_to_noise: float | None
    meaning: str


@dataclass(frozen=True)
class Outlook:
    """The forecast that `threea plan` prints; every number follows from the configuration and the assumed rows.

    Attributes:
      n_rows: Assumed.
      plan_words: The plan, in words.
      stages: What each stage's noise leaves of its counts.
      resolved: The value of every `auto` setting.
      delta: What there is to say about delta.
      bounds: Columns whose bounds will be found, in words; None if all are declared.
      more_rows: What models gained from more rows than the source holds; None if none can be drawn or classified.
    """

    n_rows: int
    plan_words: str
    stages: tuple[StageOutlook, ...]
    resolved: dict[str, Any]
    delta: tuple[str, ...] = ()
    more_rows: str | None = None
    bounds: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        plain = asdict(self)
        plain.pop("plan_words")
        return plain

    def in_words(self) -> str:
        """The outlook as text for a person."""
        even = " in classes of equal size" if "labels" in self.resolved else ""
        lines = [self.plan_words, f"assuming {self.n_rows:,} rows{even}:"]
        for stage in self.stages:
            noise = "" if stage.noise_rows is None else f"noise {stage.noise_rows:.3g} rows on a count, "
            ratio = "" if stage.signal_to_noise is None else f"signal to noise {stage.signal_to_noise:.3g} "
            lines.append(f"  {stage.stage:<11} {noise}{ratio}({stage.meaning})")
        lines += [f"  {name:<22}{_short(value)}" for name, value in self.resolved.items()]
        lines += [*self.delta, *(text for text in (self.bounds, self.more_rows) if text is not None)]
        return "\n".join(lines)


def outlook(config: ConfigLike, *, n_rows: int) -> Outlook:
    """Works out what a release would have to live with; reads no row and needs no Spark.

    Args:
      config: The release's configuration.
      n_rows: Assumed.
    """
    config = ReleaseConfig.of(config)
    plan, shape = make_plan(config), expected_shape(config, float(n_rows))
    chosen = choose(config, plan, shape)
    stages = tuple(_stages(chosen, config, plan, shape))
    allowed = config.privacy.allow_large_delta
    said = large_delta.outlook_words(plan.delta, plan.unit.max_rows, n_rows, is_allowed=allowed)
    more = more_rows_in_words(str(chosen.values["recipe"]), n_rows) if config.domain.classes else None
    return Outlook(n_rows, plan_in_words(plan), stages, chosen.values, said, more, _bounds_in_words(config))


def _bounds_in_words(config: ReleaseConfig) -> str | None:
    names = ", ".join(map(repr, config.domain.columns_without_bounds))
    return f"bounds of {names} will be found, for {BOUNDS_SHARE:.0%} of what encode may spend" if names else None


def _stages(own: Recipe, config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> Iterator[StageOutlook]:
    """Each stage that the recipe pays, by the sums that the plan was certified for."""
    rows_in_cell = shape.n_rows / own.n_cells
    for stage, mu in plan.stage_mu.items():
        noise = _noise_of_counts(own, config, plan, shape, stage)
        if stage is Stage.ENCODE and noise:
            yield StageOutlook(stage.value, mu, noise, rows_in_cell / noise, "a cell of a column")
        elif stage is Stage.APPROXIMATE and noise and isinstance(own, Draw):
            ratio, part = rows_in_cell / _n_parts(own, shape) / noise, "class" if own.clusters is None else "cluster"
            yield StageOutlook(stage.value, mu, noise, ratio, f"a cell of a column in one {part}")
        elif stage is Stage.APPROXIMATE and noise and isinstance(own, DrawPairs):
            in_group = shape.n_rows / own.n_groups**2
            yield StageOutlook(stage.value, mu, noise, in_group / noise, "a cell of a pair's table, before the fit")
        elif stage is Stage.APPROXIMATE and noise:
            in_class = shape.n_rows / shape.n_classes
            yield StageOutlook(stage.value, mu, noise, in_class / noise, "the rows of one class")
        elif isinstance(own, Draw) and stage in own.counts_again:
            yield StageOutlook(stage.value, mu, None, None, "a further count of the components")
        elif stage is Stage.ADAPT:
            n_labels = max(1, len(own.functions.learned)) if isinstance(own, Draw | DrawPairs) else 1
            of = "" if n_labels == 1 else f" of each of {n_labels} labels"
            rows_times_mu = shape.n_rows * rules.label_mu(mu, n_labels)
            yield StageOutlook(stage.value, mu, None, rows_times_mu, f"all gradients{of} together, rows times mu")
        else:
            yield StageOutlook(stage.value, mu, None, None, "mixed rows" if isinstance(own, Mix) else "not used")


_COUNTS = {Draw: "marginals", DrawPairs: "pairs", DrawWide: "norms", Mix: "sizes"}
"""The counts that Approximate makes for each recipe."""


def _noise_of_counts(
    own: Recipe, config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape, stage: Stage
) -> float | None:
    """Standard deviation of the noise on a count of a stage, in rows; None where it counts nothing."""
    unit = histogram_layout(config).unit if stage is Stage.ENCODE else 1
    wanted = {Stage.ENCODE: "histograms", Stage.APPROXIMATE: _COUNTS[type(own)]}.get(stage)
    for planned in sums_of(own, config, plan, shape):
        if planned.stage is stage and planned.name == wanted:
            return planned.stddev_under(plan) / unit
    return None


def _n_parts(own: Draw, shape: TableShape) -> int:
    """Parts of the table whose cells are counted apart: its classes, or the clusters of a class or of all rows."""
    if own.clusters is None:
        return shape.n_classes
    return own.clusters.n_components * (shape.n_classes if own.per_class else 1)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
