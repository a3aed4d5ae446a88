"""Codecs, encodings and rows that several unit tests share."""

from __future__ import annotations

import numpy as np

from threea_spark.encode.categories import CategoryCodec
from threea_spark.encode.codec import Encoding
from threea_spark.encode.grid import N_LEAVES, leaf_grid
from threea_spark.encode.quantile_codec import QuantileCodec, quantile_codec


def number(
    name: str, lower: float = 0.0, upper: float = 100.0, *, nullable: bool = False, whole: bool = False
) -> QuantileCodec:
    """A number whose DP distribution is even over its leaves, in about eight cells."""
    grid = leaf_grid(lower, upper, whole=whole)
    kind = "integer" if whole else "float"
    return quantile_codec(name, kind, nullable, grid, np.ones(N_LEAVES), cell_rows=grid.n_leaves / 8)


def category(name: str, *values: str, nullable: bool = False) -> CategoryCodec:
    """A category whose levels are as frequent as one another."""
    n_levels = len(values) + int(nullable)
    return CategoryCodec(name, values, nullable, np.arange(n_levels), np.full(n_levels, 10.0))


def mixed_encoding(clip_norm: float = 2.0) -> Encoding:
    """Two numbers (one nullable), two categories (one nullable), a label of two classes."""
    codes = (
        number("age", 0, 120, whole=True),
        number("income", 0.0, 1e6, nullable=True),
        category("ward", "a", "b", "c"),
        category("sex", "f", "m", nullable=True),
    )
    return Encoding(codes, category("died", "no", "yes"), clip_norm)


def mixed_rows(n: int, seed: int = 1) -> list[np.ndarray]:
    """Rows for `mixed_encoding` with nulls and extremes among them."""
    rng = np.random.default_rng(seed)
    age = rng.integers(-10, 200, n).astype(np.float64)
    income = np.exp(rng.normal(10.0, 3.0, n))
    income[rng.random(n) < 0.2] = np.nan
    income[:2] = [1e300, -1e300][: min(2, n)]
    return [age, income, rng.integers(0, 3, n), rng.integers(0, 3, n)]
