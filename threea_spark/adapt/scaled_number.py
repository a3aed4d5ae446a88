"""A numeric label as a number of mean 0 and variance 1, by its released distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from threea_spark.adapt.features import kernel_scores, on_grid
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.cell_layout import CellLayout
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import SCORE_GRID, SCORE_LIMIT
from threea_spark.encode.numbers import NumberCodec
from threea_spark.model.labels import KernelInput

DRAWN_CELLS = 64
"""Cells that a numeric label is drawn in: each is a value or a short range of them."""
_N_EVEN = 4096
_REST = 0.5
_LARGEST_SCORE = int(SCORE_LIMIT * SCORE_GRID)


@dataclass(frozen=True)
class ScaledNumber:
    """The label as a number of mean 0 and variance 1. RELEASED.

    Attributes:
      codec: Its codec, in the cells that it is drawn in.
      null_class: Class of rows whose label is null; -1 where there are none.
      by_score: Scaled value of each score on the grid, shape (2 * _LARGEST_SCORE + 1,).
      of_classes: Mean scaled value of each class that is not null's.
      of_cells: That of each cell that labels are drawn in.
    """

    codec: NumberCodec
    null_class: int
    by_score: Float64Array
    of_classes: Float64Array
    of_cells: Float64Array

    @classmethod
    def of(cls, label: NumberCodec, *, drawn_in: NumberCodec | None = None) -> ScaledNumber:
        """Scales a label by its DP distribution.

        Args:
          label: Its codec.
          drawn_in: Its codec in the cells that it is drawn in; None cuts finer ones.
        """
        every = label.value(ndtri((np.arange(_N_EVEN) + 0.5) / _N_EVEN))
        middle, spread = float(every.mean()), max(float(every.std()), 1e-9)
        fine = label.recut(DRAWN_CELLS) if drawn_in is None else drawn_in

        def scaled(values: Float64Array) -> Float64Array:
            return np.asarray((values - middle) / spread, dtype=np.float64)

        scores = np.arange(-_LARGEST_SCORE, _LARGEST_SCORE + 1) / SCORE_GRID
        null_class = label.n_value_cells if label.nullable else -1
        return cls(fine, null_class, scaled(label.value(scores)), scaled(label.cell_means), scaled(fine.cell_means))

    def values(self, classes: Int64Array, scores: Int64Array) -> Float64Array:
        """Scaled value of each row, NaN for null, shape (n,), from its class and its score on the grid. PRIVATE."""
        return np.where(classes == self.null_class, np.nan, self.by_score[scores + _LARGEST_SCORE])

    def of_drawn(self, classes: Int64Array) -> Float64Array:
        """Scaled value of drawn classes, NaN for null, shape (n,)."""
        return np.append(self.of_classes, np.nan)[np.minimum(classes, len(self.of_classes))]

    def effects(
        self, odds: Float64Array, weights: Float64Array, encoding: Encoding, mass: Float64Array
    ) -> Float64Array:
        """Expected value in each cell less that of its column, shape (1, n_cells).

        Args:
          odds: Log odds of each class and cell, shape (n_classes, n_cells).
          weights: Shape (n_classes,).
          encoding: The table's codes.
          mass: Pooled probabilities of each feature's cells, shape (n_cells,).
        """
        held = len(self.of_classes)
        posterior = weights[:held, None] * np.exp(odds[:held])
        expected = (posterior * self.of_classes[:, None]).sum(axis=0) / posterior.sum(axis=0)
        layout = encoding.cell_layout
        middle = layout.totals(expected * mass) / np.maximum(layout.totals(mass), 1e-12)
        return np.asarray((expected - middle[layout.feature_of_cell])[None, :], dtype=np.float64)


def scores_of_number(
    effects: Float64Array, probabilities: Float64Array, orders: list[Int64Array], layout: CellLayout
) -> KernelInput:
    """Scales each column's place, and by itself the part of its effect on a number that the place does not explain.

    A column like an hour of the day tells much that rises and falls with its value: two scores let rows of like effect
    lie near each other. Measured: R2 of bike_sharing_hour .72 -> .75, of california_housing .714 -> .711.

    Args:
      effects: Expected label in each cell less that of its column, shape (1, n_cells).
      probabilities, orders, layout: As in `kernel_scores`.
    """
    place = kernel_scores(effects, probabilities, orders, layout).scores
    rest = np.zeros_like(place)
    for column in range(layout.n_features):
        own = layout.of(column)
        mass = probabilities[own] / max(float(probabilities[own].sum()), 1e-12)
        score, effect = place[own] - mass @ place[own], effects[0, own] - mass @ effects[0, own]
        spread, told = float(mass @ score**2), float(mass @ effect**2)
        left = effect - score * float(mass @ (score * effect)) / max(spread, 1e-12)
        rest[own] = left * np.sqrt(_REST * spread / max(told, 1e-12))
    return KernelInput(on_grid(np.column_stack([place, rest])))
