import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tables import mixed_encoding, mixed_rows

from threea_spark.approximate.marginals import Marginals, cell_counts, marginals_of, marginals_query, pooled, row_bound
from threea_spark.approximate.mixture import Mixture
from threea_spark.privacy.terms import Stage

ENCODING = mixed_encoding()
K = 3


def size_of(n_components):
    """Of the query that asks for so many components' counts."""
    zeros = np.zeros((n_components, ENCODING.width))
    ones = np.ones(n_components)
    mixture = Mixture(zeros, ones, ones, 0.0 * ones, np.full(n_components, -1), "isotropic")
    return marginals_query(ENCODING, mixture, Stage.APPROXIMATE, "marginals").size


def table(n, seed=1):
    cells = ENCODING.cells(ENCODING.pack(mixed_rows(n, seed)))
    return cells, np.random.default_rng(seed).integers(0, K, n)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 20), seed=st.integers(0, 1_000))
def test_neighbouring_tables_differ_by_exactly_one_plus_the_features(n, seed):
    cells, component = table(n, seed)
    more = cell_counts(cells, component, K, ENCODING.n_cells)
    fewer = cell_counts(cells[:-1], component[:-1], K, ENCODING.n_cells)
    assert np.sum((more - fewer) ** 2) == row_bound(4).squared_norm == 1 + len(ENCODING.features)
    assert np.count_nonzero(more - fewer) == row_bound(4).moved


def test_counts_of_parts_add_up_to_the_whole():
    cells, component = table(1_000)
    parts = [cell_counts(cells[i::3], component[i::3], K, ENCODING.n_cells) for i in range(3)]
    whole = cell_counts(cells, component, K, ENCODING.n_cells)
    assert np.array_equal(sum(parts), whole)
    assert whole.size == size_of(K)
    assert whole[:K].sum() == 1_000
    assert whole[K:].sum() == 4_000


def test_without_noise_laws_are_the_frequencies():
    cells, component = table(5_000)
    exact = cell_counts(cells, component, K, ENCODING.n_cells).astype(np.float64)
    found = marginals_of(exact, 0.0, K, ENCODING.cell_layout)
    assert found.sizes == pytest.approx(exact[:K])
    assert found.weights.sum() == pytest.approx(1.0)
    laws = found.probabilities(ENCODING.cell_layout)
    for start, stop in zip(ENCODING.cell_layout.offsets[:-1], ENCODING.cell_layout.offsets[1:], strict=True):
        assert np.allclose(laws[:, start:stop].sum(axis=1), 1.0)
    expected = exact[K:].reshape(K, -1)[:, -3:] / exact[:K, None]
    assert np.allclose(laws[:, -3:], expected, atol=1e-6)


def test_pooled_sizes_are_closer_than_the_size_alone():
    cells, component = table(3_000)
    exact = cell_counts(cells, component, K, ENCODING.n_cells)
    own, together = [], []
    for seed in range(200):
        noisy = exact + np.random.default_rng(seed).normal(0.0, 50.0, exact.size)
        own.append(noisy[:K] - exact[:K])
        together.append(marginals_of(noisy, 50.0, K, ENCODING.cell_layout).sizes - exact[:K])
    assert np.std(together) < 0.9 * np.std(own)
    assert abs(np.mean(together)) < 10.0


def test_laws_of_noise_alone_are_laws():
    noisy = np.random.default_rng(1).normal(0.0, 100.0, size_of(K))
    found = marginals_of(noisy, 100.0, K, ENCODING.cell_layout)
    laws = found.probabilities(ENCODING.cell_layout)
    assert np.all(laws > 0.0)
    assert np.all(found.sizes >= 100.0)


def test_two_readings_are_pooled_by_inverse_variance():
    one = Marginals(np.array([10.0]), np.array([[4.0, 6.0]]), 1.0)
    two = Marginals(np.array([20.0]), np.array([[8.0, 12.0]]), 2.0)
    both = pooled(one, two)
    assert both.sizes == pytest.approx([12.0])
    assert both.counts[0] == pytest.approx([4.8, 7.2])
    assert both.stddev == pytest.approx((1.0 + 0.25) ** -0.5)
    assert pooled(one, None) is one
