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

FloatArray = NDArray[np.floating]

_TILE_BYTES = 1 << 17  # kernels of as many pairs at a time stay in a core's own cache


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An infinitely wide, fully connected network. Public.

    Attributes:
      activation: Activation of every hidden layer.
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


def ntk(
    x1: FloatArray, x2: FloatArray, architecture: Architecture, dtype: type[np.floating] = np.float64
) -> FloatArray:
    """Evaluates the neural tangent kernel between two sets of rows.

    Args:
      x1: Rows, shape (a, d). PRIVATE where they are rows of the table.
      x2: Support points, shape (b, d). RELEASED.
      architecture: The network. Public.
      dtype: Type of the arithmetic; float32 is five times as fast and good to about 1e-4 where rows nearly coincide.

    Returns:
      Kernel, shape (a, b), of this type; as private as its inputs. A row with a NaN gives a row of NaN.

    Source: Jacot et al. 2018, arXiv 1806.07572, Theorem 1 (the recursion).
    """
    first, second = np.asarray(x1, dtype), np.asarray(x2, dtype)
    kernel: FloatArray = np.matmul(first, second.T)  # exact where both lie on a binary grid, so scaled only after it
    number, width = first.dtype.type, max(first.shape[1], 1)
    bias = number(architecture.bias_std**2)
    per_column = number(architecture.weight_std**2 / width)
    p1 = np.einsum("nd,nd->n", first, first) * per_column + bias
    p2 = np.einsum("nd,nd->n", second, second) * per_column + bias
    kernel *= per_column
    kernel += bias
    tile = max(1, _TILE_BYTES // max(kernel[:1].nbytes, 1))
    room = np.empty((3, min(tile, len(first)), len(second)), dtype=dtype)
    for start in range(0, len(first), tile):
        own = kernel[start : start + tile]
        _to_tangent(own, p1[start : start + tile], p2, architecture, room[:, : len(own)])
    return kernel


def _to_tangent(
    kernel: FloatArray, p1: FloatArray, p2: FloatArray, architecture: Architecture, room: FloatArray
) -> None:
    """Turns the covariance of the first layer, shape (a, b), into the tangent kernel, in place.

    Args:
      kernel: The covariance.
      p1, p2: Its diagonals, shapes (a,) and (b,).
      architecture: The network.
      room: For intermediate results, shape (3, a, b).
    """
    number = kernel.dtype.type
    weight, bias = number(architecture.weight_std**2), number(architecture.bias_std**2)
    layer = _relu if architecture.activation == "relu" else _erf
    q, slope, spare = room
    q[...] = kernel
    for _ in range(architecture.depth):
        p1, p2 = layer(q, slope, spare, p1, p2, weight)
        q += bias
        p1, p2 = p1 + bias, p2 + bias
        kernel *= slope
        kernel += q


def _relu(
    q: FloatArray, slope: FloatArray, spare: FloatArray, p1: FloatArray, p2: FloatArray, weight: np.floating
) -> tuple[FloatArray, FloatArray]:
    """Maps a covariance q, shape (a, b), through ReLU in place, and writes the mean slope, both times `weight`.

    Returns the new diagonals, times `weight`. Source: Cho and Saul 2009, arc-cosine kernels of degree 1 and 0: with
    cos t = q / sqrt(p1 p2), E[f f'] = (sqrt(p1 p2 - q^2) + (pi - t) q) / (2 pi) and
    E[slope slope'] = (pi - t) / (2 pi).
    """
    norm1, norm2, least = np.sqrt(p1)[:, None], np.sqrt(p2), np.finfo(q.dtype).tiny ** 0.5
    cosine = np.divide(q, np.maximum(norm1, least), out=spare)  # q is 0 where a norm is
    cosine /= np.maximum(norm2, least)
    np.clip(cosine, -1.0, 1.0, out=cosine)
    np.arccos(np.negative(cosine, out=slope), out=slope)  # pi - t
    scale = weight * q.dtype.type(0.5 / math.pi)
    slope *= scale
    q *= slope
    np.multiply(cosine, cosine, out=cosine)
    np.subtract(1.0, cosine, out=cosine)
    np.sqrt(cosine, out=cosine)
    cosine *= norm1
    cosine *= norm2 * scale
    q += cosine
    return p1 * weight / 2.0, p2 * weight / 2.0


def _erf(
    q: FloatArray, slope: FloatArray, spare: FloatArray, p1: FloatArray, p2: FloatArray, weight: np.floating
) -> tuple[FloatArray, FloatArray]:
    """Maps a covariance q, shape (a, b), through erf in place, and writes the mean slope, both times `weight`.

    Returns the new diagonals, times `weight`. Source: Williams 1996, "Computing with infinite networks", eq. 11: with
    s = (1 + 2 p1)(1 + 2 p2), E[f f'] = (2 / pi) asin(2 q / sqrt(s)) and E[slope slope'] = (4 / pi) / sqrt(s - 4 q^2).
    """
    scale = np.multiply((1.0 + 2.0 * p1)[:, None], 1.0 + 2.0 * p2, out=spare)
    q *= 2.0
    np.subtract(scale, np.multiply(q, q, out=slope), out=slope)
    np.sqrt(slope, out=slope)
    np.divide(weight * q.dtype.type(4.0 / math.pi), slope, out=slope)
    q /= np.sqrt(scale, out=scale)
    np.arcsin(q, out=q)
    q *= weight * q.dtype.type(2.0 / math.pi)
    return _erf_diagonal(p1) * weight, _erf_diagonal(p2) * weight


def _erf_diagonal(p: FloatArray) -> FloatArray:
    return np.asarray(np.arcsin(2.0 * p / (1.0 + 2.0 * p)) * (2.0 / math.pi))
