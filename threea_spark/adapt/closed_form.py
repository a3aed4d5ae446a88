"""The neural tangent kernel of a fully connected network, in numpy: what executors run, where jax never goes.

Conventions are those of `neural_tangents.stax.serial(Dense(W_std, b_std), Relu or Erf, ..., Dense(W_std, b_std))`
in NTK parameterisation: a layer maps a covariance q to weight_std^2 q + bias_std^2, and inputs enter as x . x' / d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from threea_spark.errors import ConfigError

Float64Array = NDArray[np.float64]
FloatArray = NDArray[np.float64] | NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An infinitely wide, fully connected network. Public.

    Attributes:
      activation: Of every hidden layer.
      depth: Number of hidden layers, at least 1.
      weight_std: Standard deviation of the weights, over the square root of the layer's width.
      bias_std: Standard deviation of the biases; 0 has none.
    """

    activation: Literal["relu", "erf"] = "relu"
    depth: int = 1
    weight_std: float = 1.5
    bias_std: float = 0.1

    def __post_init__(self) -> None:
        if self.activation not in ("relu", "erf"):
            raise ConfigError(f"activation must be relu or erf, got {self.activation!r}")
        if not self.depth >= 1:
            raise ConfigError(f"depth must be >= 1 hidden layer, got {self.depth}")
        if not 0.0 < self.weight_std < math.inf:
            raise ConfigError(f"weight_std must be in (0, inf), got {self.weight_std}")
        if not 0.0 <= self.bias_std < math.inf:
            raise ConfigError(f"bias_std must be in [0, inf), got {self.bias_std}")


def ntk(x1: FloatArray, x2: FloatArray, architecture: Architecture) -> Float64Array:
    """Evaluates the neural tangent kernel between two sets of rows.

    Args:
      x1: Rows, shape (a, d), float32 or float64. PRIVATE where they are rows of the table.
      x2: Support points, shape (b, d). RELEASED.
      architecture: Of the network. Public.

    Returns:
      Kernel, shape (a, b), float64; as private as its inputs. A row with a NaN gives a row of NaN.

    Source: Jacot et al. 2018, arXiv 1806.07572, Theorem 1 (the recursion).
    """
    first, second = np.asarray(x1, np.float64), np.asarray(x2, np.float64)
    width = first.shape[1]
    weight, bias = architecture.weight_std**2, architecture.bias_std**2
    layer = _relu if architecture.activation == "relu" else _erf
    q: Float64Array = first @ (second.T * (weight / width)) + bias
    p1 = np.einsum("nd,nd->n", first, first) * (weight / width) + bias
    p2 = np.einsum("nd,nd->n", second, second) * (weight / width) + bias
    tangent: Float64Array = q.copy()
    for _ in range(architecture.depth):
        q, slope, p1, p2 = layer(q, p1, p2)
        q, p1, p2 = q * weight + bias, p1 * weight + bias, p2 * weight + bias
        slope *= weight
        tangent *= slope
        tangent += q
    return tangent


def _relu(
    q: Float64Array, p1: Float64Array, p2: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Maps a covariance (a, b) and its diagonals through ReLU: new covariance, mean slope, new diagonals.

    Source: Cho and Saul 2009, arc-cosine kernels of degree 1 and 0: with cos t = q / sqrt(p1 p2),
    E[f f'] = (sqrt(p1 p2 - q^2) + (pi - t) q) / (2 pi) and E[slope slope'] = (pi - t) / (2 pi).
    """
    norms = np.sqrt(p1)[:, None] * np.sqrt(p2)
    cosine = np.divide(q, norms, out=np.zeros_like(q), where=norms != 0.0)
    np.clip(cosine, -1.0, 1.0, out=cosine)
    slope = np.arccos(-cosine)  # pi - t
    slope *= 0.5 / math.pi
    np.multiply(cosine, -cosine, out=cosine)
    cosine += 1.0
    np.sqrt(cosine, out=cosine)
    cosine *= norms
    cosine *= 0.5 / math.pi
    cosine += slope * q
    return cosine, slope, p1 / 2.0, p2 / 2.0


def _erf(
    q: Float64Array, p1: Float64Array, p2: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Maps a covariance (a, b) and its diagonals through erf: new covariance, mean slope, new diagonals.

    Source: Williams 1996, "Computing with infinite networks", eq. 11: with s = (1 + 2 p1)(1 + 2 p2),
    E[f f'] = (2 / pi) asin(2 q / sqrt(s)) and E[slope slope'] = (4 / pi) / sqrt(s - 4 q^2).
    """
    scale = (1.0 + 2.0 * p1)[:, None] * (1.0 + 2.0 * p2)
    doubled = 2.0 * q
    slope = scale - doubled * doubled
    np.sqrt(slope, out=slope)
    np.divide(4.0 / math.pi, slope, out=slope)
    np.sqrt(scale, out=scale)
    doubled /= scale
    np.arcsin(doubled, out=doubled)
    doubled *= 2.0 / math.pi
    return doubled, slope, _erf_diagonal(p1), _erf_diagonal(p2)


def _erf_diagonal(p: Float64Array) -> Float64Array:
    return np.asarray(np.arcsin(2.0 * p / (1.0 + 2.0 * p)) * (2.0 / math.pi))
