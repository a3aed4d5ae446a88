"""A numeric label: what the label function fits, and the distribution that labels are drawn from.

The fit is of squared loss on the scaled value. A drawn row's label is not that value: it has the spread that residuals
have, measured under noise, and over all rows the distribution that Encode measured.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.special import logsumexp, softmax

from threea_spark.adapt.scaled_number import ScaledNumber
from threea_spark.adapt.targets import Targets, Weights
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.model.labels import LabelFunction, NumberLabels, between
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

RESIDUALS_SHARE = 0.05
"""Part of Adapt's mu^2 that measures how far labels lie from the fit."""
_UNIT, _LARGEST_SQUARE = 256, 4
_ROWS_A_BIN = 80.0  # times the noise on a count
_MAX_BINS = 8
_N_KNOTS = 64
_MIN_VARIANCE, _MAX_VARIANCE = 0.01, 1.5
_ROUNDS, _NEWTON_STEPS, _RIDGE = 12, 60, 1e-4
_CONVERGED, _MOST_HALVINGS, _SLOPE_KEPT, _ROUNDING = 1e-9, 30, 1e-4, 1e-12


def n_bins(n_rows: float, mu: float) -> int:
    """In how many ranges of the expected value residuals are measured apart."""
    return int(min(_MAX_BINS, max(1.0, mu * n_rows // _ROWS_A_BIN)))


def residual_bound() -> RowBound:
    """A row adds one and its squared residual, cut, to its range."""
    return RowBound(_UNIT**2 + (_UNIT * _LARGEST_SQUARE) ** 2, 2)


def residual_query(edges: Float64Array, weights: Weights, prior: Float64Array, suffix: str = "") -> SumQuery[Targets]:
    """Counts, then sums of squared residuals, of rows by range of the expected value, shape (2 * (len(edges) + 1),).

    Args:
      edges, weights, prior: The ranges, and the fit.
      suffix: Of the sum's name, where there are several labels.
    """
    bins = len(edges) + 1

    def contribution(targets: Targets) -> Int64Array:
        expected = targets.outputs(weights, prior)[:, 0]
        residual = expected - targets.rows["label"]
        known = ~np.isnan(residual)
        square = np.rint(_UNIT * np.minimum(residual[known] ** 2, _LARGEST_SQUARE)).astype(np.int64)
        place = np.searchsorted(edges, expected[known])
        squares = np.bincount(place, square, bins).astype(np.int64)  # integers below 2^53 add up exactly
        return np.concatenate([_UNIT * np.bincount(place, minlength=bins), squares]).astype(np.int64)

    return SumQuery(
        stage=Stage.ADAPT, name=f"residuals{suffix}", bound=residual_bound(), size=2 * bins, contribution=contribution
    )


def bin_edges(expected: Float64Array, bins: int) -> Float64Array:
    """Cuts the expected values of drawn rows into ranges of equal mass, shape (bins - 1,)."""
    return np.asarray(np.quantile(expected, np.arange(1, bins) / bins), dtype=np.float64)


def residual_variances(sums: Float64Array, stddev: float) -> Float64Array:
    """Variance of the residual in each range, shrunk toward that of all by its noise, shape (n_bins,).

    Args:
      sums: Answer to `residual_query`. RELEASED.
      stddev: Standard deviation of its noise.
    """
    counts, squares = sums.reshape(2, -1) / _UNIT
    noise = stddev / _UNIT
    whole = squares.sum() / max(float(counts.sum()), noise, 1.0)
    found = (np.maximum(squares, 0.0) + 2.0 * noise * whole) / (np.maximum(counts, 0.0) + 2.0 * noise)
    return np.asarray(np.clip(found, _MIN_VARIANCE, _MAX_VARIANCE), dtype=np.float64)


def number_labels(
    number: ScaledNumber, function: LabelFunction, cells: Int64Array, edges: Float64Array, variances: Float64Array
) -> NumberLabels:
    """Makes the distribution of the label at each expected value. Post-processing.

    At a knot it is, of all distributions with the expected value as mean and the residuals' variance, the one nearest
    to a base that all knots share; the base is fitted until drawn rows have the label's own distribution.

    Args:
      number: The scaled label.
      function: Expected value of the label.
      cells: Drawn rows, shape (n, n_features). RELEASED.
      edges, variances: Variance of the residual by range of the expected value.
    """
    expected = function.logits(cells)[:, 0]
    shift = float(expected.mean())  # drawn rows have the label's mean, which is 0
    function, expected = replace(function, offset=function.offset - shift), expected - shift
    knots = np.unique(np.quantile(expected, np.linspace(0.0, 1.0, _N_KNOTS)))
    if len(knots) < 2:
        knots = knots[0] + np.array([-0.5, 0.5])
    wanted = variances[np.searchsorted(edges - shift, knots)]
    below, above, part = between(expected, knots)
    share = np.bincount(below, 1.0 - part, len(knots)) + np.bincount(above, part, len(knots))
    mass = base = number.codec.cell_mass
    distributions = _nearest(base, number.of_cells, knots, wanted)
    for _ in range(_ROUNDS):
        drawn = share @ distributions / share.sum()
        base = base * np.clip(mass / np.maximum(drawn, 1e-12), 0.5, 2.0)
        distributions = _nearest(base / base.sum(), number.of_cells, knots, wanted)
    if number.null_class >= 0:
        null = np.full((len(distributions), 1), number.codec.null_share)
        distributions = np.hstack([(1.0 - null) * distributions, null])
    return NumberLabels(function, knots, distributions)


def _nearest(base: Float64Array, values: Float64Array, means: Float64Array, variances: Float64Array) -> Float64Array:
    """Of distributions over values with given moments those nearest to a base, shape (k, m).

    They are base * exp(a v + b v^2). The moments' log-partition, which is convex, is minimised by Newton's steps, each
    halved until it goes down: whole ones may circle between the two ends of the values. It is slightly damped, so that
    moments out of reach give what comes near. Source: Csiszar 1975, I-divergence geometry; Boyd, Vandenberghe 2004,
    Convex Optimization, section 9.5.
    """
    moments = np.column_stack([values, values**2])
    inside = np.clip(means, values.min(), values.max())
    wanted = np.column_stack([inside, inside**2 + variances])
    logs = np.log(np.maximum(base, 1e-12))

    def loss(tilt: Float64Array) -> Float64Array:
        partition = logsumexp(logs + tilt @ moments.T, axis=1)
        return np.asarray(partition - (tilt * wanted).sum(axis=1) + 0.5 * _RIDGE * (tilt**2).sum(axis=1))

    tilt = np.zeros_like(wanted)
    for _ in range(_NEWTON_STEPS):
        distributions = softmax(logs + tilt @ moments.T, axis=1)
        found = distributions @ moments
        downhill = wanted - found - _RIDGE * tilt
        if np.abs(downhill).max() < _CONVERGED:
            break
        spread = np.einsum("kc,ci,cj->kij", distributions, moments, moments) - found[:, :, None] * found[:, None, :]
        step = np.linalg.solve(spread + _RIDGE * np.eye(2), downhill[:, :, None])[:, :, 0]
        size, before, slope = np.ones((len(tilt), 1)), loss(tilt), (step * downhill).sum(axis=1)
        for _ in range(_MOST_HALVINGS):
            too_far = loss(tilt + size * step) > before - _SLOPE_KEPT * size[:, 0] * slope + _ROUNDING
            if not too_far.any():
                break
            size[too_far] *= 0.5
        tilt = tilt + size * step
    return np.asarray(softmax(logs + tilt @ moments.T, axis=1), dtype=np.float64)


def residuals_mu(mu: float) -> float:
    """Price of the residuals' moments."""
    return mu * math.sqrt(RESIDUALS_SHARE)
