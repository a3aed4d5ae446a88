"""Fits a mixture of products to noisy tables, by gradient descent in jax, on a GPU where there is one.

Post-processing: it reads released tables only. Minimised is the sum of squared differences between tables and model in
units of noise, half a chi-square, plus two priors whose strength is in proportion to rows per noise: a component's
column is close to the column's own distribution (Kullback-Leibler), and neighbouring cells of a number change alike.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from threea_spark.approximate.products import CellTables, PairTables, Products
from threea_spark.approximate.tables import TableColumns
from threea_spark.arrays import Float64Array
from threea_spark.engine.progress import counted

Parameters: TypeAlias = dict[str, jax.Array]
_CALLS = 20  # optimiser steps between two reports of progress
_ABSENT = -30.0  # log odds of a cell that a column does not have
_MIN_LOG = 1e-9


@dataclass(frozen=True)
class ProductSettings:
    """Settings of the fit.

    Attributes:
      components: Components of the mixture.
      steps: Steps of Adam from a random start.
      more_steps: Steps from an earlier fit.
      rate: Learning rate at the start; it falls to zero by a cosine.
      spread: Standard deviation of the starting log odds.
      prior: Strength of the prior on a component's columns, in units of rows per noise and of a column's pairs.
      smooth: Strength of the prior on neighbouring cells, in the same units.
    """

    components: int = 400
    steps: int = 800
    more_steps: int = 600
    rate: float = 0.1
    spread: float = 1.0
    prior: float = 0.07
    smooth: float = 0.007


@dataclass(frozen=True)
class Fit:
    """A fit, and where to go on from it.

    Attributes:
      products: The mixture. RELEASED.
      parameters: Of the optimiser.
    """

    products: Products
    parameters: Parameters


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured of a table. RELEASED.

    Attributes:
      columns: Their cells and groups.
      one_way_stddev: Standard deviation of the noise on a share of one cell of one column.
      pairs: Tables of all pairs.
      cells: Finer tables of chosen pairs, if any.
    """

    columns: TableColumns
    one_way_stddev: float
    pairs: PairTables
    cells: CellTables | None = None


