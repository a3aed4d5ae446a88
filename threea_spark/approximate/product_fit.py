"""Fits a mixture of products to noisy tables, by gradient descent in jax, on a GPU where there is one.

Post-processing: it reads released tables only. Minimised is the sum of squared differences between tables and model in
units of noise, half a chi-square, plus two priors whose strength is in proportion to rows per noise: a component's
column is close to the column's own distribution (Kullback-Leibler), and neighbouring cells of a number change alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

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
    problem = _Problem(evidence, settings)
    steps = settings.steps if start is None else settings.more_steps
    parameters = problem.start(rng) if start is None else start
    optimiser = optax.adam(optax.cosine_decay_schedule(settings.rate, steps))
    state, advance = optimiser.init(parameters), _steps(problem.loss, optimiser)
    for _ in counted(-(-steps // _CALLS)):
        parameters, state = advance(parameters, state)
    return Fit(problem.products(parameters), parameters)


def _steps(loss: Callable[[Parameters], jax.Array], optimiser: Any) -> Callable[[Parameters, Any], Any]:  # noqa: ANN401
    def one(_: int, held: tuple[Parameters, Any]) -> tuple[Parameters, Any]:
        parameters, state = held
        updates, state = optimiser.update(jax.grad(loss)(parameters), state)
        return optax.apply_updates(parameters, updates), state

    return jax.jit(lambda parameters, state: jax.lax.fori_loop(0, _CALLS, one, (parameters, state)))


class _Problem:
    """The loss of a mixture, on arrays that pad every column to as many cells as the widest has."""

    def __init__(self, evidence: Evidence, settings: ProductSettings) -> None:
        columns, self._settings = evidence.columns, settings
        self._columns = columns
        n_columns, n_cells = len(columns.sizes), max(columns.sizes)
        self._base = np.full((n_columns, n_cells), _ABSENT, dtype=np.float32)
        self._marginals = np.zeros((n_columns, n_cells), dtype=np.float32)
        self._grouping = np.zeros((n_columns, n_cells, max(columns.n_groups)), dtype=np.float32)
        self._neighbours = np.zeros((n_columns, n_cells - 1), dtype=np.float32)
        for j, (mass, own) in enumerate(zip(columns.masses, columns.groups, strict=True)):
            self._base[j, : len(mass)], self._marginals[j, : len(mass)] = np.log(mass), mass
            self._grouping[j, np.arange(len(own)), own] = 1.0
            n_values = 0 if columns.codecs[j].is_category else columns.codecs[j].n_value_cells
            self._neighbours[j, : max(n_values - 1, 0)] = n_values / max(columns.n_groups)
        self._present = self._base > _ABSENT
        self._shares, self._precision = _padded(columns, evidence.pairs)
        self._one_way_precision = evidence.one_way_stddev**-2
        self._cells = None if evidence.cells is None else _PaddedCells(evidence.cells, n_cells)
        evidence_of_column = max(n_columns - 1, 1) / evidence.pairs.stddev
        self._prior, self._smooth = settings.prior * evidence_of_column, settings.smooth * evidence_of_column

    def start(self, rng: np.random.Generator) -> Parameters:
        """Random log odds for each group of cells, the same for all cells of a group."""
        own, (n_columns, _, n_groups) = self._settings, self._grouping.shape
        drawn = own.spread * rng.standard_normal((own.components, n_columns, n_groups))
        odds, weights = np.einsum("kdg,dcg->kdc", drawn, self._grouping), np.zeros(own.components)
        return {"odds": jnp.asarray(odds, jnp.float32), "weights": jnp.asarray(weights, jnp.float32)}

    def products(self, parameters: Parameters) -> Products:
        """The mixture, in float64."""
        weights, probabilities = (np.asarray(part, np.float64) for part in self._mixture(parameters))
        own = [probabilities[:, j, :size] for j, size in enumerate(self._columns.sizes)]
        return Products(weights / weights.sum(), tuple(part / part.sum(axis=1, keepdims=True) for part in own))

    def _mixture(self, parameters: Parameters) -> tuple[jax.Array, jax.Array]:
        """Weights, shape (k,), and probabilities, shape (k, n_columns, n_cells)."""
        odds = jnp.where(self._present, parameters["odds"], 0.0)
        return jax.nn.softmax(parameters["weights"]), jax.nn.softmax(odds + self._base, axis=-1) * self._present

    def loss(self, parameters: Parameters) -> jax.Array:
        """Half a chi-square, and the priors."""
        weights, own = self._mixture(parameters)
        grouped = jnp.einsum("kdc,dcg->kdg", own, self._grouping).reshape(len(weights), -1)
        pairs = (grouped * weights[:, None]).T @ grouped
        marginals = jnp.einsum("k,kdc->dc", weights, own)
        chi_square = jnp.sum(self._precision * (pairs - self._shares) ** 2) / 2.0  # each pair stands there twice
        chi_square += self._one_way_precision * jnp.sum((marginals - self._marginals) ** 2)
        if self._cells is not None:
            chi_square += self._cells.chi_square(weights, own)
        return 0.5 * chi_square + self._prior_loss(parameters, weights, own)

    def _prior_loss(self, parameters: Parameters, weights: jax.Array, own: jax.Array) -> jax.Array:
        divergence = jnp.where(self._present, own * (jnp.log(own + _MIN_LOG) - self._base), 0.0)
        steps = jnp.diff(parameters["odds"], axis=-1) ** 2 * self._neighbours
        return jnp.einsum(
            "k,k->", weights, self._prior * divergence.sum(axis=(1, 2)) + self._smooth * steps.sum(axis=(1, 2))
        )


class _PaddedCells:
    """Finer tables, padded to the widest column's cells."""

    def __init__(self, tables: CellTables, n_cells: int) -> None:
        self._first, self._second = (np.array(side, dtype=np.int64) for side in zip(*tables.pairs, strict=True))
        shape = (len(tables.pairs), n_cells, n_cells)
        self._shares, self._precision = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for place, own in enumerate(tables.shares):
            held = place, slice(own.shape[0]), slice(own.shape[1])
            self._shares[held], self._precision[held] = own, tables.stddev**-2

    def chi_square(self, weights: jax.Array, own: jax.Array) -> jax.Array:
        """Squared differences in units of noise."""
        fitted = jnp.einsum("kmi,kmj->mij", own[:, self._first] * weights[:, None, None], own[:, self._second])
        return jnp.sum(self._precision * (fitted - self._shares) ** 2)


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
