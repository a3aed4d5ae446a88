"""What each row is to the label function, in integers: made once of its cells, kept, and read by every step.

A row is one record of fixed length: records lie end to end in a block, and a batch of blocks is read as one array of
them, without a copy. A record is a function of its own row alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.adapt.features import FEATURE_GRID, FeatureMap
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.cell_layout import CellLayout
from threea_spark.engine.packed import BLOCK, N_ROWS

FeatureRows = NDArray[np.void]
"""Records of `IntegerFeatures.record`, shape (n,). PRIVATE."""
LARGEST_DENSE = 127
"""Dense features are cut at it: a point's own are at most `Scales.kernel` times FEATURE_GRID long."""
_ROWS_AT_A_TIME = 1024  # whose kernel stays in a core's own cache
_BLOCK_BYTES = 1 << 15  # Spark holds thousands of cells at a time, and counts them, not their bytes


@dataclass(frozen=True)
class IntegerFeatures:
    """The features of a label function as integers on FEATURE_GRID; small enough to be sent with every task.

    Attributes:
      odds: Log odds of each output and cell, integers, shape (n_outputs, n_cells).
      layout: Where each column's cells lie.
      cell_units: Value of a cell's indicator.
      linear_units: Linear scores and marks of null, shape (n_tables, n_cells).
      n_dense: Features that are not indicators of cells.
    """

    odds: Float64Array
    layout: CellLayout
    cell_units: int
    linear_units: Int64Array
    n_dense: int

    @classmethod
    def of(cls, features: FeatureMap) -> IntegerFeatures:
        """Rounds the tables of released features."""
        every = np.arange(features.layout.n_cells)
        odds = [np.rint(features.column_odds(every, output) * FEATURE_GRID) for output in range(len(features.odds))]
        table = np.array(odds, dtype=np.float64).reshape(features.odds.shape)
        return cls(table, features.layout, features.cell_units, features.linear_units, features.n_dense)

    @property
    def n_outputs(self) -> int:
        """Outputs of the label function."""
        return len(self.odds)

    @cached_property
    def record(self) -> np.dtype[Any]:
        """What is kept of a row.

        `square` is the squared norm of what its residual multiplies: of the shared features, and of a single output's
        odds. `label` is its class, or its scaled value.
        """
        cells = np.dtype("<u2" if self.layout.n_cells <= 1 << 16 else "<u4")
        shapes = [("cells", cells, (self.layout.n_features,)), ("dense", "i1", (self.n_dense,))]
        return np.dtype([("square", "<f8"), ("label", "<f8"), *shapes], align=True)

    @cached_property
    def odds_of_cell(self) -> Float64Array:
        """Log odds by cell, shape (n_cells, n_outputs)."""
        return np.ascontiguousarray(self.odds.T)

    @cached_property
    def square_of_cell(self) -> Float64Array:
        """What a cell adds to its row's `square`, shape (n_cells,)."""
        squares = self.cell_units**2 + (self.linear_units.astype(np.float64) ** 2).sum(axis=0)
        return np.asarray(squares + self.odds[0] ** 2 if self.n_outputs == 1 else squares, dtype=np.float64)


def feature_rows(
    features: FeatureMap, integers: IntegerFeatures, cells: Int64Array, labels: NDArray[np.generic]
) -> FeatureRows:
    """Makes the records of rows. PRIVATE.

    Args:
      features: Maps cells to features. RELEASED.
      integers: The same, rounded.
      cells: Counted through all columns, shape (n, n_features).
      labels: Class of each row, or its scaled value, NaN for null; shape (n,).
    """
    rows = np.zeros(len(cells), dtype=integers.record)
    rows["cells"], rows["label"] = cells, labels
    for start in range(0, len(cells), _ROWS_AT_A_TIME):
        own = slice(start, start + _ROWS_AT_A_TIME)
        dense = np.clip(np.rint(features.dense(cells[own]) * FEATURE_GRID), -LARGEST_DENSE, LARGEST_DENSE)
        rows["dense"][own] = dense
        rows["square"][own] = np.einsum("nf,nf->n", dense, dense, dtype=np.float64)
    for column in cells.T:
        rows["square"] += integers.square_of_cell[column]
    return rows


def blocks_of(rows: FeatureRows) -> pa.RecordBatch:
    """Writes records as one batch of blocks (engine/packed.py: SCHEMA). PRIVATE."""
    size, per_block = rows.dtype.itemsize, max(1, _BLOCK_BYTES // rows.dtype.itemsize)
    ends = np.append(np.arange(0, len(rows), per_block), len(rows)).astype(np.int32)
    buffers = [None, pa.py_buffer(ends * np.int32(size)), pa.py_buffer(rows.tobytes())]
    blocks = pa.Array.from_buffers(pa.binary(), len(ends) - 1, buffers)
    return pa.RecordBatch.from_arrays([pa.array(np.diff(ends), pa.int32()), blocks], [N_ROWS, BLOCK])


def read_blocks(batches: Iterator[pa.RecordBatch], record: np.dtype[Any]) -> Iterator[FeatureRows]:
    """Reads blocks back, a batch at a time, as views of Arrow's memory. PRIVATE."""
    for batch in batches:
        blocks = batch.column(BLOCK)
        if len(blocks):
            _, ends, held = blocks.buffers()
            own = np.frombuffer(ends, np.int32)[blocks.offset : blocks.offset + len(blocks) + 1]
            yield np.frombuffer(held, record, int(own[-1] - own[0]) // record.itemsize, int(own[0]))
