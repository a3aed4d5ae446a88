import numpy as np
import pytest
from benchmark_files import load
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import johnson
from some import some

from threea_spark.approximate.dual import ResidualGraph, shortest_paths
from threea_spark.approximate.prices import optimal_prices

assignment = load("assignment")

ROWS = 2_000


def drawn(k, seed=0, n=ROWS):
    return assignment.drawn_cost(n, k, np.random.default_rng(seed))


def assign(cost, prices):
    """Components, their sizes and the cost of the assignment."""
    component = (cost - prices).argmin(axis=1)
    return component, np.bincount(component, minlength=len(prices)), cost[np.arange(len(cost)), component].sum()


def assert_optimal(cost, least, within=1.0 + 1e-6):
    prices = optimal_prices(cost, least)
    _, sizes, total = assign(cost, prices)
    assert np.all(prices >= 0.0)
    assert np.all(sizes >= least)
    assert total <= within * assignment.exact_cost(cost, np.ceil(least))
    return prices, sizes


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("k", [8, 16])
def test_skewed_clusters_reach_the_minimum_at_the_least_cost(k, share):
    cost, least = drawn(k), np.full(k, np.floor(share * ROWS / k))
    assert np.any(assign(cost, np.zeros(k))[1] < least)  # no prices would not do
    prices, sizes = assert_optimal(cost, least)
    np.testing.assert_array_equal(sizes[prices > 0.0], least[prices > 0.0])  # complementary slackness


def test_the_oracle_is_cheaper_than_other_prices_that_hold_the_minima():
    cost, least = drawn(8), np.full(8, 200.0)
    prices = optimal_prices(cost, least)
    exact = assignment.exact_cost(cost, least)
    dearer = prices + np.linspace(3.0, 0.0, 8)
    _, sizes, total = assign(cost, dearer)
    assert total > 1.01 * exact or np.any(sizes < least)
    assert assign(cost, np.zeros(8))[2] < exact  # what the minima cost


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("k", [8, 16])
def test_a_component_far_from_all_rows_is_filled(k, share):
    cost = drawn(k)
    cost[:, -1] += 1e4
    assert_optimal(cost, np.full(k, np.floor(share * ROWS / k)))


