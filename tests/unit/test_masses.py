"""Masses of leaves: sound whatever the noise, and tails that are neither noise up to the bound nor cut off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from threea_spark.encode.grid import BRANCHING, leaf_grid
from threea_spark.encode.masses import leaf_masses
from threea_spark.encode.quantile_codec import quantile_codec
from threea_spark.encode.tree import consistent_tree, n_nodes, share_out, tree_counts

N = 20_000
STDDEV = 100.0
BOUNDS = [(0, 9, True), (0, 120, True), (-40, 100_000, True), (0.0, 1e6, False), (-1e300, 1e300, False), (3, 5, False)]
BOUNDS += [(0.1, 0.1 + 1e-15, False), (0.0, 1e-300, False), (1e9, 1e9 + 1.0, False), (0, 2**53, True)]
RNG = np.random.default_rng(11)
AMOUNTS = np.where(RNG.random(N) < 0.4, 0.0, np.exp(RNG.normal(7.0, 1.2, N)))
PRESSURES = RNG.normal(120.0, 18.0, N)
SIGNED = RNG.laplace(0.0, 25.0, N)


def noisy_counts(values, grid, stddev, seed):
    counts = tree_counts(grid.index(values), grid.n_levels)
    return counts + np.random.default_rng(seed).normal(0.0, stddev, len(counts))


def moments(grid, masses):
    """Mean and standard deviation of the rows that a codec draws from masses."""
    codec = quantile_codec("x", "float", False, grid, masses, cell_rows=400.0)
    uniform = (np.arange(50_000) + 0.5) / 50_000
    drawn = codec.value(ndtri(uniform))
    return drawn.mean(), drawn.std()


def evenly(noisy, n_rows, stddev, grid):
    """The naive estimator: what stands out keeps its count, in tails as elsewhere, and the rest is spread evenly."""
    exists = np.arange(BRANCHING**grid.n_levels) < grid.n_leaves
    tree = consistent_tree(noisy, n_rows, exists)
    weights = [exists.astype(np.float64)]
    for _ in tree.counts[1:]:
        weights.insert(0, weights[0].reshape(-1, BRANCHING).sum(axis=1))
    masses = np.array([n_rows])
    for counts, weight in zip(tree.counts, weights, strict=True):
        masses = share_out(masses, counts.reshape(-1, BRANCHING), weight.reshape(-1, BRANCHING), 2.0 * stddev)
    return masses[: grid.n_leaves]


@settings(max_examples=60, deadline=None)
@given(
    bounds=st.sampled_from(BOUNDS),
    n_rows=st.integers(1, 5_000),
    stddev=st.sampled_from([1e-9, 1.0, 30.0, 3_000.0, 1e6]),
    at=st.floats(0.0, 1.0),
    spread=st.floats(0.0, 0.3),
    seed=st.integers(0, 1_000),
)
def test_masses_are_non_negative_and_sum_to_the_rows_and_their_codec_is_sound(bounds, n_rows, stddev, at, spread, seed):
    lower, upper, whole = bounds
    grid = leaf_grid(lower, upper, whole=whole)
    rng = np.random.default_rng(seed)
    values = lower + np.clip(at + spread * rng.standard_normal(n_rows), 0.0, 1.0) * (float(upper) - lower)
    masses = leaf_masses(noisy_counts(values, grid, stddev, seed), float(n_rows), stddev, grid)
    assert masses.shape == (grid.n_leaves,)
    assert np.all(masses >= 0.0)
    assert masses.sum() == pytest.approx(n_rows)
    codec = quantile_codec("x", "float", False, grid, masses, cell_rows=max(n_rows / 32, stddev))
    assert codec.cell_mass.sum() == pytest.approx(1.0)
    assert np.all(np.diff(codec.cdf) > 0.0)
    drawn = codec.draw(np.arange(codec.n_cells), np.full(codec.n_cells, 0.5))
    assert np.all(np.abs(codec.cell(codec.score(drawn)) - np.arange(codec.n_cells)) <= 1)


def test_without_noise_heavy_leaves_come_back():
    grid = leaf_grid(0, 4_000, whole=True)
    values = np.repeat([3.0, 100.0, 101.0, 2_400.0], [500, 300, 150, 50])
    masses = leaf_masses(noisy_counts(values, grid, 0.0, 0), 1_000.0, 1e-9, grid)
    assert masses[grid.index(np.array([3.0, 100.0, 101.0, 2_400.0]))] == pytest.approx([500, 300, 150, 50], abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_noise_that_outweighs_all_rows_still_gives_masses(seed):
    grid = leaf_grid(0.0, 1e6, whole=False)
    masses = leaf_masses(np.random.default_rng(seed).normal(0.0, 1e6, n_nodes(grid.n_levels)), 1.0, 1e6, grid)
    assert np.all(np.isfinite(masses))
    assert masses.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("values", "lower", "upper"),
    [
        (AMOUNTS, 0.0, 2e5),
        (AMOUNTS, 0.0, 2e7),
        (PRESSURES, 0.0, 300.0),
        (PRESSURES, 0.0, 3e4),
        (PRESSURES, -3e4, 3e4),
        (SIGNED, -3e4, 3e4),
    ],
)
def test_mean_and_spread_are_right_however_wide_the_bounds_and_far_better_than_with_even_tails(values, lower, upper):
    grid, centre, width = leaf_grid(lower, upper, whole=False), values.mean(), values.std()
    means, spreads, naive = [], [], []
    for seed in range(8):
        noisy = noisy_counts(values, grid, STDDEV, seed)
        mean, spread = moments(grid, leaf_masses(noisy, float(N), STDDEV, grid))
        means.append(abs(mean - centre) / width)
        spreads.append(spread / width)
        naive.append(moments(grid, evenly(noisy, float(N), STDDEV, grid))[1] / width)
    assert np.median(means) < 0.1
    assert 0.75 < np.median(spreads) < 1.25
    assert max(spreads) < 2.0
    assert np.mean(np.abs(np.log(spreads))) < 0.7 * np.mean(np.abs(np.log(naive)))


@pytest.mark.parametrize("seed", range(5))
def test_a_code_and_a_cap_in_a_tail_keep_their_rows(seed):
    """Together they are less than half of the rows, so the tail begins before them."""
    values = np.concatenate([RNG.gamma(2.0, 3.0, N - 3_000), np.full(1_500, 700.0), np.full(1_500, 999.0)])
    grid = leaf_grid(0.0, 999.0, whole=False)
    masses = leaf_masses(noisy_counts(values, grid, STDDEV, seed), float(N), STDDEV, grid)
    cdf = np.cumsum(masses)
    sixty, before, behind, last = grid.index(np.array([60.0, 650.0, 750.0, 998.0]))
    assert masses[-1] == pytest.approx(1_500, abs=5 * STDDEV)
    assert cdf[behind] - cdf[before] == pytest.approx(1_500, abs=6 * STDDEV)
    assert cdf[before] - cdf[sixty] < 5 * STDDEV
    assert cdf[last] - cdf[behind] < 5 * STDDEV


def test_a_column_that_noise_drowns_keeps_the_order_of_its_values():
    """Rows of seven standard deviations of the noise: scores that are all alike would say nothing of the values."""
    grid, likeness = leaf_grid(0.0, 50.0, whole=False), []
    for seed in range(30):
        values = np.clip(np.random.default_rng(seed).exponential(5.0, 640), 0.0, 50.0)
        masses = leaf_masses(noisy_counts(values, grid, 90.0, seed), 640.0, 90.0, grid)
        scores = quantile_codec("x", "float", False, grid, masses, cell_rows=270.0).score(values)
        likeness.append(np.corrcoef(scores, values)[0, 1])
    assert min(likeness) > 0.5
    assert np.mean(likeness) > 0.8
