"""Counts of all pairs of columns, from counts of a few columns at a time.

A row's groups in a run of columns make one number, as digits do, and `bincount` counts how often each number occurs
beside those of every later run. What it has counted for three or four columns at once is added up to the tables of
their pairs: for 24 columns a sixth of the time that a product of matrices of ones takes, and integers throughout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise, product

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import Int64Array

Run = tuple[int, int]
"""Neighbouring columns: the first and the end."""
_SIDES = (1, 16, 64, 256)  # most numbers that a run makes, where it has more columns than one
_JOINT_COST, _ROW_COST, _CELL_COST = 5_000.0, 1.7, 1.2  # nanoseconds: of a joint count, of its rows and of its cells


@dataclass(frozen=True)
class JointCounts:
    """Which columns are counted together.

    Attributes:
      sizes: Groups of each column.
      lefts: Runs that cover all columns.
      rights: The same, each within one of `lefts`.
    """

    sizes: tuple[int, ...]
    lefts: tuple[Run, ...]
    rights: tuple[Run, ...]

    @property
    def n_cells(self) -> tuple[int, int]:
        """Most numbers that a run makes, on the left and on the right."""
        left, right = (max(self._n_numbers(run) for run in runs) for runs in (self.lefts, self.rights))
        return left, right

    def cost(self, n_rows: int) -> float:
        """About how many nanoseconds a batch of so many rows takes."""
        n_joint = sum(right[0] >= left[1] for left in self.lefts for right in self.rights)
        return n_joint * (_JOINT_COST + _ROW_COST * n_rows + _CELL_COST * math.prod(self.n_cells))

    def tables(self, groups: NDArray[np.integer]) -> Int64Array:
        """Counts all pairs of columns.

        Args:
          groups: Group of each row in each column, shape (n_columns, n). PRIVATE.

        Returns:
          Shape (m, m) for m groups in all columns together: exact counts right of each column's own block. PRIVATE.
        """
        ends = np.cumsum([0, *self.sizes]).tolist()
        blocks = [slice(start, end) for start, end in pairwise(ends)]
        total = np.zeros((ends[-1], ends[-1]), dtype=np.int64)
        for left in self.lefts:
            own = self._code(groups, left)
            within = np.bincount(own, minlength=self._n_numbers(left)).reshape(self.sizes[slice(*left)])
            for a, b in combinations(range(len(within.shape)), 2):
                total[blocks[left[0] + a], blocks[left[0] + b]] = _summed(within, a, b)
        beside = self._beside(groups, blocks)
        for place, right in enumerate(self.rights):
            before = slice(0, ends[next(first for first, end in self.lefts if end > right[0])])
            counts = beside[before, place, : self._n_numbers(right)].reshape(-1, *self.sizes[slice(*right)])
            for axis, column in enumerate(range(*right)):
                total[before, blocks[column]] = _summed(counts, 0, 1 + axis)
        return total

    def _beside(self, groups: NDArray[np.integer], blocks: Sequence[slice]) -> Int64Array:
        """Counts each column's groups beside the numbers of every run to the right of the column's own.

        Returns:
          Shape (m, n_rights, most numbers on the right). PRIVATE.
        """
        n_right = self.n_cells[1]
        counts = np.zeros((blocks[-1].stop, len(self.rights), n_right), dtype=np.int64)
        codes, both = [self._code(groups, run) for run in self.rights], np.empty(groups.shape[1], dtype=np.int64)
        for left in self.lefts:
            own, sizes = self._code(groups, left) * n_right, self.sizes[slice(*left)]
            later = sum(right[0] < left[1] for right in self.rights)
            found = np.empty((len(codes) - later, self._n_numbers(left) * n_right), dtype=np.int64)
            for place, code in enumerate(codes[later:]):
                found[place] = np.bincount(np.add(own, code, out=both), minlength=found.shape[1])
            table = found.reshape(-1, *sizes, n_right)
            for axis, column in enumerate(range(*left)):
                counts[blocks[column], later:] = _summed(table, 0, 1 + axis, table.ndim - 1).swapaxes(0, 1)
        return counts

    def _n_numbers(self, run: Run) -> int:
        return math.prod(self.sizes[slice(*run)])

    def _code(self, groups: NDArray[np.integer], run: Run) -> Int64Array:
        code: Int64Array = groups[run[0]].astype(np.int64)
        for column in range(run[0] + 1, run[1]):
            code *= self.sizes[column]
            code += groups[column]
        return code


def _summed(counts: Int64Array, *kept: int) -> Int64Array:
    """The sums over all axes but some."""
    return np.asarray(counts.sum(axis=tuple(axis for axis in range(counts.ndim) if axis not in kept)))


def joint_counts(sizes: tuple[int, ...], n_rows: int) -> JointCounts:
    """Chooses the runs that cost least for batches of about so many rows; they do not change what is counted."""
    return _cheapest(sizes, 1 << n_rows.bit_length())


@lru_cache(maxsize=64)
def _cheapest(sizes: tuple[int, ...], n_rows: int) -> JointCounts:
    def plan(left: int, right: int) -> JointCounts:
        lefts = _runs(sizes, (0, len(sizes)), left)
        return JointCounts(sizes, lefts, tuple(own for run in lefts for own in _runs(sizes, run, right)))

    plans = [plan(left, right) for left, right in product(_SIDES, _SIDES) if right <= left]
    return min(plans, key=lambda own: own.cost(n_rows))


def _runs(sizes: Sequence[int], columns: Run, most: int) -> tuple[Run, ...]:
    """Cuts columns into runs that make at most so many numbers, or are one column."""
    runs: list[Run] = []
    n_numbers = most
    for column in range(*columns):
        n_numbers *= sizes[column]
        if n_numbers <= most and runs:
            runs[-1] = (runs[-1][0], column + 1)
        else:
            runs.append((column, column + 1))
            n_numbers = sizes[column]
    return tuple(runs)
