"""Values of a number by their place in its distribution: what a drawn value is looked up in.

The distribution is cut into pieces, in order: the values of one step in one leaf, or a leaf's values that follow none.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.grid import GuidedSearch, LeafGrid
from threea_spark.encode.written import WrittenLeaves


@dataclass(frozen=True)
class Pieces:
    """Pieces of a distribution, all arrays of shape (n_pieces,).

    A place p in a piece has the value (first + (p - origin) * rate) * numerator / denominator, where the index, which
    stands before `numerator`, is rounded down to a whole one if the piece is stepped, and is `last` at most.

    Attributes:
      leaf: Where the values lie.
      begin: Place at which the piece begins.
      origin, rate, first, last, numerator, denominator: As above.
      is_stepped: Whether indices are whole.
    """

    leaf: Int64Array
    begin: Float64Array
    origin: Float64Array
    rate: Float64Array
    first: Float64Array
    last: Float64Array
    numerator: Float64Array
    denominator: Float64Array
    is_stepped: BoolArray

    @classmethod
    def of_leaves(cls, grid: LeafGrid, cdf: Float64Array, leaf: Int64Array, begin: Float64Array) -> Pieces:
        """Leaves, from places `begin` on, whose values are spread evenly over all of the leaf."""
        low, high, one = grid.low[leaf], grid.high[leaf], np.ones(len(leaf))
        rate = _quotient(high - low + float(grid.whole), cdf[leaf + 1] - cdf[leaf])
        return cls(leaf, begin, cdf[leaf], rate, low, high, one, one, np.full(len(leaf), grid.whole))

    @classmethod
    def of_values(cls, leaf: Int64Array, begin: Float64Array, values: Float64Array) -> Pieces:
        """Single values."""
        one, is_stepped = np.ones(len(leaf)), np.ones(len(leaf), dtype=np.bool_)
        return cls(leaf, begin, begin, 0.0 * one, values, values, one, one, is_stepped)

    @classmethod
    def of_step(cls, leaves: WrittenLeaves, cdf: Float64Array, place: int) -> Pieces:
        """The values of one of the column's steps, in all leaves that hold any."""
        leaf = np.flatnonzero(leaves.parts[place] > 0.0)
        before, behind, whole = leaves.below[place, leaf], leaves.below[place + 1, leaf], cdf[leaf + 1] - cdf[leaf]
        begin, mass = cdf[leaf] + before * whole, (behind - before) * whole
        step, (firsts, counts) = leaves.mixture.steps[place], leaves.firsts_and_counts
        first, count = firsts[place, leaf], counts[place, leaf]
        if step.months:  # months differ in length: each is a piece
            n_values = count.astype(np.int64)
            within = np.arange(n_values.sum()) - np.repeat(np.cumsum(n_values) - n_values, n_values)
            begins = np.repeat(begin, n_values) + within * np.repeat(_quotient(mass, count), n_values)
            return cls.of_values(np.repeat(leaf, n_values), begins, step.value(np.repeat(first, n_values) + within))
        one = np.ones(len(leaf))
        rate, is_stepped = _quotient(count, mass), one.astype(np.bool_)
        scale = one * step.numerator, one * step.denominator
        return cls(leaf, begin, begin, rate, first, first + count - 1.0, *scale, is_stepped)

    @classmethod
    def joined(cls, parts: list[Pieces]) -> Pieces:
        """All of them, in order of their leaves."""
        order = np.argsort(np.concatenate([part.leaf for part in parts]), kind="stable")
        return cls(*[np.concatenate([getattr(part, own.name) for part in parts])[order] for own in fields(cls)])


@dataclass(frozen=True)
class ValueTable:
    """A distribution of values.

    Attributes:
      grid: Leaves that no value leaves.
      pieces: In order; the first one begins at 0.
    """

    grid: LeafGrid
    pieces: Pieces

    @classmethod
    def of(cls, grid: LeafGrid, cdf: Float64Array, leaves: WrittenLeaves | None) -> ValueTable:
        """Makes the table.

        A leaf without any value of the column's steps, which has next to no rows, gives the nearest one; a value with
        its own leaf is drawn as it is.

        Args:
          grid: Leaves of the column.
          cdf: Distribution at their ends, shape (n_leaves + 1,), from 0 to 1, increasing.
          leaves: The column's steps in them, if it has any.
        """
        if leaves is None:
            return cls(grid, Pieces.of_leaves(grid, cdf, np.arange(grid.n_leaves), cdf[:-1]))
        parts = [Pieces.of_step(leaves, cdf, place) for place in range(len(leaves.mixture.steps))]
        is_bare = leaves.weights <= 0.0
        empty = np.flatnonzero(is_bare & ~grid.is_atom)
        middle = grid.value(empty, np.full(len(empty), 0.5))
        nearest = leaves.mixture.nearest(middle, float(grid.low[0]), float(grid.high[-1]))
        parts.append(Pieces.of_values(empty, cdf[empty], nearest))
        own = np.flatnonzero((leaves.parts[-1] > 0.0) | (is_bare & grid.is_atom))
        parts.append(Pieces.of_leaves(grid, cdf, own, cdf[own] + leaves.below[-2, own] * (cdf[own + 1] - cdf[own])))
        return cls(grid, Pieces.joined(parts))

    def value(self, place: Float64Array) -> Float64Array:
        """The value at each place of the distribution, in [0, 1], shape (n,)."""
        piece, of = self._search.leaf_of(place), self.pieces
        found = place - of.origin.take(piece)
        found *= of.rate.take(piece)
        if of.is_stepped.all():
            np.floor(found, out=found)
        elif of.is_stepped.any():
            np.floor(found, out=found, where=of.is_stepped.take(piece))
        found += of.first.take(piece)
        np.minimum(found, of.last.take(piece), out=found)
        for scale, apply in ((of.numerator, np.multiply), (of.denominator, np.divide)):
            if scale[0] != 1.0 or not self._is_even:
                apply(found, scale[0] if self._is_even else scale.take(piece), out=found)
        if self._strays.any():
            rows = np.flatnonzero(self._strays.take(piece))
            leaf = of.leaf.take(piece[rows])
            found[rows] = np.clip(found[rows], self.grid.low[leaf], self.grid.high[leaf])
        return found

    @cached_property
    def _search(self) -> GuidedSearch:
        return GuidedSearch(np.append(self.pieces.begin, 1.0))

    @cached_property
    def _is_even(self) -> bool:
        """Whether all pieces have one scale."""
        of = self.pieces
        return bool(np.ptp(of.numerator) == 0.0 and np.ptp(of.denominator) == 0.0)

    @cached_property
    def _strays(self) -> BoolArray:
        """Pieces of which rounding moves a value out of the leaf, by an ulp: far from zero."""
        of = self.pieces
        least, most = (index * of.numerator / of.denominator for index in (of.first, of.last))
        return (of.rate > 0.0) & ((least < self.grid.low[of.leaf]) | (most > self.grid.high[of.leaf]))


def _quotient(numerator: Float64Array, denominator: Float64Array) -> Float64Array:
    """A quotient, 0 where the denominator is, and finite."""
    with np.errstate(over="ignore"):
        found = np.divide(numerator, denominator, out=np.zeros(len(denominator)), where=denominator > 0.0)
    return np.minimum(found, np.finfo(np.float64).max)
