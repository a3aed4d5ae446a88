import numpy as np
import pytest
from small_tables import category, number

from threea_spark.encode.feature import SCORE_LIMIT
from threea_spark.encode.grid import N_LEAVES, leaf_grid
from threea_spark.encode.masses import leaf_masses
from threea_spark.encode.quantile_codec import quantile_codec
from threea_spark.encode.tree import tree_counts

RNG = np.random.default_rng(20240601)
INCOMES = np.clip(np.exp(RNG.normal(10.0, 1.5, 50_000)), 0.0, 1e9)
AMOUNTS = np.where(RNG.random(50_000) < 0.6, 0.0, RNG.exponential(300.0, 50_000))


def learned(values, lower, upper, *, n_cells=32, stddev=0.0, whole=False):
    grid = leaf_grid(lower, upper, whole=whole)
    counts = tree_counts(grid.index(values), grid.n_levels)
    noisy = counts + np.random.default_rng(2).normal(0.0, 1.0, len(counts)) * stddev
    masses = leaf_masses(noisy, float(len(values)), max(stddev, 1e-9), grid)
    cell_rows = max(len(values) / n_cells, 3.0 * stddev)
    return quantile_codec("x", "integer" if whole else "float", False, grid, masses, cell_rows=cell_rows)


@pytest.mark.parametrize(("values", "upper"), [(INCOMES, 1e9), (AMOUNTS, 1e6)])
def test_scores_rise_with_values_and_the_law_is_strictly_increasing(values, upper):
    code = learned(values, 0.0, upper)
    probe = np.sort(np.concatenate([values[:2_000], np.linspace(0.0, upper, 500), [-1.0, 1e300]]))
    scores = code.score(probe)
    assert np.all(np.diff(scores) >= 0.0)
    assert np.all(np.abs(scores) <= SCORE_LIMIT)
    assert np.all(np.diff(code.cdf) > 0.0)
    assert (code.cdf[0], code.cdf[-1]) == (0.0, 1.0)
    assert np.all(np.diff(code.cell_starts) > 0)
    assert code.cell_mass.sum() == pytest.approx(1.0)


def test_scores_of_a_heavy_tail_look_normal():
    scores = learned(INCOMES, 0.0, 1e9).score(INCOMES)
    assert abs(scores.mean()) < 0.05
    assert scores.std() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("stddev", [0.0, 20.0])
def test_draws_stay_inside_their_cell(stddev):
    code = learned(INCOMES, 0.0, 1e9, stddev=stddev)
    cell = np.repeat(np.arange(code.n_cells), 300)
    values = code.draw(cell, np.tile(np.append(np.linspace(0.0, 1.0, 299, endpoint=False), 1.0 - 1e-12), code.n_cells))
    leaf = code.grid.index(values)
    ends = np.append(code.cell_starts, code.grid.n_leaves)
    # an edge that two leaves share belongs to either; no value leaves its cell by more than that
    assert np.all(leaf >= ends[cell])
    assert np.all(code.grid.low[leaf] <= code.grid.high[ends[cell + 1] - 1])


@pytest.mark.parametrize(("values", "upper"), [(INCOMES, 1e9), (AMOUNTS, 1e6)])
def test_value_inverts_score_up_to_a_leaf(values, upper):
    code = learned(values, 0.0, upper)
    probe = values[:3_000]
    scores = code.score(probe)
    inner = np.abs(scores) < SCORE_LIMIT
    back = code.value(scores[inner])
    leaf = code.grid.index(probe[inner])
    room = 1e-6 * (code.grid.high[leaf] - code.grid.low[leaf]) + 1e-9
    assert np.all(back >= code.grid.low[leaf] - room)
    assert np.all(back <= code.grid.high[leaf] + room)


@pytest.mark.parametrize("stddev", [0.0, 10.0])
def test_a_heavy_tail_is_neither_smeared_to_the_bound_nor_cut(stddev):
    code = learned(INCOMES, 0.0, 1e9, n_cells=32, stddev=stddev)
    assert code.n_cells <= 40
    rng = np.random.default_rng(5)
    cell = rng.choice(code.n_cells, 50_000, p=code.cell_mass)
    drawn = code.draw(cell, rng.random(50_000))
    real = np.quantile(INCOMES, 0.999)
    assert 0.5 * real <= np.quantile(drawn, 0.999) <= 2.0 * real
    assert np.mean(drawn > 10.0 * INCOMES.max()) < 1e-4


def test_the_mass_at_zero_is_a_cell_alone():
    code = learned(AMOUNTS, 0.0, 1e6)
    first = code.cell(code.score(np.zeros(1)))[0]
    assert np.all(code.draw(np.full(1_000, first), np.linspace(0.0, 0.999, 1_000)) == 0.0)
    assert code.cell_mass[first] == pytest.approx(np.mean(AMOUNTS == 0.0), abs=0.01)


def test_whole_numbers_are_drawn_whole():
    ages = RNG.integers(17, 91, 10_000).astype(np.float64)
    code = learned(ages, 0, 120, whole=True)
    drawn = code.draw(RNG.integers(0, code.n_cells, 5_000), RNG.random(5_000))
    assert np.array_equal(drawn, np.rint(drawn))
    assert drawn.min() >= 0.0
    assert drawn.max() <= 120.0


def test_a_column_without_rows_has_an_even_law():
    grid = leaf_grid(0, 9, whole=True)
    code = quantile_codec("x", "integer", False, grid, np.zeros(N_LEAVES), cell_rows=1.0)
    assert np.allclose(np.diff(code.cdf), 0.1)


def test_helpers_of_these_tests_make_codes_of_the_asked_shape():
    assert number("x").n_cells >= 8
    assert category("x", "a", "b", nullable=True).n_cells == 3
