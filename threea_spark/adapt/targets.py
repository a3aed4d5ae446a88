"""Rows that the label function must fit: the exact integer sum of their clipped gradients.

A row's gradient is feature times residual: both integers on public grids, the residual cut so that their product has a
bounded L2 norm. Clipping as Abadi et al. 2016, arXiv 1607.00133.

Products of matrices run in float32, the fastest there is, but on integers so small that every sum of products stays
below 2^24: float32 holds them exactly, in whatever order they are added. Larger integers are cut into digits first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array
from scipy.special import expit, softmax

from threea_spark.adapt.exact_products import DIGIT_ROWS, SplitWeights, digits, joined_digits
from threea_spark.adapt.feature_rows import FeatureRows, IntegerFeatures, feature_rows
from threea_spark.adapt.features import FEATURE_GRID, FeatureMap
from threea_spark.arrays import Float32Array, Float64Array, Int64Array

RESIDUAL_GRID = 1024
_CHUNK_VALUES = 1 << 18  # rows times outputs in memory at a time: 2 MB an array
_WIDE_VALUES = 1 << 20  # rows times columns: 8 MB an array
_TILE_VALUES = 1 << 17  # rows times columns times outputs: 1 MB an array
_WEIGHT_GRID = 2.0**20  # sums of features times weights below 2^33 are exact


@dataclass(frozen=True)
class Weights:
    """Weights of a linear function of the features.

    Attributes:
      columns: Weight of each column's log odds, shared by all outputs, shape (n_features,).
      shared: Shape (n_shared, n_outputs): of cells, then of linear scores, then of dense features.
    """

    columns: Float64Array
    shared: Float64Array


@dataclass
class _Chunk:
    """A few rows, in the types that products are fast in; filled again and again.

    Attributes:
      rows: Their records.
      cells: Their indicators of cells, shape (n, n_cells).
      of_cells: The same, transposed.
      dense: Their dense features, shape (n, n_dense).
    """

    rows: FeatureRows
    cells: csr_array
    of_cells: csc_array
    dense: Float32Array

    @classmethod
    def empty(cls, n_rows: int, features: IntegerFeatures) -> _Chunk:
        """Room for so many rows."""
        n_columns = features.layout.n_features
        starts = np.arange(n_rows + 1, dtype=np.int32) * n_columns
        places, shape = np.zeros(n_rows * n_columns, dtype=np.int32), (n_rows, features.layout.n_cells)
        cells = csr_array((np.ones(n_rows * n_columns), places, starts), shape=shape)
        dense = np.empty((n_rows, features.n_dense), dtype=np.float32)
        return cls(np.zeros(0, features.record), cells, cells.T, dense)

    def fill(self, rows: FeatureRows) -> None:
        """Takes other rows, as many as there is room for."""
        self.rows = rows
        self.dense[:] = rows["dense"]
        self.cells.indices.reshape(rows["cells"].shape)[:] = rows["cells"]  # which the transposed shares


class Targets:
    """Rows the label function must fit, as integer features. PRIVATE."""

    def __init__(self, features: IntegerFeatures, rows: FeatureRows, *, of_number: bool = False) -> None:
        """Takes rows as they are.

        Args:
          features: Of the label function. RELEASED.
          rows: Their records.
          of_number: Whether the label is a number, NaN for null, rather than a class.
        """
        self.features, self.rows, self.of_number = features, rows, of_number

    @classmethod
    def of(
        cls, features: FeatureMap, cells: Int64Array, classes: Int64Array, values: Float64Array | None = None
    ) -> Targets:
        """Makes the features of rows.

        Args:
          features: Maps cells to features. RELEASED.
          cells: Shape (n, n_features).
          classes: Shape (n,).
          values: Scaled values of a numeric label, NaN for null, shape (n,); None where the label is a class.
        """
        integers = IntegerFeatures.of(features)
        rows = feature_rows(features, integers, cells, classes if values is None else values)
        return cls(integers, rows, of_number=values is not None)

    def __len__(self) -> int:
        return len(self.rows)

    def gradient_sums(self, weights: Weights, prior: Float64Array, bound: int) -> Int64Array:
        """Exact sum over all rows of the clipped integer gradients, shape (n_features + n_shared * n_outputs,)."""
        features, folded = self.features, _Folded.of(self.features, weights)
        by_cell = np.zeros((features.layout.n_cells, features.n_outputs))
        by_dense = np.zeros((features.n_dense, features.n_outputs))
        for chunk in self._chunks():
            units = self._clipped(chunk, self._residual(chunk, folded, prior), bound)
            by_cell += chunk.of_cells @ units
            parts = digits(units)
            by_dense += joined_digits(chunk.dense.T @ np.hstack(parts), len(parts))
        counts, layout = np.rint(by_cell).astype(np.int64), features.layout
        columns = [layout.of(column) for column in range(layout.n_features)]
        odds = features.odds.T.astype(np.int64)
        by_column = [int((odds[own] * counts[own]).sum()) for own in columns]  # a cell has one odds
        by_score = [(units[own, None] * counts[own]).sum(axis=0) for units in features.linear_units for own in columns]
        scores = np.array(by_score, dtype=np.int64).reshape(-1, features.n_outputs)
        shared = np.vstack([counts * features.cell_units, scores, np.rint(by_dense).astype(np.int64)])
        return np.concatenate([np.array(by_column, dtype=np.int64), shared.ravel()])

    def outputs(self, weights: Weights, prior: Float64Array) -> Float64Array:
        """The linear function of each row, shape (n, n_outputs).

        Weights are rounded to public binary grids, so that integer feature times weight adds up exactly: a row's
        residual cannot depend, not even in its last bit, on its place in the batch.
        """
        folded = _Folded.of(self.features, weights)
        parts = [self._outputs(chunk, folded, prior) for chunk in self._chunks()]
        return np.concatenate([np.zeros((0, self.features.n_outputs)), *parts])

    def _chunks(self) -> Iterator[_Chunk]:
        """Cuts the rows up; a chunk is overwritten by the next one."""
        layout = self.features.layout
        values = _CHUNK_VALUES // max(self.features.n_outputs, 1), _WIDE_VALUES // max(layout.n_features, 1)
        size = max(1, min(DIGIT_ROWS, *values))
        chunk = None
        for start in range(0, len(self), size):
            rows = self.rows[start : start + size]
            if chunk is None or len(rows) < len(chunk.dense):
                chunk = _Chunk.empty(len(rows), self.features)
            chunk.fill(rows)
            yield chunk

    def _outputs(self, chunk: _Chunk, folded: _Folded, prior: Float64Array) -> Float64Array:
        logits = folded.dense.times(chunk.dense) + chunk.cells @ folded.cells
        return np.asarray(prior + logits / FEATURE_GRID, dtype=np.float64)

    def _residual(self, chunk: _Chunk, folded: _Folded, prior: Float64Array) -> Float64Array:
        """Probability, or value, less the label of each row and output; nothing where a number is null."""
        outputs, labels = self._outputs(chunk, folded, prior), chunk.rows["label"]
        if self.of_number:
            return np.asarray(np.nan_to_num(outputs - labels[:, None]), dtype=np.float64)
        if self.features.n_outputs == 1:
            return np.asarray(expit(outputs) - (labels == 1.0)[:, None], dtype=np.float64)
        return np.asarray(softmax(outputs, axis=1) - (labels[:, None] == np.arange(len(prior))), dtype=np.float64)

    def _clipped(self, chunk: _Chunk, residual: Float64Array, bound: int) -> Float64Array:
        """Integer residuals whose product with the row's integer features has a norm of at most `bound`.

        The norm is computed from integers that float64 holds exactly; what rounding leaves above is set to zero.
        """
        length = self._product_norm(chunk.rows, residual)
        factor = np.minimum(1.0, bound / RESIDUAL_GRID / np.maximum(length, 1e-12))
        units = np.trunc(residual * factor[:, None] * RESIDUAL_GRID)
        limit = bound * (1.0 - 2.0**-40)
        over = np.flatnonzero(self._product_norm(chunk.rows, units) > limit)
        if len(over):
            shrunk = np.trunc(units[over] * (1.0 - 2.0**-6))
            shrunk[self._product_norm(chunk.rows[over], shrunk) > limit] = 0.0
            units[over] = shrunk
        return units

    def _product_norm(self, rows: FeatureRows, residual: Float64Array) -> Float64Array:
        """Norm of feature times residual: |shared|^2 |r|^2 + |sum over outputs of odds r|^2, under the root."""
        squares = rows["square"] * np.einsum("nc,nc->n", residual, residual)  # of one output, odds are among them
        if self.features.n_outputs > 1:
            mixed = self._mixed_odds(rows["cells"], residual)
            squares = squares + np.einsum("nf,nf->n", mixed, mixed)
        return np.asarray(np.sqrt(squares), dtype=np.float64)

    def _mixed_odds(self, cells: NDArray[np.unsignedinteger], residual: Float64Array) -> Float64Array:
        """Sum over outputs of log odds times residual, shape (n, n_features), of cells of that shape."""
        mixed = np.empty(cells.shape)
        size = max(1, _TILE_VALUES // max(residual.shape[1] * cells.shape[1], 1))
        for start in range(0, len(cells), size):
            own = slice(start, start + size)
            odds = np.take(self.features.odds_of_cell, cells[own], axis=0)
            np.einsum("nfc,nc->nf", odds, residual[own], out=mixed[own])
        return mixed


@dataclass(frozen=True)
class _Folded:
    """Weights as rows meet them.

    Attributes:
      cells: What a cell adds to each output, shape (n_cells, n_outputs).
      dense: Weights of the dense features.
    """

    cells: Float64Array
    dense: SplitWeights

    @classmethod
    def of(cls, features: IntegerFeatures, weights: Weights) -> _Folded:
        """Puts together what belongs to one cell."""
        layout, tables = features.layout, features.linear_units
        columns, shared = _on_grid(weights.columns), _on_grid(weights.shared)
        last = layout.n_cells + len(tables) * layout.n_features
        of_score = shared[layout.n_cells : last].reshape(len(tables), layout.n_features, features.n_outputs)
        cells = shared[: layout.n_cells] * features.cell_units
        cells = cells + columns[layout.feature_of_cell, None] * features.odds.T
        for units, own in zip(tables, of_score, strict=True):
            cells = cells + units[:, None] * own[layout.feature_of_cell]
        return cls(cells, SplitWeights.of(weights.shared[last:]))


def _on_grid(weights: Float64Array) -> Float64Array:
    return np.asarray(np.rint(weights * _WEIGHT_GRID) / _WEIGHT_GRID, dtype=np.float64)
