"""Sizes of what a fit reads are rounded up, so that it is rarely compiled again; padding weighs nothing."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from small_tables import category, number

from threea_spark.approximate import product_problem
from threea_spark.approximate.product_fit import _loss
from threea_spark.approximate.product_problem import problem_of
from threea_spark.approximate.products import CellTables, Evidence, PairTables
from threea_spark.approximate.tables import table_columns
from threea_spark.encode.codec import Encoding

K = 7
VALUE_AND_GRADIENT = jax.jit(jax.value_and_grad(_loss))
ROUNDED = ("_CELLS", "_GROUPS", "_ALL_GROUPS", "_TABLES")


def evidence_of(n_levels=9, chosen=((0, 3), (0, 1), (2, 3), (1, 2), (0, 2)), seed=0):
    """Any tables of two numbers, a category and a label."""
    rng = np.random.default_rng(seed)
    levels = category("c", *"pqrstuvwxyz"[:n_levels])
    encoding = Encoding((number("a", 0, 1), number("b", 0, 1), levels), category("y", "no", "yes"), 20.0)
    columns = table_columns(encoding, 5)
    counted = columns.in_other_tables()
    full = np.where(counted, rng.random(counted.shape), 0.0)
    tables = tuple(rng.random((columns.sizes[a], columns.sizes[b])) for a, b in chosen)
    return Evidence(columns, 0.3, PairTables(full + full.T, 0.5), CellTables(chosen, tables, 0.2))


def parameters_of(problem, seed=1):
    """Log odds for all cells, those of the padding as well."""
    rng = np.random.default_rng(seed)
    odds = rng.standard_normal((*problem.marginals.shape, K)).astype(np.float32)
    return {"odds": odds, "weights": rng.standard_normal(K).astype(np.float32)}


def test_padding_changes_neither_loss_nor_gradient(monkeypatch):
    evidence = evidence_of()
    padded = problem_of(evidence, 0.1, 0.01)
    parameters = parameters_of(padded)
    loss, gradient = VALUE_AND_GRADIENT(parameters, padded)
    for name in ROUNDED:
        monkeypatch.setattr(product_problem, name, 1)
    plain = problem_of(evidence, 0.1, 0.01)
    n_cells = plain.marginals.shape[1]
    assert plain.marginals.shape < padded.marginals.shape
    assert len(plain.places) < len(padded.places)
    own = {**parameters, "odds": parameters["odds"][:, :n_cells]}
    expected, by_odds = VALUE_AND_GRADIENT(own, plain)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(gradient["odds"][:, :n_cells], by_odds["odds"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(gradient["weights"], by_odds["weights"], rtol=1e-3, atol=1e-3)
    assert not np.any(gradient["odds"][:, n_cells:])


def test_an_entry_of_the_padding_that_had_a_precision_would_be_noticed():
    problem = problem_of(evidence_of(), 0.1, 0.01)
    precision = problem.precision.copy()
    precision[-1, 0] = 1000.0
    parameters = parameters_of(problem)
    loss, _ = VALUE_AND_GRADIENT(parameters, problem)
    assert VALUE_AND_GRADIENT(parameters, problem._replace(precision=precision))[0] > loss + 1e-3


def shapes(problem):
    return jax.tree.map(np.shape, problem)


def test_a_level_or_a_pair_more_is_a_fit_of_the_same_shapes(monkeypatch):
    few, more = evidence_of(9), evidence_of(10)
    fewer = replace(few.cells, pairs=few.cells.pairs[1:], shares=few.cells.shares[1:])
    others = [more, replace(few, cells=fewer)]
    assert all(shapes(problem_of(other, 0.1, 0.01)) == shapes(problem_of(few, 0.1, 0.01)) for other in others)
    for name in ROUNDED:
        monkeypatch.setattr(product_problem, name, 1)
    assert all(shapes(problem_of(other, 0.1, 0.01)) != shapes(problem_of(few, 0.1, 0.01)) for other in others)
