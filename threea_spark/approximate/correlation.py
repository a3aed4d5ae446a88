"""Rank correlations between columns, from one noisy sum of pairwise products.

Every cell has a score; a row's vector of scores is clipped so that the products of all pairs have a bounded L2 norm,
and the products are summed in integers. The correlations bind the columns of a drawn row by a Gaussian copula.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtri
from scipy.stats import norm

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.privacy.query import R, RowBound, SumQuery
from threea_spark.privacy.terms import Stage

GRID = 128
_LARGEST_SCORE = 4.0  # 512 units: the squared norm of the products of 10,000 columns still fits int64
MAX_FEATURES = 10_000
_LARGEST = 0.97
_SPREAD_SLACK = 1e-3  # cells below a mass of 1e-9 count as that much
_MIN_EIGENVALUE = 0.02
_NOISE_LIMIT = 0.1
"""Correlations noisier than this are not worth their price; the share goes to the marginals."""


def cell_scores(probabilities: Float64Array, order: Int64Array) -> Float64Array:
    """Returns each cell's mean normal score, by its place in the column's distribution.

    Args:
      probabilities: Probabilities of the cells, shape (m,).
      order: Cells in increasing order, shape (m,).

    Returns:
      Shape (m,). Source: E[Z | a < Z < b] = (phi(a) - phi(b)) / P(a < Z < b).
    """
    mass = np.maximum(probabilities[order], 1e-9)
    mass = mass / mass.sum()
    edges = np.concatenate([[0.0], np.cumsum(mass)])
    density = norm.pdf(ndtri(np.clip(edges, 1e-12, 1.0 - 1e-12)))
    scores = np.empty(len(order))
    scores[order] = (density[:-1] - density[1:]) / mass
    return scores


def variances(scores: Sequence[Float64Array], probabilities: Sequence[Float64Array]) -> Float64Array:
    """Variance of each column's score under its distribution, shape (n_features,)."""
    return np.array([float(np.dot(own, score * score)) for score, own in zip(scores, probabilities, strict=True)])


def product_bound(spread: Float64Array) -> int:
    """Bound on the L2 norm of one row's products, in squared grid units: that of a typical row.

    Args:
      spread: Variance of each column's score. RELEASED.
    """
    return max(1, int(float(spread.sum()) / np.sqrt(2.0) * GRID * GRID))


def largest_bound(n_features: int) -> int:
    """The largest bound that so many columns can get: the mean score of a cell varies by no more than a score does."""
    return product_bound(np.full(n_features, 1.0 + _SPREAD_SLACK)) + 1


def row_bound(norm: int, n_features: int) -> RowBound:
    """A row adds the products of all pairs of its columns, cut to an L2 norm."""
    return RowBound(norm * norm, n_pairs(n_features))


def n_pairs(n_features: int) -> int:
    """How many pairs so many columns make."""
    return n_features * (n_features - 1) // 2


def products_query(stage: Stage, spread: Float64Array, scores_of: Callable[[R], Float64Array]) -> SumQuery[R]:
    """The sums of products of all pairs of columns' scores, as `pair_products` sums them.

    Args:
      stage: Who pays.
      spread: Variance of each column's score, shape (f,). RELEASED.
      scores_of: Returns the scores of a batch, shape (n, f).
    """
    norm = product_bound(spread)
    return SumQuery(
        stage=stage,
        name="correlations",
        bound=row_bound(norm, len(spread)),
        size=n_pairs(len(spread)),
        contribution=lambda rows: pair_products(scores_of(rows), norm),
    )


def is_worth_it(spread: Float64Array, n_rows: float, mu: float) -> bool:
    """Tells from public numbers whether the correlations would stand out from their noise."""
    if not 2 <= len(spread) <= MAX_FEATURES or mu <= 0.0:
        return False
    typical = float(np.median(spread))
    return product_bound(spread) / (GRID * GRID) / mu / max(n_rows, 1.0) <= _NOISE_LIMIT * max(typical, 1e-6) ** 2


def pair_products(scores: Float64Array, bound: int) -> Int64Array:
    """Sums the products of all pairs of columns over a batch.

    Args:
      scores: Score of each feature, cut at _LARGEST_SCORE, shape (n, f), f <= MAX_FEATURES. PRIVATE.
      bound: L2 bound on a row's products, in squared grid units; longer rows are shrunk, checked in integers.

    Returns:
      Exact sums of the strict upper triangle, shape (f * (f - 1) / 2,). PRIVATE.
    """
    units = np.clip(scores, -_LARGEST_SCORE, _LARGEST_SCORE)
    units *= GRID
    units = _shrunk(np.rint(units, out=units), bound)
    gram = units.T @ units  # float64 holds it exactly: a batch's sum stays far below 2^53
    return np.rint(gram[np.triu_indices(scores.shape[1], 1)]).astype(np.int64)


def _shrunk(units: Float64Array, bound: int) -> Float64Array:
    too_long = _squared_products(units) > bound * bound
    if too_long.any():
        length = np.sqrt(_squared_products(units[too_long]).astype(np.float64))
        units = units.copy()
        units[too_long] = np.trunc(units[too_long] * np.sqrt(bound / length)[:, None] * (1.0 - 2.0**-40))
        units[_squared_products(units) > bound * bound] = 0.0
    return units


def _squared_products(units: Float64Array) -> Int64Array:
    """Squared L2 norm of each row's products of pairs, in exact integers, shape (n,)."""
    squares = np.square(units)  # float64 holds these sums exactly: 10,000 times 512^4 is below 2^50
    sums = squares.sum(axis=1).astype(np.int64)
    sums_of_squares = np.square(squares, out=squares).sum(axis=1).astype(np.int64)
    return np.asarray((sums**2 - sums_of_squares) // 2, dtype=np.int64)


def correlations(noisy: Float64Array, stddev: float, n_rows: float, spread: Float64Array) -> Float64Array:
    """Turns noisy sums of products into a correlation matrix.

    Args:
      noisy: Shape (f * (f - 1) / 2,), in squared grid units. RELEASED.
      stddev: Standard deviation of its noise.
      n_rows: DP number of rows.
      spread: Variance of each column's score.

    Returns:
      Shape (f, f), positive definite, ones on the diagonal; entries within one standard deviation are zero.
    """
    n_features = len(spread)
    upper = np.triu_indices(n_features, 1)
    scale = n_rows * GRID * GRID * np.maximum(np.outer(spread, spread)[upper], 1e-12)
    raw, noise = noisy / scale, stddev / scale
    kept = np.sign(raw) * np.maximum(np.abs(raw) - noise, 0.0)
    matrix = np.eye(n_features)
    matrix[upper] = np.clip(kept, -_LARGEST, _LARGEST)
    matrix = np.triu(matrix) + np.triu(matrix, 1).T
    values, vectors = np.linalg.eigh(matrix)
    matrix = (vectors * np.maximum(values, _MIN_EIGENVALUE)) @ vectors.T
    root = np.sqrt(np.diag(matrix))
    return np.asarray(matrix / np.outer(root, root), dtype=np.float64)
