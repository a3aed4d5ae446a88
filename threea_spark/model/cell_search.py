"""Finds the cell of a drawn row in its component's distribution, by one guide table for all components.

Source: Chen and Asau 1974, On generating random variates from an empirical distribution, AIIE Transactions 6(2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from threea_spark.arrays import Float32Array, Float64Array, Int64Array

_NORMAL_SPAN = 4.0  # bins are even from -4 to 4; the first and the last one hold what lies beyond
_FARTHEST = 32.0  # a normal number of float32 lies within 9 or so
_APART = 4.0 * _FARTHEST


@dataclass(frozen=True)
class CellSearch:
    """The distributions of one column's cells in all components.

    Attributes:
      ends: Place at which each cell ends, increasing within a component, the last one infinite, shape (k, m). Places
        are uniform or standard normal numbers of float32.
      cells: The cells, in the order of their ends, shape (m,).
      guide: Of each bin of places, how many cells end before any of its places, shape (k, n_bins).
      normal: Whether places are standard normal.
    """

    ends: Float32Array
    cells: Int64Array
    guide: NDArray[np.unsignedinteger]
    normal: bool

    @classmethod
    def of(cls, laws: Float64Array, cells: Int64Array, *, normal: bool) -> CellSearch:
        """Makes the table.

        Args:
          laws: Probability of each cell in each component, up to a factor, shape (k, m).
          cells: The cells, in the order of the places, shape (m,).
          normal: Whether places are standard normal rather than uniform.
        """
        masses = np.cumsum(laws, axis=1)
        shares = masses / masses[:, -1:]
        ends = (ndtri(shares) if normal else shares).astype(np.float32)
        ends[masses >= masses[:, -1:]] = np.inf  # no place lies in a cell without mass, not even in the last ones
        n_bins = 1 << int(2 * len(cells) - 1).bit_length()
        bins = _bins(ends, n_bins, normal) + (n_bins + 1) * np.arange(len(laws))[:, None] + 1
        passed = np.bincount(bins.ravel(), minlength=len(laws) * (n_bins + 1)).reshape(len(laws), -1)
        guide = np.cumsum(passed[:, :-1], axis=1).astype(np.min_scalar_type(len(cells)))
        return cls(ends, cells, guide, normal)

    def find(self, component: Int64Array, places: Float32Array) -> Int64Array:
        """Returns the cell of each row.

        Args:
          component: Of each row, shape (n,).
          places: In the component's distribution, shape (n,).
        """
        first, n_bins = component * len(self.cells), self.guide.shape[1]
        found = self.guide.take(_bins(places, n_bins, self.normal) + component * n_bins) + first
        found += places >= self.ends.take(found)
        late = np.flatnonzero(places >= self.ends.take(found))  # in a bin of several cells
        found[late] = np.searchsorted(self._side_by_side, places[late] + _APART * component[late], side="right")
        return np.asarray(self.cells.take(found - first), dtype=np.int64)

    @cached_property
    def _side_by_side(self) -> Float64Array:
        """All ends in one increasing array, each component's `_APART` behind the last one's."""
        near = np.clip(self.ends.astype(np.float64), -_FARTHEST, _FARTHEST)
        return (near + _APART * np.arange(len(near))[:, None]).ravel()


def _bins(places: Float32Array, n_bins: int, normal: bool) -> Int64Array:
    """The bin of each place: a function that never decreases, so that cells that end in an earlier bin are passed."""
    scaled = places * np.float32(0.5 * n_bins / _NORMAL_SPAN if normal else n_bins)
    if normal:
        scaled += np.float32(0.5 * n_bins)
    return np.clip(scaled, 0, n_bins - 1, out=scaled).astype(np.int64)
