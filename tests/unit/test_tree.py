from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threea_spark.encode.grid import BRANCHING, N_LEAVES, N_LEVELS
from threea_spark.encode.tree import N_NODES, SQUARED_SENSITIVITY, leaf_masses, tree_counts

ALL = np.ones(N_LEAVES, dtype=np.bool_)


@settings(max_examples=60, deadline=None)
@given(leaves=st.lists(st.integers(0, N_LEAVES - 1), max_size=30), one_more=st.integers(0, N_LEAVES - 1))
def test_a_row_adds_one_to_each_of_its_levels_and_nothing_else(leaves, one_more):
    before = tree_counts(np.array(leaves, dtype=np.int64))
    after = tree_counts(np.array([*leaves, one_more], dtype=np.int64))
    added = after - before
    assert np.sum(added**2) == N_LEVELS == SQUARED_SENSITIVITY
    assert set(np.unique(added)) <= {0, 1}


def test_the_children_of_a_node_sum_to_it():
    counts = tree_counts(np.random.default_rng(1).integers(0, N_LEAVES, 5_000))
    assert counts.shape == (N_NODES,)
    levels = np.split(counts, np.cumsum([BRANCHING**level for level in range(1, N_LEVELS)]))
    for parent, child in pairwise(levels):
        assert np.array_equal(child.reshape(-1, BRANCHING).sum(axis=1), parent)
    assert levels[0].sum() == 5_000


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stddev", [1.0, 30.0, 3_000.0])
def test_masses_are_non_negative_and_sum_to_the_total(seed, stddev):
    rng = np.random.default_rng(seed)
    exact = tree_counts(np.minimum(rng.geometric(0.02, 2_000) - 1, N_LEAVES - 1))
    masses = leaf_masses(exact + rng.normal(0.0, stddev, N_NODES), 2_000.0, stddev, ALL)
    assert masses.shape == (N_LEAVES,)
    assert np.all(masses >= 0.0)
    assert masses.sum() == pytest.approx(2_000.0)


def test_without_noise_the_counts_come_back_where_they_stand_out():
    leaf = np.repeat([3, 100, 101, 400], [500, 300, 150, 50])
    masses = leaf_masses(tree_counts(leaf).astype(np.float64), 1_000.0, 1e-9, ALL)
    assert masses[[3, 100, 101, 400]] == pytest.approx([500, 300, 150, 50])
    assert np.delete(masses, [3, 100, 101, 400]).sum() < 1e-6


@pytest.mark.parametrize("seed", range(10))
def test_an_empty_tail_stays_empty_under_noise(seed):
    rng = np.random.default_rng(seed)
    leaf = rng.integers(0, N_LEAVES // 8, 10_000)  # the first of the eight top nodes holds all
    noisy = tree_counts(leaf) + rng.normal(0.0, 20.0, N_NODES)
    masses = leaf_masses(noisy, 10_000.0, 20.0, ALL)
    assert masses[N_LEAVES // 2 :].sum() < 0.02 * 10_000.0


def test_what_does_not_stand_out_falls_to_the_leaves_that_may_take_it():
    takes_rest = np.zeros(N_LEAVES, dtype=np.bool_)
    takes_rest[10:20] = True
    masses = leaf_masses(np.zeros(N_NODES), 100.0, 10.0, takes_rest)
    assert masses[10:20].sum() == pytest.approx(100.0)
    assert np.allclose(masses[10:16], masses[10])


def test_noise_that_outweighs_all_rows_still_gives_a_law():
    noisy = np.random.default_rng(3).normal(0.0, 1e6, N_NODES)
    masses = leaf_masses(noisy, 1.0, 1e6, ALL)
    assert np.all(np.isfinite(masses))
    assert masses.sum() == pytest.approx(1.0)


def squared_errors(exact, seeds, stddev, estimate):
    """Mean squared error of the top node's estimated rows over noisy draws."""
    errors = []
    for seed in seeds:
        noisy = exact + np.random.default_rng(seed).normal(0.0, stddev, N_NODES)
        errors.append((estimate(noisy) - exact[:BRANCHING]) ** 2)
    return float(np.mean(errors))


def test_a_node_is_read_better_with_its_children_than_by_its_own_count_alone():
    """Hay et al. weigh a node's count against the sum of its children: its variance falls to 8/9 or less."""
    exact = tree_counts(np.random.default_rng(1).integers(0, N_LEAVES, 200_000)).astype(np.float64)
    stddev = 20.0

    def consistent(noisy):
        masses = leaf_masses(noisy, 200_000.0, stddev, ALL)
        return masses.reshape(BRANCHING, -1).sum(axis=1)

    def own(noisy):  # scaled to the known total, as the consistent ones are
        return noisy[:BRANCHING] * (200_000.0 / noisy[:BRANCHING].sum())

    seeds = range(400)
    assert squared_errors(exact, seeds, stddev, consistent) < 0.95 * squared_errors(exact, seeds, stddev, own)
