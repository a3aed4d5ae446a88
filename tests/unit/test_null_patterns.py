"""Nulls that go together: which rules tables of pairs show, and that no row which is drawn breaks them."""

import numpy as np
import pytest
from small_tables import number

from threea_spark.approximate.null_patterns import keeping_null_patterns, null_rules
from threea_spark.approximate.products import PairTables, Products
from threea_spark.approximate.tables import table_columns
from threea_spark.encode.codec import Encoding

N, K, STDDEV = 50_000, 30, 0.002
LOOSE = 1.0  # noise of a column's own distribution, of which these tables know nothing


def columns_of(marks):
    names = [f"x{place}" for place in range(marks.shape[1])]
    codecs = tuple(number(name, nullable=True) for name in names)
    return table_columns(Encoding(codecs, None, 50.0), 4)


def told(marks, seed=0, stddev=STDDEV):
    """Columns and noisy tables of rows that are null by `marks` and else spread over all cells."""
    columns, rng = columns_of(marks), np.random.default_rng(seed)
    starts = np.cumsum([0, *columns.n_groups[:-1]])
    groups = [
        np.where(null, n - 1, rng.integers(0, n - 1, len(marks)))
        for null, n in zip(marks.T, columns.n_groups, strict=True)
    ]
    ones = np.zeros((len(marks), sum(columns.n_groups)))
    for own, start in zip(groups, starts, strict=True):
        ones[np.arange(len(marks)), start + own] = 1.0
    noise = np.triu(rng.normal(0.0, stddev, (ones.shape[1], ones.shape[1])), 1)
    counted = columns.in_other_tables()
    return columns, PairTables((ones.T @ ones / len(marks) + noise + noise.T) * (counted | counted.T), stddev)


def mixture_of(columns, marks, seed=1):
    """Components that know each null share, some of them mixed: what a fit of finite strength gives."""
    rng = np.random.default_rng(seed)
    chances = np.clip(marks[rng.integers(0, len(marks), K)] + rng.normal(0.0, 0.05, (K, marks.shape[1])), 0.0, 1.0)
    parts = []
    for place, size in enumerate(columns.sizes):
        present = rng.dirichlet(np.ones(size - 1), K)
        parts.append(np.column_stack([present * (1.0 - chances[:, [place]]), chances[:, [place]]]))
    return Products(np.full(K, 1.0 / K), tuple(parts))


def drawn_marks(products, n=20_000, seed=2):
    rng = np.random.default_rng(seed)
    component = rng.choice(len(products.weights), n, p=products.weights)
    return np.column_stack([rng.random(n) < own[component, -1] for own in products.probabilities])


def together(rng):
    return np.repeat(rng.random(N)[:, None] < 0.4, 3, axis=1)


def one_of_three(rng):
    return np.arange(3) != rng.integers(0, 3, N)[:, None]


def branch(rng):
    """The second is asked only of those who answered the first, and of half of them."""
    first = rng.random(N) < 0.3
    return np.column_stack([first, first | (rng.random(N) < 0.5)])


def block_and_branch(rng):
    return np.hstack([together(rng), one_of_three(rng)])


KINDS = [together, one_of_three, branch, block_and_branch]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_keep_to_the_patterns_of_the_table_and_did_not_before(kind):
    marks = kind(np.random.default_rng(3))
    columns, pairs = told(marks)
    before = mixture_of(columns, marks)
    after = keeping_null_patterns(columns, before, pairs, LOOSE)
    known = {tuple(row) for row in np.unique(marks, axis=0).tolist()}

    def broken(products):
        return np.mean([tuple(row) not in known for row in drawn_marks(products).tolist()])

    assert broken(after) == 0.0
    assert broken(before) > 0.003
    for own, was in zip(after.probabilities, before.probabilities, strict=True):
        assert after.weights @ own == pytest.approx(before.weights @ was, abs=0.03)
        assert own.sum(axis=1) == pytest.approx(np.ones(len(own)))
    assert len(after.weights) <= 2_000


@pytest.mark.parametrize("seed", range(3))
def test_nulls_that_know_nothing_of_each_other_stay_as_they_are(seed):
    marks = np.random.default_rng(seed).random((N, 4)) < [0.1, 0.5, 0.5, 0.02]
    columns, pairs = told(marks, seed)
    products = mixture_of(columns, marks)
    assert list(null_rules(columns, pairs, LOOSE)) == []
    assert keeping_null_patterns(columns, products, pairs, LOOSE) is products


def test_noise_that_is_larger_than_said_makes_rules_of_nothing():
    """So the check above would fail if the tables' noise were not what it is said to be."""
    marks = np.random.default_rng(0).random((N, 4)) < [0.1, 0.5, 0.5, 0.1]
    columns = columns_of(marks)
    loud = [PairTables(told(marks, seed, stddev=40 * STDDEV)[1].shares, STDDEV) for seed in range(5)]
    assert any(list(null_rules(columns, pairs, LOOSE)) for pairs in loud)


def test_a_block_of_forty_columns_is_one_mark():
    marks = np.repeat(np.random.default_rng(5).random(N)[:, None] < 0.3, 40, axis=1)
    columns, pairs = told(marks)
    (rule,) = null_rules(columns, pairs, LOOSE)
    assert rule.patterns.tolist() == [[False] * 40, [True] * 40]
