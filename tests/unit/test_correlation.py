import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from threea_spark.approximate.correlation import (
    GRID,
    cell_scores,
    correlations,
    is_worth_it,
    pair_products,
    product_bound,
    variances,
)


def exact_norm(sums):
    return sum(int(v) ** 2 for v in sums)


ROWS = st.integers(2, 12).flatmap(
    lambda f: arrays(np.float64, (1, f), elements=st.floats(-7.0, 7.0) | st.sampled_from([0.0, 3.0, -3.0]))
)


@settings(max_examples=300, deadline=None)
@given(row=ROWS, bound=st.integers(1, 10**6))
def test_one_rows_products_never_exceed_the_bound(row, bound):
    assert exact_norm(pair_products(row, bound)) <= bound * bound


@pytest.mark.parametrize("n_features", [2, 50, 1_000])
@pytest.mark.parametrize("score", [3.0, 6.1, 1e6, 1e300])
def test_adversarial_rows_stay_within_the_bound(n_features, score):
    spread = np.ones(n_features)
    bound = product_bound(spread)
    for row in (np.full((1, n_features), score), np.where(np.arange(n_features) % 2, score, -score)[None, :]):
        sums = pair_products(row, bound).astype(object)
        assert (sums**2).sum() <= bound * bound


def test_a_very_wide_adversarial_row_is_seen_to_be_too_long():
    bound = 10**7
    sums = pair_products(np.full((1, 5_200), 6.1), bound)  # its squares would overflow int64 if scores were not cut
    unit = round(abs(int(sums[0])) ** 0.5)  # every product is the same square
    assert unit * unit == sums[0]
    assert len(sums) * unit**4 <= bound * bound


def test_typical_rows_are_not_shrunk():
    rng = np.random.default_rng(1)
    scores = np.clip(rng.normal(size=(2_000, 20)), -1.0, 1.0)
    bound = product_bound(np.ones(20))
    units = np.rint(scores * GRID)
    assert np.array_equal(pair_products(scores, bound), np.rint(units.T @ units)[np.triu_indices(20, 1)])


def test_products_of_parts_add_up_to_the_whole():
    scores = np.random.default_rng(2).normal(size=(999, 6))
    bound = product_bound(np.ones(6))
    parts = [pair_products(scores[i::3], bound) for i in range(3)]
    assert np.array_equal(sum(parts), pair_products(scores, bound))


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.5, 0.9])
def test_a_known_correlation_is_recovered_without_noise(rho):
    rng = np.random.default_rng(3)
    n = 40_000
    scores = rng.multivariate_normal([0, 0, 0], [[1, rho, 0], [rho, 1, 0], [0, 0, 1]], n)
    edges = norm.ppf(np.linspace(0, 1, 33)[1:-1])
    law = np.full(32, 1 / 32)
    table = cell_scores(law, np.arange(32))
    celled = table[np.searchsorted(edges, scores)]
    spread = variances([table] * 3, [law] * 3)
    sums = pair_products(celled, 10**9).astype(np.float64)
    matrix = correlations(sums, 0.0, n, spread)
    assert matrix[0, 1] == pytest.approx(rho, abs=0.03)
    assert matrix[0, 2] == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("seed", range(20))
def test_correlations_are_positive_definite_with_ones_whatever_the_noise(seed):
    rng = np.random.default_rng(seed)
    n_features = 12
    stddev = 10.0 ** rng.uniform(0, 9)
    noisy = rng.normal(0.0, 10.0 ** rng.uniform(0, 10), n_features * (n_features - 1) // 2)
    matrix = correlations(noisy, stddev, 1_000.0, rng.uniform(0.0, 1.0, n_features))
    assert np.linalg.eigvalsh(matrix).min() > 0.0
    assert np.allclose(np.diag(matrix), 1.0)
    assert np.allclose(matrix, matrix.T)
    np.linalg.cholesky(matrix)


def test_sums_within_their_noise_give_no_correlation():
    noisy = np.array([0.9, -0.5, 0.3]) * 1e6
    assert np.array_equal(correlations(noisy, 1e6, 1_000.0, np.ones(3)), np.eye(3))


def test_cell_scores_have_mean_zero_and_rise_along_the_order():
    law = np.array([0.1, 0.4, 0.3, 0.2])
    order = np.array([2, 0, 3, 1])
    scores = cell_scores(law, order)
    assert np.dot(law, scores) == pytest.approx(0.0, abs=1e-9)
    assert np.all(np.diff(scores[order]) > 0.0)
    assert variances([scores], [law])[0] < 1.0
    draws = norm.ppf(np.linspace(0, 1, 200_001)[1:-1])
    first = draws[draws < norm.ppf(0.3)]
    assert scores[2] == pytest.approx(first.mean(), abs=1e-3)


def test_cells_without_mass_have_finite_scores():
    assert np.all(np.isfinite(cell_scores(np.array([0.0, 1.0, 0.0]), np.arange(3))))


def test_correlations_are_bought_only_where_they_stand_out():
    assert is_worth_it(np.ones(10), 1e6, 0.5)
    assert not is_worth_it(np.ones(10), 100.0, 0.5)
    assert not is_worth_it(np.ones(1), 1e9, 0.5)
    assert not is_worth_it(np.ones(10), 1e9, 0.0)
