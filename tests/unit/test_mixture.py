import pickle
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture
from small_tables import mixed_encoding, mixed_rows

from threea_spark.approximate.mixture import REG_COVAR, Mixture, m_step, starting_mixture
from threea_spark.approximate.statistics import first_statistics, product_bound, second_statistics
from threea_spark.encode.feature import SCORE_GRID

COVARIANCES = ["isotropic", "diagonal", "full"]
ENCODING = mixed_encoding(clip_norm=1.5)
BOUND = ENCODING.norm_bound


def as_integers(sums):
    return sum(int(v) ** 2 for v in sums)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 12), seed=st.integers(0, 10_000))
def test_first_statistics_of_neighbours_lie_within_the_bound(n, seed):
    packed = ENCODING.pack(mixed_rows(n, seed))
    component = np.random.default_rng(seed).integers(0, 3, n)
    added = first_statistics(packed, component, 3, BOUND) - first_statistics(packed[:-1], component[:-1], 3, BOUND)
    assert as_integers(added) <= 2 * BOUND**2


@pytest.mark.parametrize("covariance", COVARIANCES)
@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 12), seed=st.integers(0, 10_000))
def test_second_statistics_of_neighbours_lie_within_the_bound(covariance, n, seed):
    packed = ENCODING.pack(mixed_rows(n, seed))
    component = np.random.default_rng(seed).integers(0, 3, n)
    more = second_statistics(packed, component, 3, covariance)
    fewer = second_statistics(packed[:-1], component[:-1], 3, covariance)
    assert as_integers(more - fewer) <= product_bound(BOUND) ** 2


def test_the_first_bound_is_reached_by_a_row_of_full_length():
    row = np.array([[BOUND, 0]], dtype=np.int16)
    assert as_integers(first_statistics(row, np.zeros(1, dtype=np.int64), 1, BOUND)) == 2 * BOUND**2


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_statistics_of_parts_add_up_to_the_whole(covariance):
    packed = ENCODING.pack(mixed_rows(500))
    component = np.random.default_rng(1).integers(0, 3, 500)
    for statistics, last in ((first_statistics, BOUND), (second_statistics, covariance)):
        parts = [statistics(packed[i::3], component[i::3], 3, last) for i in range(3)]
        assert np.array_equal(sum(parts), statistics(packed, component, 3, last))


def two_clusters(n=4_000):
    rng = np.random.default_rng(7)
    side = rng.random(n) < 0.4
    x = np.where(side[:, None], [1.5, -1.0], [-1.5, 1.0]) + rng.normal(size=(n, 2)) * [0.5, 0.3]
    return np.rint(x * SCORE_GRID).astype(np.int16), side


