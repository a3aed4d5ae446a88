"""What the fit of a mixture of products reads, as arrays for jax: columns padded to the widest. RELEASED.

Padding weighs nothing: its cells have no mass and its entries of tables a precision of 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from threea_spark.approximate.products import CellTables, Evidence
from threea_spark.arrays import Int64Array

Float32Array = npt.NDArray[np.float32]
_WIDER = 4  # times as wide are the tables of the next class
_NEARLY = 0.75  # of the widest: such tables are of its class
# Sizes are rounded up: compiling a fit takes as long as a third of it, and another draw of noise would change them.
_CELLS, _GROUPS, _ALL_GROUPS, _TABLES = 4, 4, 16, 4


class FinerTables(NamedTuple):
    """Finer tables whose second columns are about as wide, padded, and empty ones.

    Attributes:
      first, second: The columns of each, shape (m,).
      shares, precision: Its cells, shape (m, n_cells, width).
    """

    first: Int64Array
    second: Int64Array
    shares: Float32Array
    precision: Float32Array


class Problem(NamedTuple):
    """What the loss reads; a fit of the same shapes is not compiled again, so they are rounded up.

    Attributes:
      marginals: The columns' own distributions, 0 where a column has no cell, shape (n_columns, n_cells).
      grouping: Whether a cell is in a group, shape (n_columns, n_groups, n_cells).
      neighbours: Weight of the step from a cell to the next, shape (n_columns, n_cells - 1).
      places: Where each group of a column stands among n_columns * n_groups, then zeros, shape (n,).
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
    n_columns, n_cells = len(columns.sizes), _rounded_up(max(columns.sizes), _CELLS)
    n_groups = _rounded_up(max(columns.n_groups), _GROUPS)
    marginals = np.zeros((n_columns, n_cells), np.float32)
    grouping = np.zeros((n_columns, n_groups, n_cells), np.float32)
    neighbours = np.zeros((n_columns, n_cells - 1), np.float32)
    for j, (mass, own) in enumerate(zip(columns.masses, columns.groups, strict=True)):
        marginals[j, : len(mass)] = mass
        grouping[j, own, np.arange(len(own))] = 1.0
        n_values = 0 if columns.codecs[j].is_category else columns.codecs[j].n_value_cells
        neighbours[j, : max(n_values - 1, 0)] = n_values / max(columns.n_groups)
    of_column = max(n_columns - 1, 1) / evidence.pairs.stddev
    counted = columns.in_other_tables()
    places = np.concatenate([j * n_groups + np.arange(n) for j, n in enumerate(columns.n_groups)])
    more = _rounded_up(len(places), _ALL_GROUPS) - len(places)
    shares, precision = evidence.pairs.shares, (counted | counted.T) * evidence.pairs.stddev**-2
    return Problem(
        marginals=marginals,
        grouping=grouping,
        neighbours=neighbours,
        places=np.pad(places, (0, more)),
        shares=np.pad(shares, (0, more)).astype(np.float32),
        precision=np.pad(precision, (0, more)).astype(np.float32),
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
        by_width.setdefault(width if width < _NEARLY * n_cells else n_cells, []).append(place)
    return tuple(_padded(tables, places, n_cells, width) for width, places in sorted(by_width.items()))


def _padded(tables: CellTables, places: list[int], n_cells: int, width: int) -> FinerTables:
    n_tables = _rounded_up(len(places), _TABLES)
    shares, precision = np.zeros((2, n_tables, n_cells, width), np.float32)
    for at, place in enumerate(places):
        own = tables.shares[place]
        held = at, slice(own.shape[0]), slice(own.shape[1])
        shares[held], precision[held] = own, tables.stddev**-2
    first, second = np.pad([tables.pairs[place] for place in places], ((0, n_tables - len(places)), (0, 0))).T
    return FinerTables(first, second, shares, precision)


def _rounded_up(size: int, step: int) -> int:
    return -(-size // step) * step
