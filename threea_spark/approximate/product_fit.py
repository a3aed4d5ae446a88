"""Fits a mixture of products to noisy tables, by gradient descent in jax, on a GPU where there is one.

Post-processing: it reads released tables only. Minimised is the sum of squared differences between tables and model in
units of noise, half a chi-square, plus two priors whose strength is in proportion to rows per noise: a component's
column is close to the column's own distribution (Kullback-Leibler), and neighbouring cells of a number change alike.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from threea_spark.approximate.device import computing
from threea_spark.approximate.product_problem import Float32Array, Problem, problem_of
from threea_spark.approximate.products import Evidence, Products
from threea_spark.engine.progress import counted

Parameters: TypeAlias = dict[str, jax.Array | Float32Array]
"""Log odds `odds`, shape (n_columns, n_cells, k), and `weights`, shape (k,), before the softmax."""
_CALLS = 20  # optimiser steps between two reports of progress
_MOST_ODDS = 40.0  # log odds against the column's own distribution: e^40 and e^-40 stay far inside float32


@dataclass(frozen=True)
class ProductSettings:
    """Settings of the fit.

    Attributes:
      components: Components of the mixture.
      steps: Steps of Adam from a random start: enough to choose pairs and to go on from.
      more_steps: Steps from an earlier fit.
      rate: Learning rate at the start; it falls to zero by a cosine.
      squares_kept: How much of its mean of squared gradients Adam keeps in a step. Its default of .999 remembers the
        large gradients of the start for as long as the fit lasts: with it and a rate of .1, twice the steps ended at a
        larger loss, and drawn rows were no better (docs/experiments.md).
      spread: Standard deviation of the starting log odds.
      prior: Strength of the prior on a component's columns, in units of rows per noise and of a column's pairs.
      smooth: Strength of the prior on neighbouring cells, in the same units.
    """

    components: int = 400
    steps: int = 200
    more_steps: int = 300
    rate: float = 0.3
    squares_kept: float = 0.9
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
    problem, steps = problem_of(evidence, settings.prior, settings.smooth), settings.steps
    if start is None:
        start = _start(problem, settings, rng)
    else:
        steps = settings.more_steps
    with computing() as device, jax.default_matmul_precision("highest"):  # no TF32: a GPU agrees with a CPU
        parameters, held = jax.device_put(start, device), jax.device_put(problem, device)
        state = _optimiser(settings, steps).init(parameters)
        for _ in counted(-(-steps // _CALLS)):
            parameters, state = _advanced(parameters, state, held, settings, steps)
        weights, probabilities = _mixture(parameters, held)
    return Fit(_products(np.asarray(weights), np.asarray(probabilities), evidence.columns.sizes), parameters)


def _optimiser(settings: ProductSettings, steps: int) -> Any:  # noqa: ANN401 - optax has no types
    return optax.adam(optax.cosine_decay_schedule(settings.rate, steps), b2=settings.squares_kept)


@functools.partial(jax.jit, static_argnames=("settings", "steps"))
def _advanced(
    parameters: Parameters,
    state: Any,  # noqa: ANN401 - optax has no types
    problem: Problem,
    settings: ProductSettings,
    steps: int,
) -> tuple[Parameters, Any]:
    """Takes _CALLS steps."""

    def one(_: int, held: tuple[Parameters, Any]) -> tuple[Parameters, Any]:
        parameters, state = held
        updates, state = _optimiser(settings, steps).update(jax.grad(_loss)(parameters, problem), state)
        return optax.apply_updates(parameters, updates), state

    advanced: tuple[Parameters, Any] = jax.lax.fori_loop(0, _CALLS, one, (parameters, state))
    return advanced


def _loss(parameters: Parameters, problem: Problem) -> jax.Array:
    """Half a chi-square, and the priors. The components are the last axis: lanes of the same vector code."""
    odds, sums, own = _tilted(parameters, problem)
    weights = jax.nn.softmax(parameters["weights"])
    grouped = jnp.einsum("dgc,dck->dgk", problem.grouping, own).reshape(-1, len(weights))[problem.places]
    pairs = _gram(grouped * jnp.sqrt(weights))
    chi_square = jnp.sum(problem.precision * (pairs - problem.shares) ** 2) / 2.0  # each pair stands there twice
    chi_square += problem.one_way_precision * jnp.sum((own @ weights - problem.marginals) ** 2)
    for first, second, shares, precision in problem.finer:
        fitted = jnp.einsum("mik,mjk->mij", own[first] * weights, own[second, : shares.shape[2]])
        chi_square += jnp.sum(precision * (fitted - shares) ** 2)
    divergence = jnp.sum(own * odds, axis=(0, 1)) - jnp.sum(jnp.log(sums), axis=(0, 1))
    jumps = jnp.sum(jnp.diff(odds, axis=1) ** 2 * problem.neighbours[:, :, None], axis=(0, 1))
    return 0.5 * chi_square + jnp.dot(weights, problem.prior * divergence + problem.smooth * jumps)


def _tilted(parameters: Parameters, problem: Problem) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log odds of cells against the columns' own distributions, what they sum to, and probabilities.

    Shapes (n_columns, n_cells, k), (n_columns, 1, k) and (n_columns, n_cells, k). The softmax needs no shift: a
    column's own distribution sums to 1, so the sums lie between e^-_MOST_ODDS and e^_MOST_ODDS.
    """
    odds = jnp.clip(parameters["odds"], -_MOST_ODDS, _MOST_ODDS)
    tilted = jnp.asarray(problem.marginals)[:, :, None] * jnp.exp(odds)
    sums = jnp.sum(tilted, axis=1, keepdims=True)
    return odds, sums, tilted / sums


@jax.jit
def _mixture(parameters: Parameters, problem: Problem) -> tuple[jax.Array, jax.Array]:
    """Weights, shape (k,), and probabilities, shape (n_columns, n_cells, k)."""
    return jax.nn.softmax(parameters["weights"]), _tilted(parameters, problem)[2]


@jax.custom_vjp
def _gram(rows: jax.Array) -> jax.Array:
    """Inner products of all rows (n, k); its gradient takes one product of matrices, not the two that jax would."""
    return rows @ rows.T


_gram.defvjp(lambda rows: (_gram(rows), rows), lambda rows, by_gram: ((by_gram + by_gram.T) @ rows,))


def _products(weights: Float32Array, probabilities: Float32Array, sizes: Sequence[int]) -> Products:
    """The mixture, in float64."""
    shares = weights.astype(np.float64)
    own = [probabilities[j, :size].T.astype(np.float64) for j, size in enumerate(sizes)]
    return Products(shares / shares.sum(), tuple(part / part.sum(axis=1, keepdims=True) for part in own))


def _start(problem: Problem, settings: ProductSettings, rng: np.random.Generator) -> Parameters:
    """Random log odds for each group of cells, the same for all cells of a group."""
    n_columns, n_groups, _ = problem.grouping.shape
    drawn = settings.spread * rng.standard_normal((settings.components, n_columns, n_groups))
    odds = np.einsum("kdg,dgc->dck", drawn, problem.grouping, optimize=True).astype(np.float32)
    return {"odds": odds, "weights": np.zeros(settings.components, np.float32)}
