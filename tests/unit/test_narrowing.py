"""Conditions by the mixture's posterior: the same distribution as trying row by row, however rare the condition."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import chisquare
from small_tables import mixed_encoding

from threea_spark.model.conditions import Conditions
from threea_spark.model.narrowing import component_log_densities, narrowed
from threea_spark.model.sampler import RowSampler, decode_rows

ENCODING = mixed_encoding()
N = 20_000


def sampler_of(seed=4, k=5):
    """A mixture whose components differ in every column."""
    rng = np.random.default_rng(seed)
    chances = rng.gamma(0.5, size=(k, ENCODING.n_cells)) + 1e-4
    orders = tuple(np.arange(size) for size in ENCODING.cell_layout.sizes)
    weights, classes = rng.dirichlet(np.ones(k)), rng.dirichlet(np.ones(2), k)
    independent = np.eye(len(orders))
    return RowSampler(
        weights, np.full(k, -1), ENCODING.cell_layout.normalise(chances), orders, independent, None, classes
    )


def drawn(sampler, n_rows=N, seed=1):
    rng = np.random.default_rng(seed)
    cells, classes = sampler.draw_cells(ENCODING, n_rows, rng)
    return cells, classes, decode_rows(ENCODING, "died", cells, classes, rng)


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(values={"ward": "b"}),
        Conditions(values={"sex": "m"}, ranges={"age": (20, 50)}),
        Conditions(ranges={"income": (1e5, 3e5)}),
        Conditions(nulls=frozenset({"income"})),
        Conditions(nulls=frozenset({"sex"})),
    ],
)
def test_narrowed_rows_that_fit_follow_the_rows_that_fit_without_it(conditions):
    free, near = sampler_of(), narrowed(sampler_of(), ENCODING, conditions)
    cells, classes, columns = drawn(free, 20 * N)
    fits = conditions._fits(columns)
    near_cells, near_classes, near_columns = drawn(near)
    near_fits = conditions._fits(near_columns)
    assert near_fits.mean() > min(0.5, 2 * fits.mean())
    for column in range(cells.shape[1]):
        expected = np.bincount(cells[fits, column], minlength=ENCODING.n_cells)
        found = np.bincount(near_cells[near_fits, column], minlength=ENCODING.n_cells)
        held = expected > 50
        if held.sum() < 2:
            continue  # the condition leaves one cell
        share = expected[held] / expected[held].sum()
        assert chisquare(found[held], share * found[held].sum()).pvalue > 1e-5
    expected = np.bincount(classes[fits]) / fits.sum()
    assert chisquare(np.bincount(near_classes[near_fits]), expected * near_fits.sum()).pvalue > 1e-5


def test_weights_that_stay_as_they_were_give_another_distribution():
    conditions, free = Conditions(values={"ward": "b"}), sampler_of()
    near = narrowed(free, ENCODING, conditions)
    wrong = RowSampler(free.weights, free.class_of, near.laws, free.orders, free.factor, None, free.class_probabilities)
    _, classes, columns = drawn(free, 20 * N)
    expected = np.bincount(classes[conditions._fits(columns)]) / conditions._fits(columns).sum()
    counts = np.bincount(drawn(wrong)[1])
    assert chisquare(counts, expected * counts.sum()).pvalue < 1e-5


def test_correlated_columns_and_no_condition_leave_the_distribution_as_it_is():
    free = sampler_of()
    assert narrowed(free, ENCODING, Conditions()) is free
    factor = np.linalg.cholesky(0.5 * np.eye(4) + 0.5)
    bound = RowSampler(free.weights, free.class_of, free.laws, free.orders, factor, None, free.class_probabilities)
    assert narrowed(bound, ENCODING, Conditions(values={"ward": "b"})) is bound


def test_the_posterior_of_components_is_bayes_rule():
    sampler = sampler_of()
    cells, _, _ = drawn(sampler, 50)
    joint = np.array([sampler.weights * np.prod(sampler.laws[:, row], axis=1) for row in cells])
    assert np.allclose(
        softmax(component_log_densities(sampler, cells, range(4)), axis=1), joint / joint.sum(axis=1, keepdims=True)
    )
