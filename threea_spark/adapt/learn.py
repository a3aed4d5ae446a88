"""Adapt: learns the label function by noisy steps over all rows, or over one Poisson sample of them.

Each step is a pass of its own over rows that are cached as the integers that it multiplies, and no private row comes to
the driver. Of very many rows only those of units are read whose secret coin says so: it is the same for all steps, and
every sum is priced as one over all rows. With `adapt.rows: sample` the sample comes to the driver and the inducing
points are first moved by KIP, as the paper has it; all noisy sums then read nothing but the sample, and are priced
together as one Gaussian on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.adapt.labelling import Ask, Fit
from threea_spark.adapt.move import RELEASED_ROWS, move_plain, move_private, sample_rate
from threea_spark.adapt.problem import Problem
from threea_spark.adapt.settings import AdaptStatus, KernelRows
from threea_spark.adapt.targets import Targets
from threea_spark.arrays import Float64Array
from threea_spark.config.adapt import AdaptConfig
from threea_spark.encode.codec import Encoding
from threea_spark.engine.packed import PackedRows
from threea_spark.engine.rows import StagedRows
from threea_spark.model.labels import LabelFunction, NumberLabels
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import Summable, SumQuery
from threea_spark.privacy.terms import Stage

POINTS_SHARE = 0.05
"""Part of Adapt's mu^2 that moves the inducing points where they are moved; the rest learns the labels."""
_POINTS_ROWS = 20_000


@dataclass(frozen=True)
class LearnedLabels:
    """A label function. RELEASED.

    Attributes:
      labels: Labels rows by their cells.
      encoding: The table's codes, in whose label's cells it labels them.
      status: How the inducing points were moved.
    """

    labels: LabelFunction | NumberLabels
    encoding: Encoding
    status: AdaptStatus


def learn_labels(
    staged: StagedRows,
    problem: Problem,
    config: AdaptConfig,
    support_size: int,
    meter: PrivacyMeter,
    rng: np.random.Generator,
    *,
    mu: float,
    rate: float,
) -> LearnedLabels:
    """Learns the label function, on a sample the inducing points as well.

    Args:
      staged: PRIVATE.
      problem: What is known so far.
      config: The stage's configuration; `targets: released` reads no row.
      support_size: Number of inducing points.
      meter: Answers the queries.
      rng: Public randomness: starting points are drawn from the released mixture.
      mu: What the label may cost; a sample on the driver takes what is left of Adapt's.
      rate: Chance of each unit to be read by the steps, where they are passes.
    """
    support_cells, support_classes = problem.draw(support_size, rng)
    start = problem.kernel_input()(support_cells), problem.centred(support_classes)
    if config.targets == "released":
        return _from_released(problem, config, start, rng)
    if config.rows == "sample":
        return _from_sample(staged, problem, config, start, meter, rng)
    fit = Fit.of(problem, config, start[0], n_rows=problem.n_rows * rate, mu=mu, rng=rng)
    with staged.cached_as(fit.targets_of.form(rate)) as targets:
        return LearnedLabels(*fit.learned(_asked(meter, targets)), AdaptStatus.COMPLETED)


def _asked(meter: PrivacyMeter, targets: Summable[Targets]) -> Ask:
    """Has the meter answer the fit's queries from targets."""

    def ask(query: SumQuery[Targets], mu: float) -> tuple[Float64Array, float]:
        measured = meter.ask(query, targets, mu)
        return measured.value, measured.stddev

    return ask


def _from_sample(
    staged: StagedRows,
    problem: Problem,
    config: AdaptConfig,
    start: KernelRows,
    meter: PrivacyMeter,
    rng: np.random.Generator,
) -> LearnedLabels:
    """Moves the points, then learns the labels, on one Poisson sample."""
    kernel_input, rate = problem.kernel_input(), sample_rate(meter, problem.n_rows, config.max_rows)
    few_rate = min(rate, _POINTS_ROWS / max(problem.n_rows, 1.0))

    def kernel_rows(rows: PackedRows) -> KernelRows:
        few = rows.sampled(few_rate)
        return kernel_input(problem.encoding.cells(few.packed)), problem.centred(few.classes)

    with meter.sample(Stage.ADAPT, staged, rate) as sample:
        few = sample.seen_as(kernel_rows)
        moved = move_private(*start, few, config, meter, POINTS_SHARE, problem.n_rows * few_rate)
        mu = meter.remaining_mu(Stage.ADAPT)
        fit = Fit.of(problem, config, moved.x_support, n_rows=problem.n_rows * rate, mu=mu, rng=rng)
        targets = sample.seen_as(fit.targets_of)
        return LearnedLabels(*fit.learned(_asked(meter, targets)), moved.status)


def _from_released(problem: Problem, config: AdaptConfig, start: KernelRows, rng: np.random.Generator) -> LearnedLabels:
    """Learns from rows drawn from the released mixture: they need no noise."""
    cells, classes = problem.draw(RELEASED_ROWS, rng)
    moved = move_plain(*start, problem.kernel_input()(cells), problem.centred(classes), config, True)
    fit = Fit.of(problem, config, moved.x_support, n_rows=float(len(cells)), mu=1.0, rng=rng)
    drawn = fit.targets_of.of_drawn(cells, classes)

    def ask(query: SumQuery[Targets], mu: float) -> tuple[Float64Array, float]:
        return query.contribution(drawn).astype(np.float64), 0.0

    return LearnedLabels(*fit.learned(ask), moved.status)
