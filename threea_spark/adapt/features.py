"""Features of the label function, all made from released numbers: log odds, cells, and the kernel's Nystroem map.

Features are held as integers on a public grid, so that a row's gradient, feature times residual, is an integer too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from threea_spark.approximate.correlation import cell_scores
from threea_spark.arrays import Float32Array, Float64Array, Int64Array
from threea_spark.encode.cell_layout import CellLayout
from threea_spark.model.labels import KernelInput, LabelFunction
from threea_spark.model.ntk import Architecture, ntk

FEATURE_GRID = 128
_EVEN_SHARE = 0.3
_EXACT_GRID = 2.0**18


@dataclass(frozen=True)
class Scales:
    """Norm of each block of features for a typical row; what is larger learns faster and takes more of the clip.

    `stretched` multiplies the learned logits: where rows are few, damping holds them back. On seven tables of 1,100 to
    4,900 rows real labels had a slope of 1.2 to 2.1 on them, 1.6 on average, and from 6,000 rows on .8 to .9.
    """

    odds: float = 0.35
    cells: float = 0.5
    kernel: float = 0.8
    linear: float = 0.0
    bias: float = 0.3
    stretched: float = 1.0

    @classmethod
    def of_few_rows(cls) -> Scales:
        """Where cells and kernel would drown in noise: a score and a mark of null for each column, and its odds."""
        return cls(odds=0.3, cells=0.0, kernel=0.0, linear=0.8, stretched=1.5)


def kernel_scores(
    odds: Float64Array, probabilities: Float64Array, orders: list[Int64Array], layout: CellLayout
) -> KernelInput:
    """Scales each column's cell scores by how much the column says about the label.

    Args:
      odds: Shape (n_classes, n_cells).
      probabilities: Pooled probabilities of each feature's cells, shape (n_cells,).
      orders: Order of each feature's cells.
      layout: Where each feature's cells lie.
    """
    n_features = len(orders)
    information = layout.totals((odds**2).sum(axis=0) * probabilities) + 1e-3
    weight = (1.0 - _EVEN_SHARE) * information / information.sum() + _EVEN_SHARE / n_features
    scores = np.empty(layout.n_cells)
    for column, order in enumerate(orders):
        own = layout.of(column)
        scores[own] = cell_scores(probabilities[own], order) * np.sqrt(weight[column])
    return KernelInput(on_grid(scores))


@dataclass(frozen=True)
class FeatureMap:
    """Maps cells to features; a linear function of them is a LabelFunction.

    Attributes:
      odds: One table of log odds for each output, shape (n_outputs, n_cells).
      odds_scale: Makes a typical row's odds block have its norm.
      layout: Where each column's cells lie.
      kernel_input, x_support, whitening, architecture: The kernel block; whitening has shape (s, r).
      scales: Norm of each block.
      linear_units: Linear scores of each cell, and marks of null, one coordinate a column in each table, on the feature
        grid, shape (n_tables, n_cells); no table where there are none.
    """

    odds: Float64Array
    odds_scale: float
    layout: CellLayout
    kernel_input: KernelInput
    x_support: Float64Array
    whitening: Float64Array
    architecture: Architecture
    scales: Scales
    linear_units: Int64Array

    @property
    def n_features(self) -> int:
        """Columns of a row."""
        return self.layout.n_features

    @property
    def n_shared(self) -> int:
        """Features that every output weighs by itself: cells, linear scores, kernel, bias."""
        return int(self.odds.shape[1]) + len(self.linear_units) * self.n_features + self.n_dense

    @property
    def n_dense(self) -> int:
        """Features that are not indicators of cells: kernel, bias."""
        return int(self.whitening.shape[1]) + 1

    @property
    def cell_units(self) -> int:
        """Value of a cell's indicator, on the feature grid."""
        return math.ceil(FEATURE_GRID * self.scales.cells / math.sqrt(max(self.n_features, 1)) - 0.5)

    @property
    def cell_scale(self) -> float:
        """Value of a cell's indicator."""
        return self.cell_units / FEATURE_GRID

    def dense(self, cells: Int64Array) -> Float32Array:
        """Kernel and bias of each row, shape (n, n_dense)."""
        out = np.empty((len(cells), self.n_dense), dtype=np.float32)
        if len(self.x_support):
            kernel = on_grid(np.asarray(ntk(self.kernel_input(cells), self.x_support, self.architecture), np.float64))
            out[:, :-1] = self.scales.kernel * (kernel @ self.whitening)
        out[:, -1] = self.scales.bias
        return out

    def column_odds(self, cells: Int64Array, output: int) -> Float32Array:
        """Log odds of each column's cell for one output, scaled, shape (n, n_features)."""
        return np.asarray(self.odds_scale * self.odds[output][cells], dtype=np.float32)

    def label_function(
        self,
        column_weights: Float64Array,
        shared_weights: Float64Array,
        prior: Float64Array,
        cell_column: Int64Array,
        *,
        of_number: bool = False,
    ) -> LabelFunction:
        """Folds learned weights into one number for each cell and one for each inducing point.

        Args:
          column_weights: Weight of each column's log odds, shape (n_features, n_outputs).
          shared_weights: Shape (n_shared, n_outputs).
          prior: Logits without any feature, shape (n_outputs,).
          cell_column: Column of each cell, shape (n_cells,).
          of_number: Whether the only output is a number rather than the second class's logit.
        """
        n_cells, stretched = self.odds.shape[1], 1.0 if of_number else self.scales.stretched
        column_weights, shared_weights = stretched * column_weights, stretched * shared_weights
        additive = self.odds_scale * self.odds.T * column_weights[cell_column]
        additive = additive + self.cell_scale * shared_weights[:n_cells]
        of_scores = shared_weights[n_cells : -self.n_dense].reshape(
            len(self.linear_units), self.n_features, len(self.odds)
        )
        for units, weights in zip(self.linear_units, of_scores, strict=True):
            additive = additive + (units / FEATURE_GRID)[:, None] * weights[cell_column]
        dual = self.scales.kernel * (self.whitening @ shared_weights[-self.n_dense : -1])
        offset = prior + self.scales.bias * shared_weights[-1]
        if self.odds.shape[0] == 1 and not of_number:  # one logit: the first class is the reference
            additive, dual = (np.hstack([np.zeros_like(part), part]) for part in (additive, dual))
            offset = np.concatenate([[0.0], offset])
        return LabelFunction(offset, additive, self.kernel_input, self.x_support, dual, self.architecture)


