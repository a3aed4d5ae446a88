"""What models trained on released rows keep of what real rows give: curves fitted to measured tables.

A model sees how far a weight for each column stands out from the noise: the signal is rows * mu / (rows of a unit *
sqrt(columns)). A curve says that 1 - exp(level) * (signal^-slope + floor) is kept of what real rows give: of the AUC
above .5, or of R2. Three curves of one slope and one floor are fitted by pinball loss, to the middle of the measured
tables and to both tails.
`benchmarks/curves.py` measures, `benchmarks/curve_fit.py` fits; docs/tuning.md has the figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from threea_spark.config.release import ReleaseConfig
from threea_spark.forecast.case import Case
from threea_spark.privacy.terms import Stage
from threea_spark.recipes.recipe import Draw, DrawPairs, DrawWide

Metric: TypeAlias = Literal["auc", "r2"]


@dataclass(frozen=True)
class Curve:
    """One curve: the share that is kept, by signal.

    Attributes:
      level: Logarithm of what is lost at a signal of 1, but for the floor.
      slope: By which power of the signal the loss falls.
      floor: What no signal buys, in units of the loss at a signal of 1: models of rows are not the rows.
    """

    level: float
    slope: float
    floor: float

    def kept(self, signal: float) -> float:
        """The share of what real rows give, from 0 to 1."""
        lost = math.exp(self.level) * (math.pow(max(signal, 1e-9), -self.slope) + self.floor)
        return min(1.0, max(0.0, 1.0 - lost))


@dataclass(frozen=True)
class Curves:
    """The curves of a metric.

    Attributes:
      low, middle, high: What all but a tail of the tables keep at least, the middle one, and all but a tail at most.
      tail: The part of the tables beyond each of the outer curves.
      n_tables, n_runs: Tables and releases that were measured.
      covered: Share of the releases within low and high, each table left out of the fit that it is tested on.
      signals: Least and greatest signal that was measured.
    """

    low: Curve
    middle: Curve
    high: Curve
    tail: float
    n_tables: int
    n_runs: int
    covered: float
    signals: tuple[float, float]


CURVES: dict[Metric, Curves] = {
    "auc": Curves(
        Curve(2.542, 0.786, 0.0095),
        Curve(1.297, 0.786, 0.0095),
        Curve(0.184, 0.786, 0.0095),
        0.08,
        21,
        104,
        0.83,
        (6.9, 4776.3),
    ),
    "r2": Curves(
        Curve(2.748, 0.671, 0.0105),
        Curve(2.008, 0.671, 0.0105),
        Curve(1.599, 0.671, 0.0105),
        0.14,
        5,
        21,
        0.81,
        (4.3, 1224.7),
    ),
}
"""Printed by `benchmarks/curve_fit.py docs/experiments/curves.json`."""
FLOOR: dict[Metric, float] = {"auc": 0.5, "r2": 0.0}
"""What guessing reaches."""
EXAMPLE: dict[Metric, float] = {"auc": 0.8, "r2": 0.6}
"""What real rows give in the example."""
MOST_COLUMNS = 110
"""Wider tables were not measured."""


@dataclass(frozen=True)
class ModelOutlook:
    """What models of the first label keep.

    Attributes:
      metric: AUC or R2.
      signal: See the module.
      kept_low, kept_middle, kept_high: Shares of what real rows give above guessing.
      real: Of real rows, in the example.
      released_low, released_middle, released_high: What released rows give there.
    """

    metric: Metric
    signal: float
    kept_low: float
    kept_middle: float
    kept_high: float
    real: float
    released_low: float
    released_middle: float
    released_high: float

    @classmethod
    def at(cls, metric: Metric, signal: float) -> ModelOutlook:
        """Reads the curves of a metric."""
        curves = CURVES[metric]
        low, middle, high = (own.kept(signal) for own in (curves.low, curves.middle, curves.high))
        floor, real = FLOOR[metric], EXAMPLE[metric]
        released = (floor + kept * (real - floor) for kept in (low, middle, high))
        return cls(metric, signal, low, middle, high, real, *released)


def model_outlook(case: Case) -> ModelOutlook | None:
    """Reads what is expected of a case off the curves; None where nothing like it was measured."""
    if why_not_measured(case) is not None:
        return None
    return ModelOutlook.at(metric_of(case.config), signal_of_case(case))


def metric_of(config: ReleaseConfig) -> Metric:
    """The metric that models of the first label are judged by."""
    return "r2" if config.domain.task == "regression" else "auc"


def signal_of(n_rows: float, mu: float, n_columns: int) -> float:
    """The signal of a release.

    Args:
      n_rows: Rows that are read, divided by those that one unit may change.
      mu: Of the whole release.
      n_columns: Columns, the label among them.
    """
    return n_rows * mu / math.sqrt(n_columns)


def signal_of_case(case: Case) -> float:
    """The signal of a release that might be; several labels share the budget that they are learned with."""
    plan, domain = case.plan, case.config.domain
    changed = plan.relation.distance * plan.unit.max_rows
    mu = plan.whole_mu / math.sqrt(max(1, len(domain.labels)))
    return signal_of(case.n_rows / changed, mu, len(domain.coded.features) + 1)


def why_not_measured(case: Case) -> str | None:
    """Says why no curve speaks of a case; None where one does: the measured releases had default settings."""
    config = case.config
    if not isinstance(case.recipe, Draw | DrawPairs | DrawWide):
        return "mixed rows were not measured"
    if config.domain.task == "none":
        return "there is no label"
    if len(config.domain.coded.features) >= MOST_COLUMNS:
        return f"tables of more than {MOST_COLUMNS} columns were not measured"
    adapt, approximate = config.adapt, config.approximate
    plain = adapt.method == "kip" and adapt.targets == "private" and adapt.rows != "sample"
    free = approximate.components == approximate.per_class == config.privacy.shares == "auto"
    if not (plain and free and case.plan.mu_of(Stage.ADAPT) > 0.0):
        return "only default settings of shares, approximate and adapt were measured"
    return None
