"""What is known of one of several labels before its function is learned: post-processing of what Approximate knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from threea_spark.adapt.label_view import LabelView, view_of
from threea_spark.adapt.problem import Problem
from threea_spark.approximate.odds import cell_log_odds
from threea_spark.arrays import Float64Array
from threea_spark.encode.codec import Encoding
from threea_spark.model.sampler import Drawn

_DRAWS, _DRAWN_ROWS = 10, 20_000
"""Rows that show how a label depends on the columns, as Approximate knows it: so many draws of so many rows."""
_MIN_SHARE = 1e-6


def label_problem(
    base: Problem, drawn: Drawn, label: str, first: str, later: Sequence[str], rng: np.random.Generator
) -> Problem:
    """The problem of one of several labels.

    Args:
      base: What Approximate says of the first label and all columns.
      drawn: Rows as they are drawn so far, with the labels before this one.
      label, first: Names of the label, and of the first one.
      later: Labels that will be drawn after it.
      rng: Public randomness.
    """
    codec = drawn.encoding.label
    if codec is None:
        raise ValueError("no label where there is none")  # the domain refuses it
    view, own = view_of(base.encoding, codec, label, first, later)
    features = [] if view.part is None else view.part.features.tolist()
    probabilities = [base.probabilities[feature] for feature in features]
    if view.feature is None:
        kept = np.concatenate([np.arange(base.encoding.n_cells)[base.encoding.cell_layout.of(f)] for f in features])
        odds, weights = base.odds[:, kept], base.class_weights
    else:
        probabilities += [base.class_weights] if len(own.features) > len(features) else []
        weights = np.maximum(base.probabilities[view.feature], _MIN_SHARE)
        weights = weights / weights.sum()
        odds = _odds(base, view, own, weights, rng)
    return replace(
        base,
        encoding=own,
        odds=odds,
        probabilities=probabilities,
        class_weights=weights,
        sampler=drawn.sampler,
        view=view,
    )


def _odds(
    base: Problem, view: LabelView, own: Encoding, weights: Float64Array, rng: np.random.Generator
) -> Float64Array:
    """Log odds of each class of a further label and each cell of what its function reads, in rows of Approximate."""
    n_classes, n_cells = len(weights), own.n_cells
    counts = np.zeros(n_classes * n_cells)
    for _ in range(_DRAWS):
        cells, first = base.sampler.draw_cells(base.encoding, _DRAWN_ROWS, rng)
        read, classes = view.read_staged(cells, first)
        counts += np.bincount((read + n_cells * classes[:, None]).ravel(), minlength=len(counts))
    rows = min(base.n_rows, float(_DRAWS * _DRAWN_ROWS))
    return cell_log_odds(counts.reshape(n_classes, n_cells) * rows / (_DRAWS * _DRAWN_ROWS), 1.0, weights)
