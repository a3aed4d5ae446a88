"""The public leaves of a numeric column: a fine grid made from its bounds alone.

Half of the leaves are equal in width, half are equal on a logarithmic scale around zero (or around the bound nearest
to it), so that neither a heavy tail nor a narrow bulk falls into one leaf. Zero and the two bounds have leaves of
their own: many columns are zero for most rows, or capped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.leaf_search import LeafSearch

BRANCHING = 16
N_LEVELS = 3
N_LEAVES = BRANCHING**N_LEVELS
_MAX_BINS = 1 << 14
_FIXED_POINT_STEPS = 20
_MANY_VALUES = 1_024  # from which a guide table pays
_LOG_RESOLUTION = 1e-9  # the logarithmic leaves start at this share of the range


@dataclass(frozen=True)
class LeafGrid:
    """Leaves of one column, in increasing order.

    Attributes:
      low, high: Ends of each leaf, shape (n_leaves,); low == high marks an atom, a leaf that holds one value.
      whole: Whether the column holds whole numbers only.
    """

    low: Float64Array
    high: Float64Array
    whole: bool

    @property
    def n_leaves(self) -> int:
        """How many leaves there are, at most N_LEAVES."""
        return len(self.low)

    @property
    def n_levels(self) -> int:
        """Levels of a tree that has a leaf for each of them."""
        return next(levels for levels in range(1, N_LEVELS + 1) if BRANCHING**levels >= self.n_leaves)

    @cached_property
    def edges(self) -> Float64Array:
        """Where each leaf begins and the last one ends, shape (n_leaves + 1,); whole numbers are as wide as one."""
        return np.append(self.low, self.high[-1] + float(self.whole))

    @cached_property
    def is_atom(self) -> BoolArray:
        """Which leaves hold a single value."""
        return np.asarray(self.low == self.high)

    def __reduce__(self) -> tuple[type[LeafGrid], tuple[Float64Array, Float64Array, bool]]:
        """Sends the ends alone with tasks, and no table made of them."""
        return LeafGrid, (self.low, self.high, self.whole)

    @cached_property
    def _holds_every_number(self) -> bool:
        """Whether leaf i is the i-th whole number from the bound, so that nothing need be searched."""
        return bool(self.whole and self.is_atom.all() and np.all(np.diff(self.low) == 1.0))

    @cached_property
    def _search(self) -> LeafSearch:
        """Finds leaves; one behind an atom that is its own lower end begins just above that."""
        starts = self.low.copy()
        is_twin = np.append(starts[1:] == starts[:-1], False)
        behind = 1 + np.flatnonzero(is_twin[:-1] & ~is_twin[1:] & self.is_atom[:-1])
        starts[behind] = np.nextafter(starts[behind], np.inf)
        return LeafSearch(starts, min(max(0.0, float(self.low[0])), float(self.high[-1])))

    def index(self, values: Float64Array) -> Int64Array:
        """Finds the leaf of each value; values outside the bounds count as the bound. No NaN may enter."""
        values = np.clip(values, self.low[0], self.high[-1])
        if self._holds_every_number:
            return np.asarray(values - self.low[0], dtype=np.int64)
        if len(values) < _MANY_VALUES:
            return np.searchsorted(self._search.starts, values, side="right").astype(np.int64) - 1
        return self._search.leaf_of(values)

    def fraction(self, values: Float64Array, leaf: Int64Array) -> Float64Array:
        """How far into its leaf each value lies, in [0, 1]; 1/2 in an atom."""
        width = self.high[leaf] - self.low[leaf]
        inside = (np.clip(values, self.low[0], self.high[-1]) - self.low[leaf]) / np.where(width > 0.0, width, 1.0)
        return np.where(width > 0.0, np.clip(inside, 0.0, 1.0), 0.5)

    def value(self, leaf: Int64Array, fraction: Float64Array) -> Float64Array:
        """Returns the value that lies `fraction` into the leaf; whole numbers stay whole."""
        low, high = self.low[leaf], self.high[leaf]
        if not self.whole:
            return low + fraction * (high - low)
        return np.minimum(low + np.floor(fraction * (high - low + 1.0)), high)


def leaf_grid(lower: float, upper: float, *, whole: bool, atoms: Sequence[float] = ()) -> LeafGrid:
    """Makes the grid of a column from its public bounds.

    Args:
      lower, upper: Bounds, lower < upper.
      whole: Whether the column holds whole numbers only.
      atoms: Public values within the bounds that get leaves of their own, as zero and the bounds do.
    """
    return _leaf_grid(lower, upper, whole, tuple(float(atom) for atom in atoms))


@lru_cache(maxsize=256)  # a plan asks for the same grids again and again; nobody may write to them
def _leaf_grid(lower: float, upper: float, whole: bool, atoms: tuple[float, ...]) -> LeafGrid:
    made = _made_grid(lower, upper, whole=whole, atoms=atoms)
    for ends in (made.low, made.high):
        ends.flags.writeable = False
    return made


def _made_grid(lower: float, upper: float, *, whole: bool, atoms: tuple[float, ...]) -> LeafGrid:
    if whole:
        return _whole_grid(math.ceil(lower), math.floor(upper), set(atoms))
    inner = _mixed_edges(lower, upper, N_LEAVES - 3 - 2 * len(atoms))  # leaves room for three atoms, and these
    inner = np.union1d(inner, np.array(atoms, dtype=np.float64))
    low, high = inner[:-1], inner[1:]
    for atom in sorted({lower, upper, *map(float, atoms)} | ({0.0} if lower < 0.0 < upper else set())):
        place = int(np.searchsorted(low, atom, side="left"))
        low, high = np.insert(low, place, atom), np.insert(high, place, atom)
    return LeafGrid(low, high, whole=False)


def _whole_grid(lower: int, upper: int, atoms: set[float]) -> LeafGrid:
    """Leaves of whole numbers: [low, high] both included; one number each where they are few."""
    n_values = upper - lower + 1
    if n_values <= N_LEAVES:
        values = np.arange(lower, upper + 1, dtype=np.float64)
        return LeafGrid(values, values, whole=True)
    own = {float(lower), float(upper), *atoms} | ({0.0} if lower < 0 < upper else set())
    starts = own | {start + 1.0 for start in own if start < upper}
    edges = np.ceil(_mixed_edges(float(lower), float(upper), N_LEAVES - len(starts), least=1.0))
    low = np.unique(np.concatenate([edges[:-1], np.array(sorted(starts))]))[:N_LEAVES]
    return LeafGrid(low, np.append(low[1:] - 1.0, float(upper)), whole=True)


def _mixed_edges(lower: float, upper: float, n_leaves: int, *, least: float = 0.0) -> Float64Array:
    """At most n_leaves + 1 increasing edges from lower to upper: half linear, half logarithmic around the anchor.

    Args:
      lower, upper: Bounds.
      n_leaves: How many leaves.
      least: Width below which leaves would be wasted.
    """
    anchor = min(max(0.0, lower), upper)
    n_linear = n_leaves // 2
    linear = np.linspace(lower, upper, n_linear + 1)
    scale = _log_scale(lower - anchor, upper - anchor, n_leaves - n_linear, least)
    warped = np.linspace(_warp(lower - anchor, scale), _warp(upper - anchor, scale), n_leaves - n_linear + 1)
    logarithmic = anchor + np.sign(warped) * scale * np.expm1(np.abs(warped))
    edges = np.unique(np.concatenate([linear, logarithmic[1:-1], [anchor]]))
    edges[0], edges[-1] = lower, upper
    return edges


def _log_scale(lower: float, upper: float, n_leaves: int, least: float) -> float:
    """Distance from the anchor up to which leaves are about even: `least` wide there, or as fine as allowed."""
    scale = _LOG_RESOLUTION * (upper - lower)
    for _ in range(_FIXED_POINT_STEPS):  # the width at the anchor is scale / n_leaves times the range on its scale
        scale = max(scale, least * n_leaves / (_warp(upper, scale) - _warp(lower, scale)))
    return scale


def _warp(distance: float, scale: float) -> float:
    return float(np.sign(distance) * np.log1p(abs(distance) / scale))


@dataclass(frozen=True)
class GuidedSearch:
    """Finds the leaf in which each place of a distribution lies: by a guide table, and a search where that ends early.

    Source: Chen and Asau 1974, On generating random variates from an empirical distribution, AIIE Transactions 6(2).

    Attributes:
      cdf: Distribution at the leaves' ends, shape (n_leaves + 1,), from 0 to 1, increasing.
    """

    cdf: Float64Array

    @cached_property
    def _n_bins(self) -> int:
        return min(1 << int(2 * len(self.cdf)).bit_length(), _MAX_BINS)

    @cached_property
    def _guide(self) -> NDArray[np.uint16]:
        """Leaf at which each of some equal steps of the distribution begins."""
        found = np.searchsorted(self.cdf, np.arange(self._n_bins + 1) / self._n_bins, side="right") - 1
        return np.clip(found, 0, len(self.cdf) - 2).astype(np.min_scalar_type(len(self.cdf)))

    @cached_property
    def _ends(self) -> Float64Array:
        return np.append(self.cdf[1:-1], np.inf)

    def leaf_of(self, u: Float64Array) -> Int64Array:
        """Leaves of places in [0, 1], shape (n,); equal to a right-sided search for each."""
        leaf = self._guide.take((u * self._n_bins).astype(np.int64)).astype(np.int64)
        leaf += self._ends.take(leaf) <= u
        beyond = np.flatnonzero(self._ends.take(leaf) <= u)
        leaf[beyond] = np.searchsorted(self._ends, u[beyond], side="right")
        return leaf