@pytest.mark.parametrize("k", [8, 16])
def test_components_along_a_line_hand_rows_on(k):
    place = np.random.default_rng(0).exponential(1.0, ROWS)
    cost = np.square(place[:, None] - np.linspace(0.0, 8.0, k))
    assert_optimal(cost, np.full(k, ROWS / k))


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("k", [8, 16])
def test_rows_stay_in_their_class(k, share):
    classes = np.random.default_rng(1).choice(4, ROWS, p=[0.4, 0.3, 0.2, 0.1])
    class_of = np.arange(k) % 4
    cost = np.where(classes[:, None] == class_of, drawn(k), np.inf)
    least = np.floor(share * np.bincount(classes)[class_of] / (k // 4))
    prices, _ = assert_optimal(cost, least)
    np.testing.assert_array_equal(class_of[assign(cost, prices)[0]], classes)


@pytest.mark.parametrize(("distinct", "share"), [(1_000, 0.5), (200, 0.3), (1_000, 0.8)])
@pytest.mark.parametrize("k", [8, 16])
def test_rows_that_tie_move_together(k, distinct, share):
    cost = drawn(k, n=distinct)[np.random.default_rng(2).integers(0, distinct, ROWS)]
    assert_optimal(cost, np.full(k, np.floor(share * ROWS / k)), within=1.01)


def test_few_categories_hold_the_minima_though_no_row_can_be_split():
    rng = np.random.default_rng(3)
    rows, centres = (rng.random((ROWS, 6)) < 0.4).astype(np.float64), rng.random((8, 6))
    cost = np.square(rows[:, None] - centres).sum(axis=2)
    assert len(np.unique(cost, axis=0)) <= 64
    least = np.full(8, 0.5 * ROWS / 8)
    _, sizes, total = assign(cost, optimal_prices(cost, least))
    assert np.all(sizes >= least)
    assert total <= 1.05 * assignment.exact_cost(cost, least)  # exact splits what ties


@pytest.mark.parametrize("share", [0.9, 1.0])
def test_last_bits_of_the_cost_decide_no_row(share):
    cost, least = drawn(16), np.full(16, share * ROWS / 16)
    prices = optimal_prices(cost, least)
    noise = 1e-12 * np.random.default_rng(4).choice([-1.0, 1.0], cost.shape)
    np.testing.assert_array_equal(assign(cost * (1.0 + noise), prices)[0], assign(cost, prices)[0])


def test_a_constant_of_each_row_changes_nothing():
    cost, least = drawn(8), np.full(8, 225.0)
    shift = np.random.default_rng(5).normal(0.0, 100.0, (ROWS, 1))
    moved = optimal_prices(cost + shift, least)
    np.testing.assert_array_equal(assign(cost, moved)[0], assign(cost, optimal_prices(cost, least))[0])


def test_a_fraction_is_rounded_up_where_rows_are_enough_and_down_where_not():
    cost = drawn(3, n=1_000)
    assert assign(cost, optimal_prices(cost, np.full(3, 300.5)))[1].min() == 301
    assert sorted(assign(cost, optimal_prices(cost, np.full(3, 1_000 / 3)))[1]) == [333, 333, 334]


@pytest.mark.parametrize("seed", some(range(20), range(4)))
def test_whole_parts_come_first_where_fractions_cannot_all_be_held(seed):
    cost = np.random.default_rng(seed).exponential(1.0, (10, 3)) + np.array([0.0, 0.0, 1e3])
    graph = ResidualGraph(np.ascontiguousarray(cost.T), np.zeros(3))
    graph.fill(np.full(3, 3))
    graph.fill(np.full(3, 4))
    assert sorted(graph.sizes) == [3, 3, 4]
    assert sorted(assign(cost, optimal_prices(cost, np.full(3, 3.3)))[1]) == [3, 3, 4]


@pytest.mark.parametrize("seed", some(range(20), range(4)))
def test_paths_alone_are_exact_however_many_rows_have_to_move(seed):
    cost, need = drawn(8, seed, n=300), np.full(8, 30)
    graph = ResidualGraph(np.ascontiguousarray(cost.T), np.zeros(8))
    graph.fill(need)
    total = cost[np.arange(300), graph.component].sum()
    np.testing.assert_array_equal(graph.sizes, np.bincount(graph.component, minlength=8))
    assert np.all(graph.sizes >= need)
    np.testing.assert_allclose(total, assignment.exact_cost(cost, need), rtol=1e-6)


def test_a_class_with_too_few_rows_counts_all_it_has_and_leaves_the_others_alone():
    classes = np.repeat([0, 1], [1_900, 100])
    class_of = np.array([0, 0, 0, 1, 1])
    cost = np.where(classes[:, None] == class_of, drawn(5), np.inf)
    prices = optimal_prices(cost, np.full(5, 80.0))
    component, sizes, _ = assign(cost, prices)
    np.testing.assert_array_equal(class_of[component], classes)
    assert np.all(sizes[:3] >= 80)
    assert sorted(sizes[3:]) == [20, 80]
    assert np.all(np.isfinite(prices))


@pytest.mark.parametrize("k", [2, 8])
def test_rows_all_alike_end_with_finite_prices(k):
    prices = optimal_prices(np.tile(np.arange(float(k)), (500, 1)), np.full(k, 500.0 / k))
    assert np.all(np.isfinite(prices))
    assert np.all(prices >= 0.0)


def test_nothing_is_paid_where_every_component_has_enough():
    cost = drawn(8)
    sizes = assign(cost, np.zeros(8))[1]
    assert not optimal_prices(cost, np.zeros(8)).any()
    np.testing.assert_array_equal(assign(cost, optimal_prices(cost, sizes - 1.0))[1], sizes)
    assert not optimal_prices(np.full((3, 2), np.inf), np.ones(2)).any()


@pytest.mark.parametrize("start", [0.0, 1e3])
def test_any_start_ends_at_the_optimum(start):
    cost, least = drawn(8), np.full(8, 225.0)
    prices = optimal_prices(cost, least, start=np.linspace(start, 0.0, 8))
    _, sizes, total = assign(cost, prices)
    assert np.all(sizes >= least)
    assert total <= (1.0 + 1e-6) * assignment.exact_cost(cost, least)


@settings(max_examples=100, deadline=None)
@given(n=st.integers(2, 40), k=st.integers(1, 6), share=st.floats(0.0, 1.0), seed=st.integers(0, 2**32 - 1))
def test_small_tables_are_exact(n, k, share, seed):
    rng = np.random.default_rng(seed)
    cost = rng.exponential(1.0, (n, k))
    cost[rng.random((n, k)) < 0.1] += 1e3
    least = rng.multinomial(int(share * n), np.full(k, 1.0 / k)).astype(np.float64)
    assert_optimal(cost, least, within=1.0 + 1e-4)


@settings(max_examples=50, deadline=None)
@given(m=st.integers(2, 12), seed=st.integers(0, 2**32 - 1))
def test_shortest_paths_agree_with_johnson(m, seed):
    rng = np.random.default_rng(seed)
    level = rng.normal(0.0, 3.0, m)
    length = rng.exponential(1.0, (m, m)) + level - level[:, None]  # some negative, no cycle is
    length[rng.random((m, m)) < 0.5] = np.inf
    found = shortest_paths(length, np.where(np.arange(m) == 0, 0.0, np.inf))
    np.fill_diagonal(length, np.inf)
    np.testing.assert_allclose(found[0], johnson(np.where(np.isfinite(length), length, 0.0))[0])


def test_a_negative_cycle_is_found():
    assert shortest_paths(np.array([[np.inf, 1.0], [-1.1, np.inf]]), np.zeros(2)) is None


def test_the_benchmark_prints_what_it_writes(tmp_path, monkeypatch, capsys):
    path = tmp_path / "out.json"
    monkeypatch.setattr("sys.argv", ["assignment.py", "--rows", "300", "--components", "4", "--json", str(path)])
    assignment.main()
    assert '"cost_ratio": 1.0' in path.read_text()
    assert "300" in capsys.readouterr().out
