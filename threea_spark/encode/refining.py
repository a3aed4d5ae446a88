"""Leaves of a number's spikes: a leaf that holds some is split, so that each has a leaf, and a cell, of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array
from threea_spark.encode.grid import LeafGrid
from threea_spark.encode.masses import NEGLIGIBLE
from threea_spark.encode.written import StepMixture, WrittenLeaves

_STANDS_OUT = 4.0  # standard deviations
_TINY = 1e-300


@dataclass(frozen=True)
class Spikes:
    """What is known of one column's spikes. RELEASED.

    Attributes:
      single: Leaves that are spikes, shape (n_leaves,).
      usual: Rows that each leaf would have if it were like its neighbours, shape (n_leaves,).
      leaf_stddev: Standard deviation of the noise on a leaf's rows.
      values, rows: Spikes within leaves of several values, increasing, and their noisy counts.
      stddev: Standard deviation of the noise on `rows`.
    """

    single: BoolArray
    usual: Float64Array
    leaf_stddev: float
    values: Float64Array = field(default_factory=lambda: np.zeros(0))
    rows: Float64Array = field(default_factory=lambda: np.zeros(0))
    stddev: float = 0.0

    def within(self, which: BoolArray) -> Spikes:
        """Some of the spikes inside leaves, chosen by a mask of shape (n_spikes,)."""
        return replace(self, values=self.values[which], rows=self.rows[which])

    @classmethod
    def none(cls, grid: LeafGrid) -> Spikes:
        """No spike."""
        return cls(np.zeros(grid.n_leaves, dtype=np.bool_), np.zeros(grid.n_leaves), 0.0)


@dataclass(frozen=True)
class Written:
    """How the values of a column are written. RELEASED.

    Attributes:
      mixture: The steps that they follow; None where nothing is known.
      spikes: Its spikes.
    """

    mixture: StepMixture | None
    spikes: Spikes


def leaf_weights(grid: LeafGrid, atoms: tuple[float, ...], written: Written) -> tuple[Float64Array | None, BoolArray]:
    """Says how leaves share rows, and which may hold anything but spikes.

    Args:
      grid: Public leaves.
      atoms: Values that the domain declares to be frequent.
      written: How the column's values are written.

    Returns:
      Weights, as `leaf_masses` takes them, and a mask, both of shape (n_leaves,).
    """
    mixture, spikes = written.mixture, written.spikes
    everywhere = np.ones(grid.n_leaves, dtype=np.bool_)
    if mixture is None:
        return None, everywhere
    weights = WrittenLeaves(grid, mixture).weights
    allowed = spikes.single | np.isin(grid.low, atoms) | (mixture.shares[-1] > 0.0)
    for step in mixture.steps:
        allowed |= step.holds(grid.low)
    kept = grid.is_atom & allowed
    kept[grid.index(spikes.values)] = True
    if not (kept | (weights > 0.0)).any():
        return None, everywhere
    return np.where(kept, np.maximum(weights, NEGLIGIBLE), weights), weights > 0.0


def refined(
    grid: LeafGrid, masses: Float64Array, spikes: Spikes, holds: BoolArray
) -> tuple[LeafGrid, Float64Array, BoolArray]:
    """Gives each spike a leaf of its own.

    Args:
      grid, masses: Leaves and their rows, shape (n_leaves,). RELEASED.
      spikes: The column's.
      holds: Which leaves may hold anything but their spikes, shape (n_leaves,).

    Returns:
      Leaves, their rows, and which of them are spikes.
    """
    leaf_of = grid.index(spikes.values)
    parts, start = list[_Leaves](), 0
    whole = _Leaves(grid.low, grid.high, masses, spikes.single)
    for leaf in np.unique(leaf_of).tolist():
        inside, usual = spikes.within(leaf_of == leaf), float(spikes.usual[leaf] * holds[leaf])
        parts += [whole.between(start, leaf), _split(whole.between(leaf, leaf + 1), inside, grid, usual)]
        start = leaf + 1
    parts.append(whole.between(start, grid.n_leaves))
    low, high, rows, is_spike = (np.concatenate(own) for own in zip(*parts, strict=True))
    return LeafGrid(low, high, grid.whole), rows, is_spike


class _Leaves(NamedTuple):
    """Ends and rows of neighbouring leaves, and which are spikes."""

    low: Float64Array
    high: Float64Array
    rows: Float64Array
    is_spike: BoolArray

    def between(self, first: int, end: int) -> _Leaves:
        """The leaves from `first` up to `end`."""
        own = slice(first, end)
        return _Leaves(self.low[own], self.high[own], self.rows[own], self.is_spike[own])


def _split(leaf: _Leaves, spikes: Spikes, grid: LeafGrid, usual: float) -> _Leaves:
    """Splits one leaf: between its spikes lies what their counts leave, if that stands out, or else what is usual.

    In the latter case the spikes hold the leaf's other rows as well: two readings, weighed by their noise.

    Args:
      leaf: To be split.
      spikes: Those inside it.
      grid: The leaf's.
      usual: Rows that it would have without spikes.
    """
    gap, values = float(grid.whole), spikes.values
    starts, ends = np.append(leaf.low, values + gap), np.append(values - gap, leaf.high)
    between = starts <= ends if grid.whole else starts < ends
    low, high = np.concatenate([values, starts[between]]), np.concatenate([values, ends[between]])
    is_spike = np.arange(len(low)) < len(values)
    width = np.where(is_spike, 0.0, high - low + gap)
    rows, mass = np.zeros(len(low)), float(leaf.rows[0])
    rows[is_spike] = spikes.rows
    counted, rest = float(spikes.rows.sum()), mass - float(spikes.rows.sum())
    squares = len(spikes.rows) * spikes.stddev**2, spikes.leaf_stddev**2
    if rest < usual + _STANDS_OUT * math.sqrt(sum(squares)) or not between.any():
        rest = min(usual, mass) if between.any() else 0.0
        part = squares[1] / max(sum(squares), _TINY)
        rows *= (part * counted + (1.0 - part) * max(mass - rest, 0.0)) / counted
    rows += rest * width / max(float(width.sum()), _TINY)
    order = np.lexsort((high, low))
    return _Leaves(low[order], high[order], rows[order], is_spike[order])