def fit_products(
    evidence: Evidence, settings: ProductSettings, rng: np.random.Generator, start: Parameters | None = None
) -> Fit:
    """Fits the mixture.

    Args:
      evidence: What they are fitted to.
      settings: Settings of the fit.
      rng: Public randomness: starting points.
      start: Parameters of an earlier fit, to go on from.
    """
    problem, steps = _problem(evidence, settings), settings.steps if start is None else settings.more_steps
    parameters = _start(problem, settings, rng) if start is None else start
    state = _optimiser(settings.rate, steps).init(parameters)
    for _ in counted(-(-steps // _CALLS)):
        parameters, state = _advanced(parameters, state, problem, settings.rate, steps)
    return Fit(_products(problem, parameters, evidence.columns.sizes), parameters)


class _Cells(NamedTuple):
    """Finer tables, padded: the columns of each, shape (m,), and its cells, shape (m, n_cells, n_cells)."""

    first: jax.Array
    second: jax.Array
    shares: jax.Array
    precision: jax.Array


class _Problem(NamedTuple):
    """What the loss reads, all columns padded to the widest; a fit of the same shapes is not compiled again.

    Attributes:
      base: Log of the columns' own distributions, _ABSENT where a column has no cell, shape (n_columns, n_cells).
      marginals: The distributions, shape (n_columns, n_cells).
      grouping: Whether a cell is in a group, shape (n_columns, n_cells, n_groups).
      neighbours: Weight of the step from a cell to the next, shape (n_columns, n_cells - 1).
      shares, precision: Of all pairs in groups, shape (n_columns * n_groups, n_columns * n_groups).
      one_way_precision, prior, smooth: Scalars.
      cells: Finer tables, if any.
    """

    base: jax.Array
    marginals: jax.Array
    grouping: jax.Array
    neighbours: jax.Array
    shares: jax.Array
    precision: jax.Array
    one_way_precision: float
    prior: float
    smooth: float
    cells: _Cells | None


def _optimiser(rate: float, steps: int) -> Any:  # noqa: ANN401 - optax has no types
    return optax.adam(optax.cosine_decay_schedule(rate, steps))


@functools.partial(jax.jit, static_argnames=("rate", "steps"))
def _advanced(
    parameters: Parameters,
    state: Any,  # noqa: ANN401 - optax has no types
    problem: _Problem,
    rate: float,
    steps: int,
) -> tuple[Parameters, Any]:
    """Takes _CALLS steps."""

    def one(_: int, held: tuple[Parameters, Any]) -> tuple[Parameters, Any]:
        parameters, state = held
        updates, state = _optimiser(rate, steps).update(jax.grad(_loss)(parameters, problem), state)
        return optax.apply_updates(parameters, updates), state

    advanced: tuple[Parameters, Any] = jax.lax.fori_loop(0, _CALLS, one, (parameters, state))
    return advanced


def _loss(parameters: Parameters, problem: _Problem) -> jax.Array:
    """Half a chi-square, and the priors."""
    weights, own = _mixture(parameters, problem)
    grouped = jnp.einsum("kdc,dcg->kdg", own, problem.grouping).reshape(len(weights), -1)
    pairs = (grouped * weights[:, None]).T @ grouped
    marginals = jnp.einsum("k,kdc->dc", weights, own)
    chi_square = jnp.sum(problem.precision * (pairs - problem.shares) ** 2) / 2.0  # each pair stands there twice
    chi_square += problem.one_way_precision * jnp.sum((marginals - problem.marginals) ** 2)
    if problem.cells is not None:
        first, second, shares, precision = problem.cells
        fitted = jnp.einsum("kmi,kmj->mij", own[:, first] * weights[:, None, None], own[:, second])
        chi_square += jnp.sum(precision * (fitted - shares) ** 2)
    divergence = jnp.where(problem.base > _ABSENT, own * (jnp.log(own + _MIN_LOG) - problem.base), 0.0)
    jumps = jnp.diff(parameters["odds"], axis=-1) ** 2 * problem.neighbours
    priors = problem.prior * divergence.sum(axis=(1, 2)) + problem.smooth * jumps.sum(axis=(1, 2))
    return 0.5 * chi_square + jnp.dot(weights, priors)


def _mixture(parameters: Parameters, problem: _Problem) -> tuple[jax.Array, jax.Array]:
    """Weights, shape (k,), and probabilities, shape (k, n_columns, n_cells)."""
    present = problem.base > _ABSENT
    odds = jnp.where(present, parameters["odds"], 0.0)
    return jax.nn.softmax(parameters["weights"]), jax.nn.softmax(odds + problem.base, axis=-1) * present


def _products(problem: _Problem, parameters: Parameters, sizes: Sequence[int]) -> Products:
    """The mixture, in float64."""
    weights, probabilities = (np.asarray(part, np.float64) for part in _mixture(parameters, problem))
    own = [probabilities[:, j, :size] for j, size in enumerate(sizes)]
    return Products(weights / weights.sum(), tuple(part / part.sum(axis=1, keepdims=True) for part in own))


def _start(problem: _Problem, settings: ProductSettings, rng: np.random.Generator) -> Parameters:
    """Random log odds for each group of cells, the same for all cells of a group."""
    n_columns, _, n_groups = problem.grouping.shape
    drawn = settings.spread * rng.standard_normal((settings.components, n_columns, n_groups))
    odds = np.einsum("kdg,dcg->kdc", drawn, np.asarray(problem.grouping))
    return {"odds": jnp.asarray(odds, jnp.float32), "weights": jnp.zeros(settings.components, jnp.float32)}


def _problem(evidence: Evidence, settings: ProductSettings) -> _Problem:
    columns = evidence.columns
    n_columns, n_cells = len(columns.sizes), max(columns.sizes)
    base, marginals = np.full((n_columns, n_cells), _ABSENT), np.zeros((n_columns, n_cells))
    grouping = np.zeros((n_columns, n_cells, max(columns.n_groups)))
    neighbours = np.zeros((n_columns, n_cells - 1))
    for j, (mass, own) in enumerate(zip(columns.masses, columns.groups, strict=True)):
        base[j, : len(mass)], marginals[j, : len(mass)] = np.log(mass), mass
        grouping[j, np.arange(len(own)), own] = 1.0
        n_values = 0 if columns.codecs[j].is_category else columns.codecs[j].n_value_cells
        neighbours[j, : max(n_values - 1, 0)] = n_values / max(columns.n_groups)
    of_column = max(n_columns - 1, 1) / evidence.pairs.stddev
    shares, precision = _padded(columns, evidence.pairs)
    return _Problem(
        base=jnp.asarray(base, jnp.float32),
        marginals=jnp.asarray(marginals, jnp.float32),
        grouping=jnp.asarray(grouping, jnp.float32),
        neighbours=jnp.asarray(neighbours, jnp.float32),
        shares=jnp.asarray(shares, jnp.float32),
        precision=jnp.asarray(precision, jnp.float32),
        one_way_precision=evidence.one_way_stddev**-2,
        prior=settings.prior * of_column,
        smooth=settings.smooth * of_column,
        cells=None if evidence.cells is None else _padded_cells(evidence.cells, n_cells),
    )


def _padded_cells(tables: CellTables, n_cells: int) -> _Cells:
    shares, precision = np.zeros((2, len(tables.pairs), n_cells, n_cells), np.float32)
    for place, own in enumerate(tables.shares):
        held = place, slice(own.shape[0]), slice(own.shape[1])
        shares[held], precision[held] = own, tables.stddev**-2
    first, second = (jnp.asarray(side) for side in zip(*tables.pairs, strict=True))
    return _Cells(first, second, jnp.asarray(shares), jnp.asarray(precision))


def _padded(columns: TableColumns, tables: PairTables) -> tuple[Float64Array, Float64Array]:
    """Shares and precisions of all pairs, with every column padded to as many groups as the most have."""
    most = max(columns.n_groups)
    places = np.concatenate([j * most + np.arange(n) for j, n in enumerate(columns.n_groups)])
    n = most * len(columns.groups)
    shares, precision = np.zeros((n, n)), np.zeros((n, n))
    counted = columns.in_other_tables()
    shares[np.ix_(places, places)] = tables.shares
    precision[np.ix_(places, places)] = (counted | counted.T) * tables.stddev**-2
    return shares, precision
