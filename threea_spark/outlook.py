"""What the budget buys, from public numbers alone: `threea plan`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from threea_spark import auto, delta_size
from threea_spark.approximate.marginals import squared_bound
from threea_spark.config import ReleaseConfig
from threea_spark.domain import CategoricalColumn, TimestampColumn
from threea_spark.encode.histogram import HistogramLayout, fields_of
from threea_spark.planned import make_plan
from threea_spark.privacy.noise import stddev_of
from threea_spark.privacy.plan import PrivacyPlan, Stage
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
    plan = make_plan(config)
    n_classes, width = _sizes(config)
    resolved = auto.resolve(config, plan, n_rows=n_rows, n_classes=n_classes, width=width)
    shown = resolved.as_dict(mixing=auto.is_mixing(config))
    stages = tuple(_stages(config, plan, n_rows, n_classes))
    said = delta_size.outlook_words(plan.delta, plan.unit.max_rows, n_rows, is_allowed=config.privacy.allow_large_delta)
    return Outlook(n_rows, plan_in_words(plan), stages, shown, said)


def _stages(config: ReleaseConfig, plan: PrivacyPlan, n_rows: int, n_classes: int) -> list[StageOutlook]:
    found = []
    rows_in_cell = n_rows / auto.default_cells(config)
    factor = plan.relation.distance * plan.unit.max_rows
    for stage, mu in plan.stage_mu.items():
        if stage is Stage.ENCODE:
            noise = stddev_of(factor * math.sqrt(_layout(config).squared_bound), mu)
            found.append(StageOutlook(stage.value, mu, noise, rows_in_cell / noise, "a cell of a column"))
        elif stage is Stage.APPROXIMATE and not auto.is_mixing(config):
            noise = stddev_of(factor * math.sqrt(squared_bound(_n_features(config))), mu)
            ratio = rows_in_cell / n_classes / noise
            found.append(StageOutlook(stage.value, mu, noise, ratio, "a cell of a column in one class"))
        elif stage is Stage.ADAPT:
            found.append(StageOutlook(stage.value, mu, None, n_rows * mu, "all gradients together, rows times mu"))
        else:
            found.append(StageOutlook(stage.value, mu, None, None, "released statistics or mixed rows"))
    return found


def _layout(config: ReleaseConfig) -> HistogramLayout:
    selected: dict[str, tuple[str, ...]] = {name: ("",) for name in config.domain.columns}
    fields = [field for name, column in config.domain.columns.items() for field in fields_of(name, column, selected)]
    return HistogramLayout(tuple(fields))


def _n_features(config: ReleaseConfig) -> int:
    parts = sum(len(c.parts) for c in config.domain.features.values() if isinstance(c, TimestampColumn))
    return len(config.domain.features) + parts


def _sizes(config: ReleaseConfig) -> tuple[int, int]:
    """Classes and coordinates as far as the domain tells; open categories count as one level."""
    width = 0
    for column in config.domain.features.values():
        if isinstance(column, CategoricalColumn):
            width += (1 if column.is_open else len(column.values)) + int(column.nullable)
        else:
            width += 1 + int(column.nullable)
    if config.domain.task == "regression":
        return auto.default_cells(config), width
    return max(1, len(config.domain.classes)), width
