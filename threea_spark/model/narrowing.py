"""Narrows a distribution to the rows that a condition may fit, by the components' posterior; and that posterior itself.

Inside a component without correlations columns are independent: given that some of them lie in chosen cells, the
component's weight is multiplied by the chance of those cells, and nothing else changes (Bayes' rule). Post-processing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.model.conditions import Conditions
from threea_spark.model.sampler import RowSampler

_TINY = 1e-300


def narrowed(sampler: RowSampler, encoding: Encoding, conditions: Conditions) -> RowSampler:
    """The distribution of rows whose cells may hold what `where` asks for; others cannot be drawn from it.

    A cell may hold other values too (rare levels share one, a range may end inside one): those are still left out one
    by one, and so are labels, which are drawn from functions of their own after the components. A distribution whose
    components correlate columns is returned as it is.

    Args:
      sampler, encoding: The model's parts.
      conditions: What is asked for.
    """
    if not sampler.is_independent:
        return sampler
    allowed = np.ones(encoding.n_cells, dtype=np.bool_)
    redrawn = {label.feature for label in sampler.sequence or ()}
    moved = frozenset[str]() if encoding.rules is None else encoding.rules.moved
    for place, name in _first_features(encoding):
        if place in redrawn:
            continue
        own, codec = encoding.cell_layout.of(place), encoding.features[place]
        if name in moved:
            continue  # whether a row fits is known once it keeps the rules between columns
        if name in conditions.values:
            allowed[own] = codec.cells_holding(conditions.values[name])
        elif name in conditions.nulls:
            allowed[own] = codec.null_cells
        elif name in conditions.ranges:
            allowed[own] = codec.cells_within(*conditions.ranges[name])
        for chosen in _deciding(encoding, name, conditions):
            allowed[own] &= np.bincount(codec.cells_of_values(chosen), minlength=codec.n_cells) > 0
    if allowed.all():
        return sampler
    return _restricted(sampler, encoding, allowed)


def _deciding(encoding: Encoding, name: str, conditions: Conditions) -> Iterator[NDArray[np.generic]]:
    """Yields, for each condition on a column that only this one knows, the values that lead to what is asked for."""
    rules, coded = encoding.rules, {column.name for column in encoding.columns}
    if rules is None:
        return
    for to in (*conditions.values, *conditions.ranges):
        decided = rules.decided(to)
        if decided is None or to in coded:
            continue
        if to in conditions.values:
            fits = np.array([*(value == conditions.values[to] for value in decided.values), False])
        else:
            low, high = conditions.ranges[to]
            fits = np.array([*(low <= float(value) <= high for value in decided.values), False])
        if (found := rules.deciding(to, fits)) is not None and found[0].name == name:
            yield found[0].feature_values(np.flatnonzero(found[1]))


def component_log_densities(sampler: RowSampler, cells: Int64Array, columns: Sequence[int]) -> Float64Array:
    """Log of each component's weight times the chance of a row's cells, without correlations, shape (n, k).

    Args:
      sampler: The distribution.
      cells: Shape (n, n_features), counted through all features.
      columns: Features that are asked for.
    """
    logs = np.log(np.maximum(sampler.laws, _TINY)).T
    density = np.tile(np.log(np.maximum(sampler.weights, _TINY)), (len(cells), 1))
    for column in columns:
        density += logs[cells[:, column]]
    return np.asarray(density, dtype=np.float64)


def _restricted(sampler: RowSampler, encoding: Encoding, allowed: BoolArray) -> RowSampler:
    chances = sampler.laws * allowed
    held = encoding.cell_layout.totals(chances)
    weights = sampler.weights * np.prod(held, axis=1)
    if not weights.sum() > 0.0:
        return sampler  # nothing fits; trying rows one by one finds the same, and says so
    impossible = np.repeat(held <= 0.0, encoding.cell_layout.sizes, axis=1)
    kept = np.where(impossible, sampler.laws, chances)  # of components that have no weight any more
    return replace(sampler, weights=weights / weights.sum(), laws=encoding.cell_layout.normalise(kept))


def _first_features(encoding: Encoding) -> list[tuple[int, str]]:
    """Place and column of the feature that holds a column's value; the parts of a timestamp follow it."""
    places, place = list[tuple[int, str]](), 0
    for column in encoding.columns:
        places.append((place, column.name))
        place += len(column.features)
    return places