def iterated(packed, covariance, *, steps=8, noise_rows=0.0, seed=0):
    rng = np.random.default_rng(seed)
    bound = 4 * SCORE_GRID
    mixture = starting_mixture({-1: 2}, packed.shape[1], covariance, rng, 0.5)
    scores = packed.astype(np.float32) / SCORE_GRID
    for _ in range(steps):
        component = mixture.assign(scores, np.zeros(len(scores), dtype=np.int64))
        first = first_statistics(packed, component, 2, bound).astype(np.float64)
        second = second_statistics(packed, component, 2, covariance).astype(np.float64)
        mixture = m_step(mixture, first, second if second.size else None, norm_bound=bound, noise_rows=noise_rows)
    return mixture


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_em_without_noise_finds_two_clear_clusters(covariance):
    packed, side = two_clusters()
    mixture = iterated(packed, covariance)
    order = np.argsort(mixture.means[:, 0])
    assert mixture.means[order] == pytest.approx(np.array([[-1.5, 1.0], [1.5, -1.0]]), abs=0.06)
    assert mixture.sizes[order] / len(packed) == pytest.approx([0.6, 0.4], abs=0.02)
    found = mixture.assign(packed.astype(np.float32) / SCORE_GRID, np.zeros(len(packed), dtype=np.int64))
    assert np.mean((found == order[1]) == side) > 0.99


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_em_agrees_with_scikit_learn_on_clear_clusters(covariance):
    packed, _ = two_clusters()
    mixture = iterated(packed, covariance)
    kind = {"diagonal": "diag"}.get(covariance, covariance)
    oracle = GaussianMixture(2, covariance_type=kind, random_state=0).fit(packed / SCORE_GRID)
    ours, theirs = np.argsort(mixture.means[:, 0]), np.argsort(oracle.means_[:, 0])
    assert mixture.means[ours] == pytest.approx(oracle.means_[theirs], abs=0.03)
    room = REG_COVAR if covariance == "diagonal" else 0.0
    assert mixture.covariances[ours] == pytest.approx(oracle.covariances_[theirs] + room, abs=0.06)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_discrepancy_is_twice_the_negative_log_density(covariance):
    rng = np.random.default_rng(2)
    d, k = 4, 3
    if covariance == "full":
        roots = rng.normal(size=(k, d, d))
        covariances = roots @ np.swapaxes(roots, 1, 2) + 0.5 * np.eye(d)
        matrices = covariances
    else:
        covariances = rng.uniform(0.2, 2.0, (k, d))
        matrices = np.array([np.diag(c) for c in covariances])
    prices = rng.uniform(0.0, 1.0, k)
    mixture = Mixture(rng.normal(size=(k, d)), covariances, np.ones(k), prices, np.full(k, -1), covariance)
    x = rng.normal(size=(50, d)).astype(np.float32)
    oracle = np.column_stack(
        [
            -2.0 * multivariate_normal(mean, matrix).logpdf(x)
            for mean, matrix in zip(mixture.means, matrices, strict=True)
        ]
    )
    found = mixture.discrepancy(x)
    difference = found - (oracle - d * np.log(2.0 * np.pi) - prices)
    assert np.allclose(difference, 0.0, atol=0.01)  # the grid of the precisions


def test_isotropic_discrepancy_is_squared_distance_up_to_the_rows_own_norm():
    rng = np.random.default_rng(3)
    mixture = Mixture(rng.normal(size=(3, 5)), np.ones(3), np.ones(3), np.zeros(3), np.full(3, -1), "isotropic")
    x = rng.normal(size=(40, 5)).astype(np.float32)
    distance = ((x[:, None] - mixture.means[None]) ** 2).sum(axis=2)
    assert np.allclose(mixture.discrepancy(x), distance - (x**2).sum(axis=1, keepdims=True), atol=1e-4)
    assert np.array_equal(mixture.assign(x, np.zeros(40, dtype=np.int64)), distance.argmin(axis=1))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_rows_discrepancy_is_the_same_to_the_last_bit_alone_and_in_any_batch(covariance):
    rng = np.random.default_rng(5)
    k, d = 7, 40
    shape = {"isotropic": (k,), "diagonal": (k, d), "full": (k, d, d)}[covariance]
    covariances = rng.uniform(0.1, 3.0, shape)
    if covariance == "full":
        covariances = np.einsum("kij,klj->kil", covariances, covariances) / d + 0.1 * np.eye(d)
    mixture = Mixture(rng.normal(size=(k, d)), covariances, np.ones(k), rng.random(k), np.full(k, -1), covariance)
    packed = np.rint(rng.normal(size=(600, d)) * SCORE_GRID).astype(np.int16)
    x = packed.astype(np.float32) / np.float32(SCORE_GRID)
    whole = mixture.discrepancy(x)
    assert np.array_equal(np.concatenate([mixture.discrepancy(x[i : i + 1]) for i in range(600)]), whole)
    for start, stop in ((1, 600), (3, 7), (0, 599), (17, 150)):
        assert np.array_equal(mixture.discrepancy(x[start:stop]), whole[start:stop])
    naive = x @ mixture.means.T.astype(np.float32)  # the twin: unrounded float32 products do depend on the batch
    alone = np.concatenate([x[i : i + 1] @ mixture.means.T.astype(np.float32) for i in range(600)])
    assert not np.array_equal(naive, alone)


