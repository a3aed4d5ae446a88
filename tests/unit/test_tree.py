from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threea_spark.encode.grid import BRANCHING, N_LEAVES, N_LEVELS
from threea_spark.encode.tree import consistent_tree, n_nodes, share_out, tree_counts

N_NODES = n_nodes(N_LEVELS)
ALL = np.ones(N_LEAVES, dtype=np.bool_)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n_levels=st.integers(1, N_LEVELS))
def test_a_row_adds_one_to_each_of_its_levels_and_nothing_else(data, n_levels):
    leaf = st.integers(0, BRANCHING**n_levels - 1)
    leaves, one_more = data.draw(st.lists(leaf, max_size=30)), data.draw(leaf)
    before = tree_counts(np.array(leaves, dtype=np.int64), n_levels)
    after = tree_counts(np.array([*leaves, one_more], dtype=np.int64), n_levels)
    assert len(after) == n_nodes(n_levels)
    added = after - before
    assert np.sum(added**2) == n_levels
    assert set(np.unique(added)) <= {0, 1}


def test_the_children_of_a_node_sum_to_it():
    counts = tree_counts(np.random.default_rng(1).integers(0, N_LEAVES, 5_000), N_LEVELS)
    levels = np.split(counts, np.cumsum([BRANCHING**level for level in range(1, N_LEVELS)]))
    for parent, child in pairwise(levels):
        assert np.array_equal(child.reshape(-1, BRANCHING).sum(axis=1), parent)
    assert levels[0].sum() == 5_000


@pytest.mark.parametrize("n_leaves", [N_LEAVES, 1_000, 17])
def test_consistent_counts_sum_to_the_rows_on_every_level_and_none_lie_where_no_leaf_is(n_leaves):
    rng = np.random.default_rng(3)
    noisy = tree_counts(rng.integers(0, n_leaves, 5_000), N_LEVELS) + rng.normal(0.0, 50.0, N_NODES)
    tree = consistent_tree(noisy, 5_000.0, np.arange(N_LEAVES) < n_leaves)
    for counts in tree.counts:
        assert counts.sum() == pytest.approx(5_000.0)
    for parent, child in pairwise(tree.counts):
        assert child.reshape(-1, BRANCHING).sum(axis=1) == pytest.approx(parent, abs=1e-6)
    assert not tree.counts[-1][n_leaves:].any()


def test_consistent_counts_of_exact_ones_are_exact():
    exact = tree_counts(np.random.default_rng(4).integers(0, 3_000, 9_000), N_LEVELS).astype(np.float64)
    tree = consistent_tree(exact, 9_000.0, np.arange(N_LEAVES) < 3_000)
    assert np.concatenate(tree.counts) == pytest.approx(exact, abs=1e-6)


def squared_errors(exact, seeds, stddev, estimate):
    """Mean squared error of the top node's estimated rows over noisy draws."""
    errors = []
    for seed in seeds:
        noisy = exact + np.random.default_rng(seed).normal(0.0, stddev, N_NODES)
        errors.append((estimate(noisy) - exact[:BRANCHING]) ** 2)
    return float(np.mean(errors))


def test_a_node_is_read_better_with_its_children_than_by_its_own_count_alone():
    """Hay et al. weigh a node's count against the sum of its children: its variance falls to 15/16 or less."""
    exact = tree_counts(np.random.default_rng(1).integers(0, N_LEAVES, 200_000), N_LEVELS).astype(np.float64)
    stddev = 20.0

    def consistent(noisy):
        return consistent_tree(noisy, 200_000.0, ALL).counts[0]

    def own(noisy):  # moved to the known total, as the consistent ones are
        return noisy[:BRANCHING] + (200_000.0 - noisy[:BRANCHING].sum()) / BRANCHING

    seeds = range(1_000)
    assert squared_errors(exact, seeds, stddev, consistent) < 0.96 * squared_errors(exact, seeds, stddev, own)


def test_shares_sum_to_the_parents_and_follow_the_weights_where_nothing_stands_out():
    parents = np.array([100.0, 60.0, 0.0, -5.0])
    children = np.array([[90.0, 1.0, -2.0], [1.0, 2.0, 3.0], [50.0, 0.0, 0.0], [9.0, 9.0, 9.0]])
    weights = np.array([[1.0, 1.0, 0.0], [2.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    shared = share_out(parents, children, weights, 8.0).reshape(4, 3)
    assert shared.sum(axis=1) == pytest.approx([100.0, 60.0, 0.0, 0.0])
    assert shared[0] == pytest.approx([90.0, 10.0, 0.0])
    assert shared[1] == pytest.approx([40.0, 20.0, 0.0])
