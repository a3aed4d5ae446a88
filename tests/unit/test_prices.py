import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threea_spark.approximate.mixture import Mixture
from threea_spark.approximate.prices import large_enough, merge_smallest, raise_prices, unmet


def mixture_of(class_of, means=None):
    k = len(class_of)
    means = np.arange(k, dtype=np.float64)[:, None] if means is None else means
    return Mixture(means, np.ones(k), np.ones(k), np.zeros(k), np.array(class_of), "isotropic")


def test_small_clusters_are_paid_and_large_ones_are_not():
    raised = raise_prices(mixture_of([0, 0, 0]), np.array([10.0, 50.0, 500.0]), 100, 2.0)
    assert raised.prices[0] > raised.prices[1] > 0.0
    assert raised.prices[2] == 0.0


def test_a_price_is_given_back_but_never_falls_below_zero():
    mixture = raise_prices(mixture_of([0, 0]), np.array([0.0, 0.0]), 100, 2.0)
    prices = [mixture.prices[0]]
    for _ in range(20):
        mixture = raise_prices(mixture, np.array([500.0, 500.0]), 100, 2.0)
        prices.append(mixture.prices[0])
    assert prices == sorted(prices, reverse=True)
    assert prices[-1] == 0.0


def test_a_noisy_negative_size_is_a_size():
    raised = raise_prices(mixture_of([0, 0]), np.array([-1e9, 1e9]), 100, 2.0)
    assert np.all(np.isfinite(raised.prices))
    assert raised.prices[0] > 0.0


def test_prices_reach_the_minimum_where_it_can_be_reached():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(-1.0, 0.3, 900), rng.normal(1.0, 0.3, 100)])[:, None].astype(np.float32)
    mixture = mixture_of([-1, -1], np.array([[-1.0], [1.0]]))
    classes = np.zeros(len(x), dtype=np.int64)

    def sizes_of(m):
        return np.bincount(m.assign(x, classes), minlength=2).astype(np.float64)

    assert sizes_of(mixture).min() < 300
    for _ in range(200):
        if sizes_of(mixture).min() >= 300:
            break
        mixture = raise_prices(mixture, sizes_of(mixture), 300, 1.0)
    assert sizes_of(mixture).min() >= 300
    assert unmet(mixture, sizes_of(mixture), 300) == 0


def merge_all(mixture, sizes, min_cluster_size):
    return mixture.keep(large_enough(mixture, sizes, min_cluster_size))


def test_merging_drops_the_smallest_of_each_class():
    merged = merge_smallest(mixture_of([0, 0, 0, 1, 1]), np.array([5.0, 50.0, 500.0, 20.0, 500.0]), 100)
    assert merged.means[:, 0].tolist() == [1.0, 2.0, 4.0]


def test_merging_all_keeps_what_holds_the_minimum():
    merged = merge_all(mixture_of([0, 0, 0, 1, 1]), np.array([5.0, 50.0, 500.0, 20.0, 500.0]), 100)
    assert merged.means[:, 0].tolist() == [2.0, 4.0]


@pytest.mark.parametrize("merge", [merge_all, merge_smallest])
@settings(max_examples=100, deadline=None)
@given(
    clusters=st.lists(st.tuples(st.integers(-1, 3), st.floats(-1e6, 1e6)), min_size=1, max_size=12),
    least=st.integers(1, 10**6),
)
def test_the_last_cluster_of_a_class_is_never_merged(merge, clusters, least):
    class_of, sizes = zip(*clusters, strict=True)
    merged = merge(mixture_of(class_of), np.array(sizes), least)
    assert set(merged.class_of.tolist()) == set(class_of)


def test_merging_one_by_one_ends_where_nothing_is_unmet():
    rng = np.random.default_rng(2)
    mixture, sizes = mixture_of([0] * 6 + [1] * 5), rng.integers(0, 200, 11).astype(np.float64)
    for _ in range(12):
        before = mixture.means[:, 0].astype(int)
        if unmet(mixture, sizes[before], 100) == 0:
            break
        mixture = merge_smallest(mixture, sizes[before], 100)
    own = mixture.means[:, 0].astype(int)
    assert unmet(mixture, sizes[own], 100) == 0
    assert {0, 1} == set(mixture.class_of.tolist())


def test_a_lone_small_cluster_is_not_counted_as_unmet():
    assert unmet(mixture_of([0, 1, 1]), np.array([1.0, 1.0, 500.0]), 100) == 1
