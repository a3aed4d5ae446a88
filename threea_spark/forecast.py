"""What the budget buys, from public numbers alone: `threea plan`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from threea_spark import planned, rules
from threea_spark.config.release import ReleaseConfig, is_mixing
from threea_spark.encode.rules import LABEL_CELLS, default_cells
from threea_spark.planned import make_plan
from threea_spark.privacy import large_delta
from threea_spark.privacy.budget import PrivacyPlan, Stage
from threea_spark.privacy.statement import plan_in_words


@dataclass(frozen=True)
class StageOutlook:
    """Of one stage: its mu, the noise on its counts in rows, and rows of a typical count per noise."""

    stage: str
    mu: float
    noise_rows: float | None
    signal_to_noise: float | None
    meaning: str


@dataclass(frozen=True)
class Outlook:
    """What `threea plan` prints; every number follows from the configuration and the assumed row count."""

    n_rows: int
    plan_words: str
    stages: tuple[StageOutlook, ...]
    resolved: dict[str, Any]
    delta: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        plain = asdict(self)
        plain.pop("plan_words")
        return plain

    def in_words(self) -> str:
        """The outlook as text for a person."""
        lines = [self.plan_words, f"assuming {self.n_rows:,} rows:"]
        for stage in self.stages:
            noise = "" if stage.noise_rows is None else f"noise {stage.noise_rows:.3g} rows on a count, "
            ratio = "" if stage.signal_to_noise is None else f"signal to noise {stage.signal_to_noise:.3g} "
            lines.append(f"  {stage.stage:<11} {noise}{ratio}({stage.meaning})")
        lines += [f"  {name:<22}{value:.4g}" for name, value in self.resolved.items()]
        lines += self.delta
        return "\n".join(lines)


def outlook(config: ReleaseConfig, *, n_rows: int) -> Outlook:
    """Works out what a release would have to live with; reads no row and needs no Spark.

    Args:
      config: Of the release.
      n_rows: Assumed.
    """
    plan, features = make_plan(config), planned.features_of(config)
    n_classes, width = planned.n_classes_of(config, label_cells=LABEL_CELLS), planned.widest(features)
    resolved = rules.resolve(config, plan, n_rows=n_rows, n_classes=n_classes, width=width)
    shown = resolved.as_dict(mixing=is_mixing(config))
    stages = tuple(_stages(config, plan, n_rows, n_classes))
    said = large_delta.outlook_words(
        plan.delta, plan.unit.max_rows, n_rows, is_allowed=config.privacy.allow_large_delta
    )
    return Outlook(n_rows, plan_in_words(plan), stages, shown, said)


def _stages(config: ReleaseConfig, plan: PrivacyPlan, n_rows: int, n_classes: int) -> list[StageOutlook]:
    """Each stage by the sums that the plan was certified for; of those that a release may leave out, as if it ran."""
    found = []
    rows_in_cell = n_rows / default_cells(config)
    noise = _noise_of_counts(config, plan)
    for stage, mu in plan.stage_mu.items():
        if stage is Stage.ENCODE:
            own = noise["histograms"]
            found.append(StageOutlook(stage.value, mu, own, rows_in_cell / own, "a cell of a column"))
        elif stage is Stage.APPROXIMATE and "marginals" in noise:
            own = noise["marginals"]
            ratio = rows_in_cell / n_classes / own
            found.append(StageOutlook(stage.value, mu, own, ratio, "a cell of a column in one class"))
        elif stage is Stage.ADAPT:
            found.append(StageOutlook(stage.value, mu, None, n_rows * mu, "all gradients together, rows times mu"))
        else:
            found.append(StageOutlook(stage.value, mu, None, None, "released statistics or mixed rows"))
    return found


def _noise_of_counts(config: ReleaseConfig, plan: PrivacyPlan) -> dict[str, float]:
    """Standard deviation of the noise on a count, in rows, by the name of the sum."""
    units = {"histograms": planned.histogram_layout(config).unit, "marginals": 1}
    sums = next(planned.ways_through(config, plan))
    return {own.name: own.stddev_under(plan) / units[own.name] for own in sums if own.name in units}
