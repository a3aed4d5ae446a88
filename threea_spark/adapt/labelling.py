"""One fit of the label function: its features, its steps, and the labels that come of them.

Rules here read public and DP numbers only; rows are read by the queries alone, which the caller answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from threea_spark.adapt import features as maps
from threea_spark.adapt import number_labels
from threea_spark.adapt.curvature import curvature_of
from threea_spark.adapt.feature_rows import IntegerFeatures, blocks_of, read_blocks
from threea_spark.adapt.label_fit import FitSettings, fit_weights, gradient_query
from threea_spark.adapt.label_view import LabelView
from threea_spark.adapt.linear_scores import N_TABLES, linear_scores
from threea_spark.adapt.move import architecture
from threea_spark.adapt.problem import Problem
from threea_spark.adapt.scaled_number import ScaledNumber
from threea_spark.adapt.targets import Targets, Weights
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.adapt import AdaptConfig
from threea_spark.encode.codec import Encoding
from threea_spark.engine.packed import PackedRows
from threea_spark.engine.rows import RowForm
from threea_spark.model.labels import LabelFunction, NumberLabels
from threea_spark.privacy.query import SumQuery

Ask = Callable[[SumQuery[Targets], float], tuple[Float64Array, float]]
"""Answers a query at a price: the sum, and the standard deviation of its noise, in grid units."""
_DRAWN_ROWS = 20_000
_CURVATURE_ROWS = 5_000
_ROUNDING = 1e-12  # relative
_FEW = 250.0


@dataclass(frozen=True)
class TargetsOf:
    """Turns packed rows into targets; small enough to be sent with tasks."""

    view: LabelView
    features: maps.FeatureMap
    number: ScaledNumber | None

    def __call__(self, rows: PackedRows) -> Targets:
        """PRIVATE."""
        cells, classes, scores = self.view.read(rows)
        values = None if self.number is None else self.number.values(classes, scores)
        return Targets.of(self.features, cells, classes, values)

    def form(self, rate: float) -> RowForm[Targets]:
        """How targets are cached, so that no step makes them again: of units whose coin says so, at this rate."""
        integers, of_number = IntegerFeatures.of(self.features), self.number is not None

        def read(batches: Iterator[pa.RecordBatch]) -> Iterator[Targets]:
            return (Targets(integers, rows, of_number=of_number) for rows in read_blocks(batches, integers.record))

        return RowForm("labels", lambda rows: blocks_of(self(rows.sampled(rate)).rows), read)

    def of_drawn(self, cells: Int64Array, classes: Int64Array) -> Targets:
        """Rows drawn from the released mixture. RELEASED."""
        values = None if self.number is None else self.number.of_drawn(classes)
        return Targets.of(self.features, cells, classes, values)


@dataclass(frozen=True)
class Fit:
    """A fit before its first step. RELEASED.

    Attributes:
      problem: What is known.
      targets_of: The features, and how rows are turned into them.
      n_rows: DP number of rows that will be summed.
      mu: What the fit may spend.
      cells: Rows drawn from the released mixture, shape (n, n_features).
    """

    problem: Problem
    targets_of: TargetsOf
    n_rows: float
    mu: float
    cells: Int64Array

    @classmethod
    def of(
        cls,
        problem: Problem,
        config: AdaptConfig,
        x_support: Float64Array,
        *,
        n_rows: float,
        mu: float,
        rng: np.random.Generator,
    ) -> Fit:
        """Chooses the features, and draws the rows that show the loss's curvature.

        Args:
          problem, n_rows, mu: As in the class.
          config: The stage's configuration.
          x_support: Inducing points.
          rng: Public randomness.
        """
        features = _features(problem, config, x_support, n_rows, mu)
        cells, _ = problem.draw(_DRAWN_ROWS, rng)
        return cls(problem, TargetsOf(problem.label_view, features, problem.number), max(n_rows, 1.0), mu, cells)

    @property
    def prior(self) -> Float64Array:
        """Outputs without any feature: logits of the class shares, or the mean of a scaled number; (n_outputs,)."""
        if self.targets_of.number is not None:
            return np.zeros(1)
        logs = np.log(self.problem.class_weights)
        return logs[1:] - logs[:1] if len(self.targets_of.features.odds) == 1 else logs

    def learned(self, ask: Ask) -> tuple[LabelFunction | NumberLabels, Encoding]:
        """Runs the steps; returns the labels, and the codes in whose cells they are drawn."""
        number, features, prior = self.targets_of.number, self.targets_of.features, self.prior
        settings, mu = settings_of(number is not None), steps_mu(self.mu, number is not None)
        suffix = self.targets_of.view.suffix
        curvature = curvature_of(
            features,
            self.cells[:_CURVATURE_ROWS],
            prior,
            settings.damping_of(self.n_rows, mu),
            of_number=number is not None,
        )

        def ask_step(weights: Weights, step: int) -> Float64Array:
            query = gradient_query(features, weights, prior, settings, step, suffix)
            return ask(query, step_mu(mu, settings))[0]

        weights = fit_weights(features, prior, settings, curvature, ask_step, n_rows=self.n_rows)
        columns, cell_column = weights.columns[:, None], self.problem.encoding.cell_layout.feature_of_cell
        of_number = number is not None
        function = features.label_function(columns, weights.shared, prior, cell_column, of_number=of_number)
        if number is None:
            return function.calibrated(self.cells, self.problem.class_weights), self.problem.encoding
        expected = function.logits(self.cells)[:, 0]
        mu = number_labels.residuals_mu(self.mu)
        edges = number_labels.bin_edges(expected, number_labels.n_bins(self.n_rows, mu))
        query = number_labels.residual_query(edges, weights, prior, suffix)
        variances = number_labels.residual_variances(*ask(query, mu))
        labels = number_labels.number_labels(number, function, self.cells, edges, variances)
        return labels, replace(self.problem.encoding, label=number.codec)


def settings_of(of_number: bool) -> FitSettings:
    """The steps for a label of classes, or for a number."""
    return FitSettings.of_number() if of_number else FitSettings()


def steps_mu(mu: float, of_number: bool) -> float:
    """What all steps together may spend: a number's residuals take a part."""
    return mu * math.sqrt(1.0 - number_labels.RESIDUALS_SHARE) if of_number else mu


