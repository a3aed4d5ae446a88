"""What the fit of a mixture of products reads, as arrays for jax: columns padded to the widest. RELEASED."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from threea_spark.approximate.products import CellTables, Evidence
from threea_spark.arrays import Int64Array

Float32Array = npt.NDArray[np.float32]
_WIDER = 4  # times as wide are the tables of the next class


class FinerTables(NamedTuple):
    """Finer tables whose second columns are about as wide, padded.

    Attributes:
      first, second: The columns of each, shape (m,).
      shares, precision: Its cells, shape (m, n_cells, width).
    """

    first: Int64Array
    second: Int64Array
    shares: Float32Array
    precision: Float32Array


class Problem(NamedTuple):
    """What the loss reads; a fit of the same shapes is not compiled again.

    Attributes:
      marginals: The columns' own distributions, 0 where a column has no cell, shape (n_columns, n_cells).
      grouping: Whether a cell is in a group, shape (n_columns, n_groups, n_cells).
      neighbours: Weight of the step from a cell to the next, shape (n_columns, n_cells - 1).
      places: Where each group of a column stands among n_columns * n_groups, shape (n,).
      shares, precision: Of all pairs of groups, shape (n, n).
      one_way_precision, prior, smooth: Scalars.
      finer: Finer tables, by width.
    """

    marginals: Float32Array
    grouping: Float32Array
    neighbours: Float32Array
    places: Int64Array
    shares: Float32Array
    precision: Float32Array
    one_way_precision: float
    prior: float
    smooth: float
    finer: tuple[FinerTables, ...]


def problem_of(evidence: Evidence, prior: float, smooth: float) -> Problem:
    """Lays the evidence out.

    Args:
      evidence: What a mixture is fitted to.
      prior, smooth: Strengths of the priors, as in `ProductSettings`.
    """
    columns = evidence.columns
    n_columns, n_cells, n_groups = len(columns.sizes), max(columns.sizes), max(columns.n_groups)
    marginals = np.zeros((n_columns, n_cells), np.float32)
    grouping = np.zeros((n_columns, n_groups, n_cells), np.float32)
    neighbours = np.zeros((n_columns, n_cells - 1), np.float32)
    for j, (mass, own) in enumerate(zip(columns.masses, columns.groups, strict=True)):
        marginals[j, : len(mass)] = mass
        grouping[j, own, np.arange(len(own))] = 1.0
        n_values = 0 if columns.codecs[j].is_category else columns.codecs[j].n_value_cells
        neighbours[j, : max(n_values - 1, 0)] = n_values / n_groups
    of_column = max(n_columns - 1, 1) / evidence.pairs.stddev
    counted = columns.in_other_tables()
    return Problem(
        marginals=marginals,
        grouping=grouping,
        neighbours=neighbours,
        places=np.concatenate([j * n_groups + np.arange(n) for j, n in enumerate(columns.n_groups)]),
        shares=evidence.pairs.shares.astype(np.float32),
        precision=((counted | counted.T) * evidence.pairs.stddev**-2).astype(np.float32),
        one_way_precision=evidence.one_way_stddev**-2,
        prior=prior * of_column,
        smooth=smooth * of_column,
        finer=() if evidence.cells is None else _by_width(evidence.cells, n_cells),
    )


def _by_width(tables: CellTables, n_cells: int) -> tuple[FinerTables, ...]:
    """Those of narrow second columns, as most labels are, apart: padded like the others they would cost as much."""
    by_width: dict[int, list[int]] = {}
    for place, own in enumerate(tables.shares):
        width = _WIDER
        while width < own.shape[1]:
            width *= _WIDER
        by_width.setdefault(min(width, n_cells), []).append(place)
    return tuple(_padded(tables, places, n_cells, width) for width, places in sorted(by_width.items()))


def _padded(tables: CellTables, places: list[int], n_cells: int, width: int) -> FinerTables:
    shares, precision = np.zeros((2, len(places), n_cells, width), np.float32)
    for at, place in enumerate(places):
        own = tables.shares[place]
        held = at, slice(own.shape[0]), slice(own.shape[1])
        shares[held], precision[held] = own, tables.stddev**-2
    first, second = np.array([tables.pairs[place] for place in places], dtype=np.int64).T
    return FinerTables(first, second, shares, precision)
