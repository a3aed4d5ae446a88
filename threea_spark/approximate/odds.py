"""What a cell says about the classes: log odds, and the order of a column's cells that follows."""

from __future__ import annotations

import numpy as np

from threea_spark.arrays import Float64Array, Int64Array

_PSEUDO_STDDEVS = 2.0


def cell_log_odds(class_counts: Float64Array, stddev: float, class_weights: Float64Array) -> Float64Array:
    """How much a cell speaks for each class: log p(class | cell) - log p(class), shrunk where counts are noise.

    Args:
      class_counts: Noisy counts of each class and cell, shape (n_classes, n_cells). RELEASED.
      stddev: Standard deviation of the noise.
      class_weights: Share of each class, shape (n_classes,).

    Returns:
      Shape (n_classes, n_cells).
    """
    prior = class_weights[:, None]
    padded = np.maximum(class_counts, 0.0) + _PSEUDO_STDDEVS * max(stddev, 1.0) * prior
    return np.asarray(np.log(padded / padded.sum(axis=0) / prior), dtype=np.float64)


def cell_order(odds: Float64Array, is_number: bool, n_values: int) -> Int64Array:
    """Orders a column's cells for its latent score: numbers by value with null first, categories by log odds.

    Args:
      odds: Log odds of the column's cells, shape (n_classes, m).
      is_number: Whether cells have an order of their own.
      n_values: Cells of values; a further one is null's.
    """
    m = odds.shape[1]
    if is_number:
        return np.concatenate([np.arange(n_values, m), np.arange(n_values)]).astype(np.int64)
    along = odds[-1] - odds[0] if len(odds) == 2 else odds[np.argmax((odds**2).sum(axis=1))]
    return np.argsort(along, kind="stable").astype(np.int64)
