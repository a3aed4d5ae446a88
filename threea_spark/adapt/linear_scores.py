"""Linear scores: what the label function is fitted to where a table is too small for cells and kernel."""

from __future__ import annotations

import numpy as np

from threea_spark.approximate.correlation import cell_scores
from threea_spark.arrays import Float64Array
from threea_spark.encode.codec import Encoding

N_TABLES = 2
"""A score, and a mark of null: one coordinate each for every column."""
_LARGEST_SCORE = 2.0  # a rare cell would else be most of its row, and be cut with it
_MIN_SPREAD = 1e-6


def linear_scores(encoding: Encoding, outputs: Float64Array, probabilities: Float64Array) -> Float64Array:
    """Standardises what a cell stands for: a number by its place, a category by its odds; marks nulls of numbers.

    Args:
      encoding: The table's codes.
      outputs: Log odds of each output, shape (n_outputs, n_cells). RELEASED.
      probabilities: Pooled probabilities of each feature's cells, shape (n_cells,).

    Returns:
      Scores, cut at _LARGEST_SCORE, and marks, shape (2, n_cells). A null's score is 0.
    """
    found = np.zeros((N_TABLES, encoding.n_cells))
    for place, codec in enumerate(encoding.features):
        own = encoding.cell_layout.of(place)
        mass, last = probabilities[own] / max(float(probabilities[own].sum()), 1e-12), codec.n_value_cells
        if codec.is_category:
            scores = outputs[np.argmax((outputs[:, own] ** 2) @ mass), own]
        else:
            scores = np.zeros(codec.n_cells)
            scores[:last] = cell_scores(mass[:last], np.arange(last))
            found[1, own.start + last : own.stop] = 1.0
        scores = scores - mass @ scores
        spread = max(float(np.sqrt(mass @ scores**2)), _MIN_SPREAD)
        found[0, own] = np.clip(scores / spread, -_LARGEST_SCORE, _LARGEST_SCORE)
        found[0, own.start + last : own.stop] = 0.0
    return found
