"""The least of many quadratic forms at each row: found in float32, and exactly the one float64 would find.

A form is the product of its weights and a row's monomials, and of a matrix where it has one. In float32 a sum of m
products is off by at most gamma_m times the sum of their sizes, in whatever order they are added. Where the two least
forms of a row lie further apart than twice that, float64 would choose the same one; the few other rows are computed
again in float64, which is exact here. So speed changes no assignment, and none depends on a row's batch.
Source of the bound: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Float32Array, Float64Array, Int64Array

_UNIT_ROUNDOFF = 2.0**-24
_SLACK = 2.0  # for the bound's own rounding and its higher-order terms
_FORMS = 64  # at a time, so that their values over a tile of rows stay in a core's own cache
_PLACES = np.arange(_FORMS, dtype=np.uint8)[:, None]
_PRODUCT = 1_000_000  # multiplications up to which BLAS copies no operand of a product, so is faster
_MIN_ROWS, _MAX_ROWS = 640, 1_600  # no powers of two: their columns would share the lines of a cache


@dataclass(frozen=True)
class QuadraticForms:
    """k functions constant + linear . x + x' quadratic x.

    Attributes:
      constant: Shape (k,).
      linear: Shape (d, k).
      quadratic: None, a diagonal each (k, d), or a matrix each (k, d, d).
    """

    constant: Float64Array
    linear: Float64Array
    quadratic: Float64Array | None

    def some(self, which: Int64Array) -> QuadraticForms:
        """The forms at these places."""
        quadratic = None if self.quadratic is None else self.quadratic[which]
        return QuadraticForms(self.constant[which], self.linear[:, which], quadratic)

    def values(self, x: Float32Array) -> Float64Array:
        """Evaluates every form at every row (n, d) in float64, shape (n, k)."""
        return np.asarray(_evaluated(x.astype(np.float64), self.linear, self.quadratic) + self.constant)

    def least(self, x: NDArray[np.number], unit: float = 1.0) -> Int64Array:
        """Finds the least form of each row, the first of equals, as `values(x * unit).argmin(axis=1)` would.

        Args:
          x: Shape (n, d), float32 or int16; fast where its columns are contiguous.
          unit: What a 1 in x stands for, a power of two.

        Returns:
          Shape (n,).
        """
        n_rows, (n_forms, n_monomials) = len(x), self._weights.shape
        tile = min(max(_PRODUCT // (min(n_forms, _FORMS) * n_monomials), _MIN_ROWS), _MAX_ROWS, max(n_rows, 1))
        work = _Workspace.of(min(n_forms, _FORMS), n_monomials, tile)
        found, margin = np.empty(n_rows, dtype=np.int64), np.empty(n_rows, dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # centres that ran away: such rows are unsure
            for start in range(0, n_rows, tile):
                own = slice(start, start + tile)
                self._write_least(x.T[:, own], unit, work.cut(n_rows - start), found[own], margin[own])
            unsure = np.flatnonzero(~(margin > self._error(x, unit)))
        if len(unsure):
            found[unsure] = self.values(x[unsure].astype(np.float32) * np.float32(unit)).argmin(axis=1)
        return found

    def _write_least(
        self, x: NDArray[np.number], unit: float, work: _Workspace, found: Int64Array, margin: Float32Array
    ) -> None:
        """Finds the least form of each row of a tile, and how far off the next one is; x has shape (d, n)."""
        self._write_monomials(x, unit, work.monomials)
        least, second, place = self._two_least(0, work)
        found[:] = place
        for first in range(_FORMS, len(self._weights), _FORMS):
            own_least, own_second, place = self._two_least(first, work)
            np.copyto(found, first + place.astype(np.int64), where=own_least < least)
            second = np.minimum(np.minimum(second, own_second), np.maximum(least, own_least))
            least = np.minimum(least, own_least)
        np.subtract(second, least, out=margin)

    def _two_least(self, first: int, work: _Workspace) -> tuple[Float32Array, Float32Array, NDArray[np.uint8]]:
        """The two least of the forms from `first` on, and the place of the least among them, each of shape (n,)."""
        weights = self._weights[first : first + _FORMS]
        values = np.matmul(weights, work.monomials, out=work.values[: len(weights)])
        if self._matrices is not None:
            x = work.monomials[1:]
            for value, matrix in zip(values, self._matrices[first : first + _FORMS], strict=True):
                value += np.einsum("dn,dn->n", matrix @ x, x)
        least = np.minimum.reduce(values, axis=0)
        is_least = np.equal(values, least, out=work.is_least[: len(weights)]).view(np.uint8)
        is_least *= _PLACES[: len(weights)]
        place = np.maximum.reduce(is_least, axis=0)
        values[place, work.rows] = np.inf
        return least, np.minimum.reduce(values, axis=0), place

    @cached_property
    def _weights(self) -> Float32Array:
        """Weight of each monomial in each form, shape (k, m)."""
        parts = [self.constant[:, None], self.linear.T]
        if self.quadratic is not None and self.quadratic.ndim == 2:
            parts.append(self.quadratic)
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(np.hstack(parts), dtype=np.float32)

    @cached_property
    def _matrices(self) -> Float32Array | None:
        """The matrix of each form, shape (k, d, d), where it has one."""
        return self.quadratic.astype(np.float32) if self.quadratic is not None and self.quadratic.ndim == 3 else None

    def _write_monomials(self, x: NDArray[np.number], unit: float, out: Float32Array) -> None:
        """One, the coordinates, and their squares where forms have diagonals, in the order of `_weights`.

        Args:
          x: Coordinates of the rows, shape (d, n).
          unit: What a 1 in x stands for.
          out: Shape (m, n).
        """
        width = len(x)
        out[0] = 1.0
        own = out[1 : 1 + width]
        own[...] = x
        own *= np.float32(unit)
        if self.quadratic is not None and self.quadratic.ndim == 2:
            np.multiply(own, own, out=out[1 + width :])

    @cached_property
    def _norms(self) -> tuple[float, float, float]:
        """Largest constant, linear norm and quadratic norm (Frobenius) among the forms."""
        linear = float(np.sqrt((self.linear**2).sum(axis=0)).max(initial=0.0))
        quadratic = 0.0
        if self.quadratic is not None:
            flat = self.quadratic.reshape(len(self.quadratic), -1)
            quadratic = float(np.sqrt((flat**2).sum(axis=1)).max(initial=0.0))
        return float(np.abs(self.constant).max(initial=0.0)), linear, quadratic

    def _error(self, x: NDArray[np.number], unit: float) -> float:
        """Twice the bound on the error of a form of any of the rows x * unit.

        Each of its terms is off by the rounding of its weight and of two products, besides the sums it has part in.
        """
        constant, linear, quadratic = self._norms
        ends = np.stack([x.min(axis=0, initial=0), x.max(axis=0, initial=0)]).astype(np.float64) * unit
        squared = float(np.square(ends).max(axis=0).sum())
        size = linear * np.sqrt(squared) + quadratic * squared + constant
        n_terms = max(self._weights.shape[1], 2 * x.shape[1])
        return float(2.0 * _SLACK * _UNIT_ROUNDOFF * (n_terms + 8) * size)


@dataclass(frozen=True)
class _Workspace:
    """Arrays that all tiles of rows share.

    Attributes:
      monomials: Shape (m, n).
      values: Forms of the rows, shape (k, n).
      is_least: Whether a form is the least of a row, shape (k, n).
      rows: Shape (n,), from 0.
    """

    monomials: Float32Array
    values: Float32Array
    is_least: BoolArray
    rows: Int64Array

    @classmethod
    def of(cls, n_forms: int, n_monomials: int, n_rows: int) -> _Workspace:
        """Arrays for tiles of so many rows."""
        monomials, values = (np.empty((n, n_rows), dtype=np.float32) for n in (n_monomials, n_forms))
        return cls(monomials, values, np.empty((n_forms, n_rows), dtype=np.bool_), np.arange(n_rows))

    def cut(self, n_rows: int) -> _Workspace:
        """The same for the last tile, which may hold fewer rows."""
        if n_rows >= len(self.rows):
            return self
        return _Workspace(
            self.monomials[:, :n_rows], self.values[:, :n_rows], self.is_least[:, :n_rows], self.rows[:n_rows]
        )


def _evaluated(
    x: NDArray[np.floating], linear: NDArray[np.floating], quadratic: NDArray[np.floating] | None
) -> NDArray[np.floating]:
    values = x @ linear
    if quadratic is not None and quadratic.ndim == 2:
        values += (x * x) @ quadratic.T
    elif quadratic is not None:
        for index, own in enumerate(quadratic):
            values[:, index] += ((x @ own) * x).sum(axis=1)
    return values