def test_a_row_joins_only_components_of_its_class():
    mixture = Mixture(
        np.array([[0.0], [5.0], [0.0], [5.0]]),
        np.ones(4),
        np.ones(4),
        np.zeros(4),
        np.array([0, 0, 1, 1]),
        "isotropic",
    )
    x = np.array([[0.1], [0.1], [4.9], [4.9]], dtype=np.float32)
    assert mixture.assign(x, np.array([0, 1, 0, 1])).tolist() == [0, 2, 1, 3]


def test_one_component_a_class_is_the_class():
    mixture = Mixture(np.zeros((2, 1)), np.ones(2), np.ones(2), np.zeros(2), np.array([1, 0]), "isotropic")
    assert mixture.assign(np.zeros((3, 1), dtype=np.float32), np.array([0, 1, 0])).tolist() == [1, 0, 1]


def test_prices_draw_rows_to_a_component():
    mixture = Mixture(
        np.array([[0.0], [1.0]]), np.ones(2), np.ones(2), np.array([0.0, 3.0]), np.full(2, -1), "isotropic"
    )
    assert mixture.assign(np.array([[0.0]], dtype=np.float32), np.zeros(1, dtype=np.int64)).tolist() == [1]


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_an_empty_or_negative_component_falls_back_to_its_parent(covariance):
    mixture = starting_mixture({0: 2}, 3, covariance, np.random.default_rng(1), 0.5)
    first = np.concatenate([[100.0 * 4096, *[50.0 * 4096] * 3], [-5.0 * 4096, *[7.0] * 3]])
    packed = np.full((2, 3), 2_000, dtype=np.int16)
    second = second_statistics(packed, np.zeros(2, dtype=np.int64), 2, covariance).astype(np.float64)
    moved = m_step(mixture, first, second if second.size else None, norm_bound=4096, noise_rows=10.0)

    assert np.all(np.isfinite(moved.means))
    assert np.all(np.isfinite(moved.covariances))
    assert np.all(moved.sizes >= 0.0)
    assert moved.means[1] == pytest.approx(moved.means[0] * 0 + 50.0 / 95.0, abs=0.01)
    if covariance == "full":
        assert np.linalg.eigvalsh(moved.covariances).min() >= REG_COVAR * (1.0 - 1e-9)
    else:
        assert np.all(moved.covariances >= REG_COVAR)


def test_starting_centres_read_no_row_and_repeat_with_their_seed():
    one, two = (starting_mixture({0: 2, 1: 3}, 4, "full", np.random.default_rng(9), 0.5) for _ in range(2))
    assert np.array_equal(one.means, two.means)
    assert one.class_of.tolist() == [0, 0, 1, 1, 1]
    assert one.covariances.shape == (5, 4, 4)


def test_a_mixture_of_some_components_keeps_their_fields():
    mixture = starting_mixture({0: 2, 1: 1}, 2, "diagonal", np.random.default_rng(1), 0.5)
    kept = mixture.keep(np.array([True, False, True]))
    assert kept.n_components == 2
    assert kept.class_of.tolist() == [0, 1]
    assert np.array_equal(kept.means, mixture.means[[0, 2]])


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal", "full"])
def test_workers_invert_nothing_they_get_the_drivers_forms(covariance):
    """Two workers with other BLAS kernels would give a row two components, and files decide which of them reads it."""
    mixture = starting_mixture({0: 2, 1: 1}, 3, covariance, np.random.default_rng(1), 0.5)
    sent = pickle.dumps(mixture)
    with patch.object(np.linalg, "inv", None), patch.object(np.linalg, "slogdet", None):
        arrived = pickle.loads(sent)
        forms = arrived.forms
    assert np.array_equal(forms.constant, mixture.forms.constant)
    assert np.array_equal(forms.linear, mixture.forms.linear)
    if covariance != "isotropic":
        assert np.array_equal(forms.quadratic, mixture.forms.quadratic)
