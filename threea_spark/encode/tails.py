"""The tail of a noisy distribution: a generalized Pareto distribution fitted to the noisy counts of its nodes.

Beyond a high quantile most distributions are close to a generalized Pareto one, with a light, exponential or heavy end.
Source: Pickands 1975, Statistical inference using extreme order statistics, Annals of Statistics 3(1). The noise is
normal and its size is known, so least squares is maximum likelihood. Everything here is post-processing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array

_SHAPES = np.array([-1.0, -0.5, -0.25, 0.0, 0.15, 0.3, 0.45, 0.6])
_USUAL_SHAPE, _SHAPE_SPREAD = 0.3, 0.6
_LOG_SCALE_SPREAD = 1.0
_N_SCALES, _N_FINE_SCALES = 64, 9
_SHORTEST_SCALE, _LONGEST_SCALE = 1e-9, 4.0  # in distances of the bound
_SMALLEST, _SMALLEST_EXCESS = 1e-300, 1e-6


@dataclass(frozen=True)
class Reading:
    """A noisy count of the rows in some neighbouring nodes of a tail. RELEASED.

    Attributes:
      first, end: The nodes from `first` up to `end`.
      rows: Noisy count.
      variance: Of its noise.
    """

    first: int
    end: int
    rows: float
    variance: float


@dataclass(frozen=True)
class TailReadings:
    """What is known of a tail, its nodes in order outward. RELEASED.

    Attributes:
      distances: Where nodes begin and the last one ends, from 0, the beginning of the tail, shape (k + 1,).
      rows: Independent noisy counts, shape (k,).
      variances: Of their noise, shape (k,); infinite for a node that says nothing.
      sums: Further readings, of several nodes each.
      density: Rows per unit of distance just before the tail begins.
    """

    distances: Float64Array
    rows: Float64Array
    variances: Float64Array
    sums: Sequence[Reading]
    density: float

    def without(self, nodes: BoolArray) -> TailReadings:
        """The same tail, but for nodes that are not part of it, such as a code far beyond all values."""
        sums = [own for own in self.sums if not nodes[own.first : own.end].any()]
        return replace(self, variances=np.where(nodes, np.inf, self.variances), sums=sums)


@dataclass(frozen=True)
class Tail:
    """A generalized Pareto distribution, cut off at a bound.

    Attributes:
      rows: How many rows it holds.
      shape: Below 0 for a light end, 0 for an exponential one, above 0 for a heavy one.
      scale: In units of distance.
      bound: Distance of the bound.
    """

    rows: float
    shape: float
    scale: float
    bound: float

    @property
    def end(self) -> float:
        """Distance beyond which less than one row is expected, or the bound: a sample reaches no farther."""
        rows = max(self.rows, 1.0 + _SMALLEST_EXCESS)
        reach = np.log(rows) if self.shape == 0.0 else np.expm1(self.shape * np.log(rows)) / self.shape
        return min(self.bound, self.scale * float(reach))

    def rows_between(self, distances: Float64Array) -> Float64Array:
        """Rows between each distance and the next, shape (k + 1,) to (k,); all of them before the end."""
        shape, scale = np.array([self.shape]), np.array([self.scale])
        below = _cdf(np.minimum(np.append(distances, np.inf), self.end), shape, scale)[0]
        return np.asarray(self.rows * np.diff(below[:-1]) / max(float(below[-1]), _SMALLEST), dtype=np.float64)


def fit_tail(readings: TailReadings) -> Tail:
    """Fits rows, shape and scale by least squares over a grid of shapes and scales, then over a finer one.

    Where the counts leave it open, the shape is a usual one and the density is continuous where the tail begins. Shapes
    end at 0.6: heavier ones follow noise up to any bound.
    """
    best = _best(readings, np.geomspace(_SHORTEST_SCALE, _LONGEST_SCALE, _N_SCALES))
    step = (_LONGEST_SCALE / _SHORTEST_SCALE) ** (1.0 / (_N_SCALES - 1))
    return _best(readings, best.scale / best.bound * np.geomspace(1.0 / step, step, _N_FINE_SCALES))


def _best(readings: TailReadings, scales: Float64Array) -> Tail:
    """The likeliest tail over all shapes and the given scales, in distances of the bound."""
    bound = float(readings.distances[-1])
    shape, scale = (own.ravel() for own in np.meshgrid(_SHAPES, scales, indexing="ij"))
    cdf = _cdf(readings.distances / bound, shape, scale)
    cdf /= np.maximum(cdf[:, -1:], _SMALLEST)
    ends = np.array([[own.first, own.end] for own in readings.sums], dtype=np.int64).reshape(-1, 2)
    shares = np.hstack([np.diff(cdf, axis=1), cdf[:, ends[:, 1]] - cdf[:, ends[:, 0]]])
    found = np.concatenate([readings.rows, [own.rows for own in readings.sums]])
    weight = 1.0 / np.concatenate([readings.variances, [own.variance for own in readings.sums]])
    rows = np.maximum((shares * found) @ weight / np.maximum((shares**2) @ weight, _SMALLEST), 0.0)
    loss = ((found - rows[:, None] * shares) ** 2) @ weight
    loss += ((shape - _USUAL_SHAPE) / _SHAPE_SPREAD) ** 2
    at_start = np.log(np.maximum(rows, _SMALLEST) / scale) - np.log(readings.density * bound)
    best = int(np.argmin(loss + (at_start / _LOG_SCALE_SPREAD) ** 2))
    return Tail(float(rows[best]), float(shape[best]), bound * float(scale[best]), bound)


def _cdf(distances: Float64Array, shape: Float64Array, scale: Float64Array) -> Float64Array:
    """Share of rows within each distance, shape (n_candidates, k); at shape 0 the exponential distribution."""
    ratio, exponential = distances / scale[:, None], (shape == 0.0)[:, None]
    xi = np.where(exponential, 1.0, shape[:, None])
    with np.errstate(over="ignore"):
        pareto = -np.expm1(-np.log(np.maximum(1.0 + xi * ratio, _SMALLEST)) / xi)
    return np.where(exponential, -np.expm1(-ratio), pareto)
