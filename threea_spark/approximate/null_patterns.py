"""Columns whose nulls hang together: blocks that are null together, questions of which one is asked, branches.

A mixture of products knows such a rule only as far as its components are pure. The released tables of pairs say which
of the four ways in which two columns are null or not does not occur, up to noise; components that would draw it are
split, so that every row keeps to the rule. Post-processing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from threea_spark.approximate.products import PairTables, Products
from threea_spark.approximate.tables import TableColumns
from threea_spark.arrays import BoolArray, Float64Array, Int64Array

_EMPTY_SHARE, _EMPTY_STDDEVS = 0.002, 2.5
"""A way does not occur if its share is below one of these."""
_CLEAR_STDDEVS = 6.0
"""By how much columns that know nothing of each other would exceed that."""
_MOST_MARKS = 10
"""Marks of a rule at most, those that agree counted once: patterns double with each."""
_MOST_COMPONENTS = 2_000
_LEAST_SHARE = 0.01  # of a component: a rarer pattern is left out
_ROUNDS = 50
_TINY = 1e-12


@dataclass(frozen=True)
class NullRule:
    """Null marks that occur in some patterns only. RELEASED.

    Attributes:
      columns: Whose marks they are.
      patterns: Which columns are null, shape (n_patterns, n_columns).
    """

    columns: Int64Array
    patterns: BoolArray


def keeping_null_patterns(
    columns: TableColumns, products: Products, pairs: PairTables, one_way_stddev: float
) -> Products:
    """Splits components so that no row breaks a rule that the tables of pairs show.

    Args:
      columns: The tables' columns.
      products: The mixture.
      pairs: Tables of all pairs in groups.
      one_way_stddev: Standard deviation of the noise on a share of one cell of one column.
    """
    for rule in null_rules(columns, pairs, one_way_stddev):
        products = _split(columns, products, rule)
    return products


def null_rules(columns: TableColumns, pairs: PairTables, one_way_stddev: float) -> Iterator[NullRule]:
    """The rules between null marks of numbers that the tables show; see `keeping_null_patterns`."""
    own = np.array([j for j, codec in enumerate(columns.codecs) if not codec.is_category and codec.nullable], np.int64)
    if len(own) < 2:
        return
    starts = np.cumsum([0, *columns.n_groups[:-1]])
    last = starts[own] + np.array(columns.n_groups)[own] - 1  # null has a group alone, the last
    shares, variance = _null_shares(columns, own, last, pairs, one_way_stddev)
    stddev = math.sqrt(pairs.stddev**2 + 2.0 * variance)
    never = _never(shares, pairs.shares[np.ix_(last, last)], stddev)
    cluster = _clusters(np.asarray(never.any(axis=(0, 1)), dtype=np.bool_))
    for name in np.unique(cluster):
        marks = np.flatnonzero(cluster == name)
        if len(marks) > 1:
            patterns = _patterns(never[:, :, marks][:, :, :, marks], shares[marks], math.sqrt(variance))
            if patterns is not None:
                yield NullRule(own[marks], patterns)


def _null_shares(
    columns: TableColumns, own: Int64Array, last: Int64Array, pairs: PairTables, one_way_stddev: float
) -> tuple[Float64Array, float]:
    """Share of null in each column, and the variance of its noise: its own reading and those of its tables, pooled."""
    n_tables, n_groups = len(columns.groups) - 1, sum(columns.n_groups) - min(columns.n_groups)
    readings = pairs.shares[last].sum(axis=1) / n_tables, np.array([columns.masses[j][-1] for j in own])
    weights = n_tables**2 / (n_groups * pairs.stddev**2), one_way_stddev**-2
    pooled = (weights[0] * readings[0] + weights[1] * readings[1]) / sum(weights)
    return np.clip(pooled, 0.0, 1.0), 1.0 / sum(weights)


def _never(shares: Float64Array, both: Float64Array, stddev: float) -> BoolArray:
    """Which of the four ways of two columns does not occur, shape (2, 2, n, n): first index the row's mark, 1 for null.

    Args:
      shares: Share of null in each column, shape (n,).
      both: Noisy shares of rows that are null in both, shape (n, n).
      stddev: Of the noise on a way's share.
    """
    a, b = shares[:, None], shares[None, :]
    ways = np.array([[1.0 - a - b + both, b - both], [a - both, both]])
    apart = np.array([[(1.0 - a) * (1.0 - b), (1.0 - a) * b], [a * (1.0 - b), a * b]])
    is_empty = ways <= max(_EMPTY_SHARE, _EMPTY_STDDEVS * stddev)
    never = is_empty & (apart - ways >= _CLEAR_STDDEVS * stddev)
    never[:, :, np.arange(len(shares)), np.arange(len(shares))] = False
    return np.asarray(never, dtype=np.bool_)


def _clusters(linked: BoolArray) -> Int64Array:
    """Cluster of each column, those that are linked in one, shape (n,)."""
    _, cluster = connected_components(csr_array(linked.astype(np.int64)), directed=False)
    return np.asarray(cluster, dtype=np.int64)


def _patterns(never: BoolArray, shares: Float64Array, stddev: float) -> BoolArray | None:
    """Patterns of marks without a way that does not occur, shape (n_patterns, n); None where there are too many."""
    kind = _clusters(never[1, 0] & never[0, 1])
    first = np.array([np.flatnonzero(kind == own)[0] for own in range(int(kind.max()) + 1)])
    if len(first) > _MOST_MARKS:
        return None
    marks = np.array(list(itertools.product([False, True], repeat=len(first))), dtype=np.bool_)
    own = never[:, :, first][:, :, :, first]
    breaks = np.zeros(len(marks), dtype=np.bool_)
    for one, other in itertools.product((0, 1), repeat=2):
        breaks |= np.einsum("pi,pj,ij->p", marks == one, marks == other, own[one, other].astype(np.int64)) > 0
    if len(first) > 1 and (own[0, 0] | np.eye(len(first), dtype=np.bool_)).all():  # never two present: is one always?
        none_present = 1.0 - float((1.0 - shares[first]).sum())
        if none_present <= max(_EMPTY_SHARE, _EMPTY_STDDEVS * stddev * math.sqrt(len(first))):
            breaks |= marks.all(axis=1)
    return np.asarray(marks[~breaks][:, kind], dtype=np.bool_) if (~breaks).any() else None


def _split(columns: TableColumns, products: Products, rule: NullRule) -> Products:
    """Splits components by the patterns of a rule; the rarest are left out, more of them where they would be many."""
    chances = np.column_stack([products.probabilities[j][:, -1] for j in rule.columns])
    shares = _pattern_shares(chances, rule.patterns)
    least = _LEAST_SHARE
    while (shares >= np.minimum(least, shares.max(axis=1, keepdims=True))).sum() > _MOST_COMPONENTS:
        least *= 2.0
    kept = shares >= np.minimum(least, shares.max(axis=1, keepdims=True))
    shares = np.where(kept, shares, 0.0)
    component, pattern = np.nonzero(kept)
    weights = products.weights[component] * (shares / shares.sum(axis=1, keepdims=True))[component, pattern]
    probabilities = [own[component] for own in products.probabilities]
    for place, j in enumerate(rule.columns.tolist()):
        is_null = rule.patterns[pattern, place]
        probabilities[j] = _marked(probabilities[j], is_null, columns.masses[j])
    return Products(weights / weights.sum(), tuple(probabilities))


def _pattern_shares(chances: Float64Array, patterns: BoolArray) -> Float64Array:
    """Share of each pattern in each component that comes nearest to its chances of null, shape (k, n_patterns).

    Source: iterative proportional fitting from independent marks, Deming and Stephan 1940, Annals of Mathematical
    Statistics 11(4).

    Args:
      chances: Of null in each column, shape (k, n_columns).
      patterns: Shape (n_patterns, n_columns).
    """
    chances = np.clip(chances, _TINY, 1.0 - _TINY)
    shares = np.exp(np.log(chances) @ patterns.T + np.log1p(-chances) @ ~patterns.T)
    for _ in range(_ROUNDS):
        for wanted, null in zip(chances.T, patterns.T, strict=True):
            shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
            now = np.clip(shares @ null, _TINY, 1.0 - _TINY)
            shares = shares * np.where(null, (wanted / now)[:, None], ((1.0 - wanted) / (1.0 - now))[:, None])
    return np.asarray(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300), dtype=np.float64)


def _marked(probabilities: Float64Array, is_null: BoolArray, masses: Float64Array) -> Float64Array:
    """Makes each component's column null for certain, or never, shape (k, n_cells)."""
    present = probabilities[:, :-1] + _TINY * masses[:-1]
    present = np.column_stack([present / present.sum(axis=1, keepdims=True), np.zeros(len(present))])
    certain = np.zeros(probabilities.shape[1])
    certain[-1] = 1.0
    return np.asarray(np.where(is_null[:, None], certain, present), dtype=np.float64)
