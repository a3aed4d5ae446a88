"""A number of a wide table: two DP moments instead of a tree, and an affine coding by them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.feature import SCORE_LIMIT
from threea_spark.encode.grid import LeafGrid
from threea_spark.encode.numbers import NumberCodec, NumberField
from threea_spark.encode.steps import NumberKind
from threea_spark.encode.written import StepMixture

MOMENT_GRID = 64
"""Grid units of half a column's range; rows count this many units too, so that one noise fits both."""
_MIN_SCALE = 1.0 / 64.0  # of half the range: a column that looks constant under noise
_MIN_MASS = 1e-9
_SIGNIFICANT = 1.0  # standard deviations by which a second moment must exceed what noise alone explains


@dataclass(frozen=True)
class MomentField(NumberField):
    """A numeric column of a wide table before its mean and scale are known.

    Attributes:
      name, kind, nullable: As the domain declares the column.
      lower, upper: Public bounds.
      steps: The step that the domain declares, if any.
    """

    name: str
    kind: NumberKind
    nullable: bool
    lower: float
    upper: float
    steps: StepMixture | None = None
    is_category: ClassVar[Literal[False]] = False
    has_leaves: ClassVar[Literal[False]] = False
    unit: ClassVar[int] = MOMENT_GRID

    @property
    def n_nodes(self) -> int:
        """First moment, second moment, rows that are null."""
        return 3

    @property
    def squared_norm(self) -> int:
        """In squared units of MOMENT_GRID: two moments, or the count of nulls."""
        return 2

    def counts(self, values: NDArray[np.generic]) -> Int64Array:
        """Exact sums of one batch in units of 1 / MOMENT_GRID, shape (3,). PRIVATE."""
        numbers = values.astype(np.float64)
        missing = np.isnan(numbers)
        nulls = int(missing.sum()) if self.nullable else 0
        clipped = np.clip(np.where(missing, 0.5 * (self.lower + self.upper), numbers), self.lower, self.upper)
        units = np.rint(MOMENT_GRID * (2.0 * (clipped - self.lower) / (self.upper - self.lower) - 1.0)).astype(np.int64)
        if self.nullable:
            units = units[~missing]
        return np.array([units.sum(), (units * units // MOMENT_GRID).sum(), MOMENT_GRID * nulls], dtype=np.int64)

    def row_readings(self, block: Float64Array) -> Float64Array:
        """No sums of moments tell the number of rows."""
        return np.zeros(0)

    def fit(self, block: Float64Array, n_rows: float, stddev: float, n_cells: int) -> AffineCodec:
        """Makes the codec from noisy first moment, second moment and nulls; cells have equal mass under a normal."""
        half, middle = 0.5 * (self.upper - self.lower), 0.5 * (self.upper + self.lower)
        nulls = min(max(float(block[2]), 0.0), n_rows) if self.nullable else 0.0
        present = max(n_rows - nulls, 1.0)
        mean = float(np.clip(block[0] / present, -1.0, 1.0))
        variance = block[1] / present - mean**2
        noise = stddev / present
        scale = float(np.sqrt(max(variance if variance > _SIGNIFICANT * noise else noise, _MIN_SCALE**2)))
        edges = np.asarray(ndtri(np.arange(1, n_cells) / n_cells), dtype=np.float64)
        return AffineCodec(
            self.name,
            self.kind,
            self.nullable,
            self.lower,
            self.upper,
            middle + half * mean,
            half * scale,
            edges,
            null_share=nulls / max(n_rows, 1.0),
            steps=self.steps,
        )


@dataclass(frozen=True)
class AffineCodec(NumberCodec):
    """A numeric column shifted and scaled by DP moments.

    Attributes:
      name, kind, nullable, lower, upper, cell_edges, null_share, steps: As in every number.
      mean, scale: RELEASED; scale > 0.
    """

    name: str
    kind: NumberKind
    nullable: bool
    lower: float
    upper: float
    mean: float
    scale: float
    cell_edges: Float64Array
    null_share: float = 0.0
    steps: StepMixture | None = None

    def score(self, values: Float64Array) -> Float64Array:
        """Maps values to scores in [-SCORE_LIMIT, SCORE_LIMIT]; no NaN may enter."""
        clipped = np.clip(values, self.lower, self.upper)
        return np.clip((clipped - self.mean) / self.scale, -SCORE_LIMIT, SCORE_LIMIT)

    @cached_property
    def _ends(self) -> Float64Array:
        lowest = max(-SCORE_LIMIT, (self.lower - self.mean) / self.scale)
        highest = min(SCORE_LIMIT, (self.upper - self.mean) / self.scale)
        return np.concatenate([[lowest], np.clip(self.cell_edges, lowest, highest), [highest]])

    @cached_property
    def cell_mass(self) -> Float64Array:
        """Mass of each cell under a standard normal, shape (n_value_cells,)."""
        mass = np.maximum(np.diff(ndtr(self._ends)), _MIN_MASS)
        return np.asarray(mass / mass.sum(), dtype=np.float64)

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Float64Array:
        """Draws a value inside each cell by a normal distribution cut to it."""
        place = uniform * self._spans.take(cell)
        place += self._begins.take(cell)
        return self._in_step(self.value(ndtri(place, out=place)))

    @cached_property
    def _begins(self) -> Float64Array:
        """Place of the normal distribution at which each cell begins, shape (n_value_cells,)."""
        return np.asarray(ndtr(self._ends[:-1]), dtype=np.float64)

    @cached_property
    def _spans(self) -> Float64Array:
        """How much of it each cell holds, shape (n_value_cells,)."""
        return np.asarray(ndtr(self._ends[1:]) - self._begins, dtype=np.float64)

    def cells_of_leaves(self) -> tuple[LeafGrid, Int64Array]:
        """The values between the scores at which cells begin, within the bounds."""
        whole = self.kind != "float"
        edges = np.clip(self.mean + self.scale * self.cell_edges, self.lower, self.upper)
        low, high = np.append(self.lower, edges), np.append(edges, self.upper)
        if whole:
            low, high = np.ceil(low), np.append(np.ceil(edges) - 1.0, np.floor(self.upper))
        used = np.flatnonzero(low <= high) if whole else np.flatnonzero(low < high)
        return LeafGrid(low[used], high[used], whole), used.astype(np.int64)

    def value(self, score: Float64Array) -> Float64Array:
        """Maps scores back to values within the bounds; whole numbers are rounded."""
        values = score * self.scale
        values += self.mean
        np.clip(values, self.lower, self.upper, out=values)
        return values if self.kind == "float" else np.rint(values, out=values)