def step_mu(mu: float, settings: FitSettings) -> float:
    """Price of one step; all of them together take no more than mu."""
    return mu / math.sqrt(settings.steps) * (1.0 - _ROUNDING)


def scales_of(n_rows: float, class_weights: Float64Array, mu: float, *, of_number: bool) -> maps.Scales:
    """Chooses the features that a table can carry, by the noise and by the rows of its smaller classes.

    The noise on a mean gradient is 1 / (mu * n) of its clip, and what tells a class lies in its own rows. Measured at
    epsilon 1 on ten tables of 700 to 5,000 rows, linear scores reach a mean AUC of .817, cells and kernel .800; with
    1,600 rows of the rarer class it is the other way round (support2 .859 and .861, magic_telescope .887 and .908).

    Args:
      n_rows: DP number of rows.
      class_weights: Share of each class.
      mu: What all steps together may spend.
      of_number: Whether the label is a number: then all its rows speak, as if they were two even classes.
    """
    others = max(len(class_weights) - 1, 1)
    share = 0.5 if of_number else (1.0 - float(class_weights.max())) / others
    return maps.Scales.of_few_rows() if mu * n_rows * share < _FEW else maps.Scales()


def max_others(n_features: int, n_points: int) -> int:
    """Features of a row that are neither odds nor cells, whichever features are chosen."""
    return max(n_points + 1, N_TABLES * n_features + 1)


def _features(
    problem: Problem, config: AdaptConfig, x_support: Float64Array, n_rows: float, mu: float
) -> maps.FeatureMap:
    encoding, mass = problem.encoding, np.concatenate(problem.probabilities)
    scales = scales_of(n_rows, problem.class_weights, mu, of_number=problem.number is not None)
    return maps.feature_map(
        problem.effects,
        mass,
        problem.kernel_input(),
        x_support if scales.kernel else x_support[:0],
        architecture(config),
        layout=encoding.cell_layout,
        diag_reg=config.ridge,
        scales=scales,
        linear=linear_scores(encoding, problem.effects, mass) if scales.linear else None,
    )
