"""Counts of all pairs from counts of a few columns at once: those of each pair counted by itself, whatever the runs."""

import numpy as np
import pytest

from threea_spark.approximate.pair_counts import JointCounts, joint_counts

SIZES = (3, 1, 7, 16, 2, 2, 5, 30, 300, 4)


def drawn(n, seed=0):
    return np.stack([np.random.default_rng((seed, size)).integers(0, size, n) for size in SIZES])


def pair_by_pair(groups):
    ends = np.cumsum([0, *SIZES])
    total = np.zeros((ends[-1], ends[-1]), dtype=np.int64)
    for a in range(len(SIZES)):
        for b in range(a + 1, len(SIZES)):
            np.add.at(total, (ends[a] + groups[a], ends[b] + groups[b]), 1)
    return total


@pytest.mark.parametrize("n_rows", [0, 1, 40, 20_000])
def test_tables_of_pairs_are_those_of_each_pair_by_itself(n_rows):
    groups = drawn(n_rows)
    assert np.array_equal(joint_counts(SIZES, n_rows).tables(groups), pair_by_pair(groups))


@pytest.mark.parametrize(
    ("lefts", "rights"),
    [
        (((0, 10),), ((0, 10),)),
        (((0, 4), (4, 10)), ((0, 2), (2, 4), (4, 5), (5, 10))),
        (((0, 1), (1, 6), (6, 10)), tuple((i, i + 1) for i in range(10))),
    ],
)
def test_the_runs_change_no_count(lefts, rights):
    sizes = (3, 1, 2, 4, 2, 2, 5, 3, 2, 4)
    groups = np.stack([own % size for own, size in zip(drawn(200, seed=1), sizes, strict=True)])
    one_by_one = tuple((i, i + 1) for i in range(10))
    expected = JointCounts(sizes, one_by_one, one_by_one).tables(groups)
    assert np.array_equal(JointCounts(sizes, lefts, rights).tables(groups), expected)
