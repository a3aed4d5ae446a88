"""Rows that the label function must fit: the exact integer sum of their clipped gradients.

A row's gradient is feature times residual: both integers on public grids, the residual cut so that their product has a
bounded L2 norm. Clipping as Abadi et al. 2016, arXiv 1607.00133.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax

from threea_spark.adapt.features import FEATURE_GRID, FeatureMap
from threea_spark.arrays import Float32Array, Float64Array, Int64Array

RESIDUAL_GRID = 1024
_CHUNK_ROWS = 8192
_CHUNK_VALUES = 1 << 18  # rows times outputs in memory at a time: 2 MB an array
_WIDE_VALUES = 1 << 22  # rows times columns: 32 MB an array, since few rows at a time make many columns slow
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


class Targets:
    """Rows the label function must fit, as integer features. PRIVATE.

    A row's indicators of cells are kept as the cells themselves. Log odds are one table of integers, looked up for a
    few rows at a time: what is held does not grow with rows times outputs. The dense features (kernel, bias) are
    float32 that hold integers: products are summed over so few rows at a time that float32 stays exact.
    """

    def __init__(
        self, features: FeatureMap, cells: Int64Array, classes: Int64Array, values: Float64Array | None = None
    ) -> None:
        """Looks up the features.

        Args:
          features: Maps cells to features. RELEASED.
          cells: Shape (n, n_features).
          classes: Shape (n,).
          values: Scaled values of a numeric label, NaN for null, shape (n,); None where the label is a class.
        """
        self.features = features
        self.cells = np.asfortranarray(cells)
        self.n_outputs, n_cells = features.odds.shape
        self.classes, self.values = classes, values
        every = np.arange(n_cells)
        odds = [np.rint(features.column_odds(every, output) * FEATURE_GRID) for output in range(self.n_outputs)]
        self.odds = np.array(odds, dtype=np.float64).reshape(self.n_outputs, n_cells)
        self._row_odds = self._odds_of_rows() if self.n_outputs == 1 else None
        starts, stops = self.cells.min(axis=0, initial=n_cells), self.cells.max(axis=0, initial=-1) + 1
        self._columns = [slice(start, stop) for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
        self.dense = np.empty((len(cells), features.n_dense), dtype=np.float32)
        for own in _slices(len(cells), _CHUNK_ROWS):
            self.dense[own] = np.rint(features.dense(cells[own]) * FEATURE_GRID)
        self.shared_square = np.einsum("nf,nf->n", self.dense, self.dense, dtype=np.float64)
        self.shared_square += cells.shape[1] * features.cell_units**2
        of_cell = (features.linear_units.astype(np.float64) ** 2).sum(axis=0)
        for column in range(cells.shape[1]):
            self.shared_square += of_cell[self.cells[:, column]]
        self._largest = float(np.abs(self.dense).max(initial=1.0))

    def __len__(self) -> int:
        return len(self.cells)

    def _odds_of_rows(self) -> Float32Array:
        """Log odds of the only output, looked up once for all steps, shape (n, n_features)."""
        return np.ascontiguousarray(self.odds[0].astype(np.float32)[self.cells])

    def gradient_sums(self, weights: Weights, prior: Float64Array, bound: int) -> Int64Array:
        """Exact sum over all rows of the clipped integer gradients, shape (n_features + n_shared * n_outputs,)."""
        by_cell = np.zeros((self.odds.shape[1], self.n_outputs))
        by_dense = np.zeros((self.dense.shape[1], self.n_outputs))
        values = _CHUNK_VALUES // max(self.n_outputs, 1), _WIDE_VALUES // max(self.cells.shape[1], 1)
        for own in _slices(len(self), max(1, min(_CHUNK_ROWS, *values))):
            units = self._clipped(own, self._residual(own, weights, prior), bound)
            self._add_by_cell(by_cell, own, units)
            by_dense += self._summed(self.dense[own], units)
        odds, counts = self.odds.T.astype(np.int64), np.rint(by_cell).astype(np.int64)
        by_column = [int((odds[column] * counts[column]).sum()) for column in self._columns]  # a cell has one odds
        by_score = [
            (units[column, None] * counts[column]).sum(axis=0)
            for units in self.features.linear_units
            for column in self._columns
        ]
        scores = np.array(by_score, dtype=np.int64).reshape(-1, self.n_outputs)
        shared = np.vstack([counts * self.features.cell_units, scores, np.rint(by_dense).astype(np.int64)])
        return np.concatenate([np.array(by_column, dtype=np.int64), shared.ravel()])

    def _add_by_cell(self, by_cell: Float64Array, own: slice, units: Float64Array) -> None:
        """Adds each row's residuals to its cells; with many outputs nearly all are zero."""
        rows, outputs = np.nonzero(units)
        held = units[rows, outputs]
        for place, column in enumerate(self._columns):
            cells = (self.cells[own, place] - column.start)[rows] * self.n_outputs + outputs
            size = (column.stop - column.start) * self.n_outputs
            by_cell[column] += np.bincount(cells, held, size).reshape(-1, self.n_outputs)

    def _summed(self, features: Float32Array, units: Float64Array) -> Float64Array:
        """Sums feature times residual, exactly: float32 within few rows, float64 over them."""
        whole, largest = units.astype(np.float32), self._largest * float(np.abs(units).max(initial=1.0))
        exact_rows = int(2.0**24 // largest)
        if not exact_rows:
            return np.asarray(features.T.astype(np.float64) @ units, dtype=np.float64)
        parts = [features[own].T @ whole[own] for own in _slices(len(units), exact_rows)]
        return np.asarray(np.sum(parts, axis=0, dtype=np.float64))

    def outputs(self, own: slice, weights: Weights, prior: Float64Array) -> Float64Array:
        """The linear function of each row, shape (n, n_outputs).

        Weights are rounded to a public binary grid, so that integer feature times weight adds up exactly in float64:
        a row's residual cannot depend, not even in its last bit, on its place in the batch.
        """
        n_cells, n_columns, tables = self.odds.shape[1], self.cells.shape[1], self.features.linear_units
        columns, shared = _on_grid(weights.columns), _on_grid(weights.shared)
        of_cell, of_dense = shared[:n_cells] * self.features.cell_units, shared[n_cells + len(tables) * n_columns :]
        of_score = shared[n_cells : n_cells + len(tables) * n_columns].reshape(len(tables), n_columns, self.n_outputs)
        logits = self.dense[own].astype(np.float64) @ of_dense
        for place, column in enumerate(self._columns):
            of_column = of_cell[column] + columns[place] * self.odds.T[column]
            for units, of_table in zip(tables, of_score, strict=True):
                of_column = of_column + units[column, None] * of_table[place]
            logits += np.take(of_column, self.cells[own, place] - column.start, axis=0)
        return np.asarray(prior + logits / FEATURE_GRID, dtype=np.float64)

    def _residual(self, own: slice, weights: Weights, prior: Float64Array) -> Float64Array:
        """Probability, or value, less the label of each row and output; nothing where a number is null."""
        outputs, classes = self.outputs(own, weights, prior), self.classes[own]
        if self.values is not None:
            return np.asarray(np.nan_to_num(outputs - self.values[own, None]), dtype=np.float64)
        if self.n_outputs == 1:
            return np.asarray(expit(outputs) - (classes == 1)[:, None], dtype=np.float64)
        return np.asarray(softmax(outputs, axis=1) - np.eye(self.n_outputs)[classes], dtype=np.float64)

    def _clipped(self, own: slice, residual: Float64Array, bound: int) -> Float64Array:
        """Integer residuals whose product with the row's integer features has a norm of at most `bound`.

        The norm is computed from integers that float64 holds exactly; what rounding leaves above is set to zero.
        """
        length = self._product_norm(own, residual)
        factor = np.minimum(1.0, bound / RESIDUAL_GRID / np.maximum(length, 1e-12))
        units = np.trunc(residual * factor[:, None] * RESIDUAL_GRID)
        limit = bound * (1.0 - 2.0**-40)
        over = np.flatnonzero(self._product_norm(own, units) > limit)
        if len(over):
            shrunk = np.trunc(units[over] * (1.0 - 2.0**-6))
            shrunk[self._product_norm(own.start + over, shrunk) > limit] = 0.0
            units[over] = shrunk
        return units

    def _product_norm(self, own: slice | Int64Array, residual: Float64Array) -> Float64Array:
        """Norm of feature times residual: |shared|^2 |r|^2 + |sum over outputs of odds r|^2, under the root."""
        if self._row_odds is not None:
            mixed = self._row_odds[own] * residual
        else:
            mixed = self._mixed_odds(np.ascontiguousarray(self.cells[own].T), residual)
        squares = self.shared_square[own] * np.einsum("nc,nc->n", residual, residual)
        return np.asarray(np.sqrt(squares + np.einsum("nf,nf->n", mixed, mixed)), dtype=np.float64)

    def _mixed_odds(self, cells: Int64Array, residual: Float64Array) -> Float64Array:
        """Sum over outputs of log odds times residual, shape (n, n_features), of cells of shape (n_features, n)."""
        mixed = np.zeros(cells.shape)
        for odds, own in zip(self.odds, np.ascontiguousarray(residual.T), strict=True):
            held = np.flatnonzero(own)  # integers are mostly zero where there are many outputs
            if 2 * len(held) > len(own):
                mixed += np.take(odds, cells) * own
            elif len(held):
                mixed[:, held] += np.take(odds, cells[:, held]) * own[held]
        return np.ascontiguousarray(mixed.T)


def _on_grid(weights: Float64Array) -> Float64Array:
    return np.asarray(np.rint(weights * _WEIGHT_GRID) / _WEIGHT_GRID, dtype=np.float64)


def _slices(n_rows: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))