def feature_map(
    odds: Float64Array,
    probabilities: Float64Array,
    kernel_input: KernelInput,
    x_support: Float64Array,
    architecture: Architecture,
    *,
    layout: CellLayout,
    diag_reg: float,
    scales: Scales,
    linear: Float64Array | None = None,
) -> FeatureMap:
    """Makes the feature map; two classes share one logit, more have one each.

    Args:
      odds: Log odds, shape (n_classes, n_cells), or one row of effects on a number.
      probabilities: Pooled probabilities of each feature's cells, shape (n_cells,).
      kernel_input, x_support, architecture: The kernel block.
      layout: Where each column's cells lie.
      diag_reg: Ridge as a share of the kernel's mean trace.
      scales: Norm of each block.
      linear: Linear scores of each cell and marks of null, of about unit size, shape (n_tables, n_cells).
    """
    x_support = on_grid(x_support)  # so that a row's features never depend on the rows beside it in a matrix product
    outputs = (odds[1] - odds[0])[None, :] if len(odds) == 2 else odds
    typical = float(np.sqrt((outputs**2 * probabilities).sum(axis=1).max())) if outputs.size else 1.0
    whitening = np.zeros((0, 0))
    if len(x_support):
        whitening = _whitening(np.asarray(ntk(x_support, x_support, architecture), np.float64), diag_reg)
    return FeatureMap(
        odds=outputs,
        odds_scale=scales.odds / max(typical, 1e-6),
        layout=layout,
        kernel_input=kernel_input,
        x_support=x_support,
        whitening=whitening,
        architecture=architecture,
        scales=scales,
        linear_units=_linear_units(np.zeros((0, outputs.shape[1])) if linear is None else linear, scales, layout),
    )


def naive_labels(odds: Float64Array, class_weights: Float64Array) -> LabelFunction:
    """The posterior of independent columns: what labels joint components where nothing is adapted.

    Args:
      odds: Log odds, shape (n_classes, n_cells). RELEASED.
      class_weights: Shape (n_classes,).
    """
    nothing = np.zeros((0, len(class_weights)))
    return LabelFunction(
        np.log(class_weights), odds.T.copy(), KernelInput(np.zeros(odds.shape[1])), nothing, nothing, Architecture()
    )


def _linear_units(linear: Float64Array, scales: Scales, layout: CellLayout) -> Int64Array:
    return np.rint(FEATURE_GRID * scales.linear / math.sqrt(max(layout.n_features, 1)) * linear).astype(np.int64)


def _whitening(k_ss: Float64Array, diag_reg: float) -> Float64Array:
    """(K_ss + ridge)^-1/2, scaled so that a support point's feature has about unit norm.

    Source: Williams and Seeger 2000, Using the Nystroem method to speed up kernel machines.
    """
    trace = float(np.trace(k_ss)) / len(k_ss)
    values, vectors = np.linalg.eigh(k_ss + diag_reg * trace * np.eye(len(k_ss)))
    return on_grid((vectors / np.sqrt(np.maximum(values, 1e-12) * trace)) @ vectors.T)


def on_grid(values: Float64Array) -> Float64Array:
    """Rounds to multiples of 2^-18: float64 adds products of two such numbers without rounding, in any order."""
    return np.asarray(np.rint(values * _EXACT_GRID) / _EXACT_GRID, dtype=np.float64)
