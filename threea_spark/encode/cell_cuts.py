"""Cuts the leaves of a number into cells."""

from __future__ import annotations

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array

_WORTH_A_CELL = 0.25
_EMPTY = 1e-6  # of a cell's least mass


def cut_cells(weight: Float64Array, min_mass: float, spikes: BoolArray | None = None) -> Int64Array:
    """Groups leaves, from the left, into cells of `min_mass` or a little more; heavy leaves and spikes are alone.

    What is too light for a cell joins a neighbour that is no spike, or is a cell if it has none.

    Args:
      weight: Share of the rows in each leaf, shape (n_leaves,). RELEASED.
      min_mass: Least share of a cell.
      spikes: Leaves that are cells with a smaller share, too, shape (n_leaves,).

    Returns:
      First leaf of each cell, increasing from 0.
    """
    is_spike = np.zeros(len(weight), dtype=np.bool_) if spikes is None else spikes
    starts, mass, worth = [0], 0.0, _WORTH_A_CELL * min_mass
    for leaf, own in enumerate(weight.tolist()):
        ends = mass >= min_mass or (own >= min_mass and mass > worth) or is_spike[leaf] or is_spike[leaf - 1]
        if leaf > 0 and ends:
            if is_spike[leaf] and _joins_the_cell_before(starts, mass, worth, is_spike):
                starts.pop()
            starts.append(leaf)
            mass = 0.0
        mass += own
    last_is_spike = bool(is_spike[[starts[-1] - 1, starts[-1]]].any())
    if len(starts) > 1 and mass < worth and not (last_is_spike and mass > _EMPTY * min_mass):
        starts.pop()
    return np.array(starts, dtype=np.int64)


def _joins_the_cell_before(starts: list[int], mass: float, worth: float, is_spike: BoolArray) -> bool:
    """Whether the leaves between the cell before and a spike are no cell: they are light, or hold next to nothing."""
    if len(starts) == 1 or is_spike[starts[-1]]:
        return False
    return mass <= (_EMPTY if is_spike[starts[-1] - 1] else 1.0) * worth
