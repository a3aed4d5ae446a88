"""A number: its score is one coordinate, an indicator of null another, and its cells cut the range of scores.

Here is what all its codings share, and the simplest of them; quantiles.py and moments.py hold the others.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Float64Array, Int16Array, Int64Array
from threea_spark.encode.cells import Numbers, numbers_of
from threea_spark.encode.feature import CATEGORY_COORDINATE, SCORE_GRID, SCORE_LIMIT, FeatureCodec, FeatureField
from threea_spark.encode.grid import LeafGrid
from threea_spark.encode.steps import NumberKind
from threea_spark.encode.written import StepMixture

_LARGEST_SCORE = int(SCORE_LIMIT * SCORE_GRID)
_WITHIN = (np.arange(64) + 0.5) / 64  # places within a cell, whose values give its mean


class NumberField(FeatureField):
    """A number before its distribution is known."""

    @property
    def max_coordinates(self) -> int:
        """The score, and the indicator of null."""
        return 1 + int(self.nullable)

    def values_of(self, cells: pa.Array) -> Float64Array:
        """Reads numbers with NaN for null. PRIVATE."""
        return numbers_of(cells)


class NumberCodec(FeatureCodec):
    """A number that is coded by a score.

    Attributes:
      kind: Kind of the column; a timestamp is a number of seconds since 1970.
      steps: Steps that drawn values follow; None where nothing is known of them. RELEASED, or declared.
      lower, upper: Public bounds.
      null_share: DP share of rows that are null.
      cell_edges: Scores at which a new cell begins, increasing, shape (n_value_cells - 1,).
      cell_mass: DP mass of each cell of values, shape (n_value_cells,), sums to 1.
    """

    is_category: ClassVar[Literal[False]] = False
    kind: NumberKind
    null_share: float
    steps: StepMixture | None
    if TYPE_CHECKING:  # fields of one coding, properties of another

        @property
        def lower(self) -> float:
            """Public lower bound."""

        @property
        def upper(self) -> float:
            """Public upper bound."""

        @property
        def cell_edges(self) -> Float64Array:
            """Where cells begin."""

        @property
        def cell_mass(self) -> Float64Array:
            """How heavy they are."""

    @abstractmethod
    def score(self, values: Float64Array) -> Float64Array:
        """Maps values to scores in [-SCORE_LIMIT, SCORE_LIMIT]; no NaN may enter."""

    @abstractmethod
    def value(self, score: Float64Array) -> Float64Array:
        """Maps scores back to values within the bounds."""

    @abstractmethod
    def draw(self, cell: Int64Array, uniform: Float64Array) -> Float64Array:
        """Draws a value inside each cell.

        Args:
          cell: Shape (n,), in [0, n_value_cells).
          uniform: Shape (n,), in [0, 1).
        """

    @abstractmethod
    def cells_of_leaves(self) -> tuple[LeafGrid, Int64Array]:
        """Neighbouring intervals of values, and the cell whose rows' scores lie in the middle of each, not decreasing.

        Cells so far out that the limit of scores leaves them no row are not among them.
        """

    @cached_property
    def cell_means(self) -> Float64Array:
        """Mean of the values that are drawn in each cell of values, shape (n_value_cells,)."""
        cell = np.repeat(np.arange(self.n_value_cells), len(_WITHIN))
        values = self.draw(cell, np.tile(_WITHIN, self.n_value_cells))
        return np.asarray(values.reshape(-1, len(_WITHIN)).mean(axis=1), dtype=np.float64)

    def recut(self, n_cells: int) -> NumberCodec:
        """The same number in about so many cells of equal mass, where its distribution is known so finely."""
        return self

    def cell(self, score: Float64Array) -> Int64Array:
        """Finds the cell of each score."""
        return np.searchsorted(self.cell_edges, score, side="right").astype(np.int64)

    @property
    def n_value_cells(self) -> int:
        """Cells of values, without the one of null."""
        return len(self.cell_edges) + 1

    @property
    def n_cells(self) -> int:
        """Cells, with the one of null, the last."""
        return self.n_value_cells + int(self.nullable)

    @property
    def n_coordinates(self) -> int:
        """The score, and the indicator of null."""
        return 1 + int(self.nullable)

    @property
    def max_squared_norm(self) -> float:
        """A null has its indicator in place of its score, and the indicator is shorter."""
        return SCORE_LIMIT**2

    def pack(self, values: NDArray[np.generic], out: Int16Array) -> None:
        """Writes scores, rounded to the grid, and indicators of null."""
        numbers = np.asarray(values, dtype=np.float64)
        out[:, 0] = self.grid_scores(numbers)
        if self.nullable:
            missing = np.isnan(numbers)
            out[missing, 0] = 0
            out[:, 1] = missing * np.int16(CATEGORY_COORDINATE)

    def cells(self, packed: Int16Array) -> Int64Array:
        """Looks up the cell of each score; an indicator of null comes first."""
        cell = self._cell_table[packed[:, 0].astype(np.int64) + _LARGEST_SCORE].astype(np.int64)
        if self.nullable:
            np.copyto(cell, self.n_value_cells, where=packed[:, 1] > 0)
        return cell

    @cached_property
    def _cell_table(self) -> NDArray[np.uint16]:
        """Cell of each score on the grid: int16 has few values, so a table replaces a search."""
        return self.cell(np.arange(-_LARGEST_SCORE, _LARGEST_SCORE + 1) / SCORE_GRID).astype(np.uint16)

    def nearest_cells(self, rows: Float64Array) -> Int64Array:
        """The cell of the score, or null where its indicator leads."""
        cell = self.cell(rows[:, 0] / SCORE_GRID)
        return np.where(rows[:, 1] > CATEGORY_COORDINATE / 2, self.n_value_cells, cell) if self.nullable else cell

    def cells_of_values(self, values: NDArray[np.generic]) -> Int64Array:
        """Finds the cell of each value from its score on the grid."""
        numbers = np.asarray(values, dtype=np.float64)
        cell = self.cell(self.grid_scores(numbers) / SCORE_GRID)
        return np.where(np.isnan(numbers) & self.nullable, self.n_value_cells, cell)

    def grid_scores(self, values: NDArray[np.generic]) -> Int64Array:
        """Finds the score of each value on the grid; that of the middle of the bounds for a null."""
        scores = self.score(self._filled(np.asarray(values, dtype=np.float64))) * SCORE_GRID
        return np.rint(scores, out=scores).astype(np.int64)

    def decode_cells(self, cell: Int64Array, rng: np.random.Generator) -> Numbers:
        """Draws a value inside each cell; NaN in the cell of null."""
        if not self.nullable:
            return Numbers(self.draw(cell, rng.random(len(cell))))
        values = self.draw(np.minimum(cell, self.n_value_cells - 1), rng.random(len(cell)))
        values[cell == self.n_value_cells] = np.nan
        return Numbers(values)

    def values_in(self, cells: Int64Array) -> list[str]:
        """Cells of numbers have no names."""
        return []

    def cells_holding(self, value: str) -> BoolArray:
        """None."""
        return np.zeros(self.n_cells, dtype=np.bool_)

    def cells_within(self, low: float, high: float) -> BoolArray:
        """The cells from that of the lower end to that of the upper one, and one more on either side for rounding."""
        ends = np.clip(np.array([low, high], dtype=np.float64), self.lower, self.upper)
        first, last = self.cells_of_values(ends)
        cells = np.zeros(self.n_cells, dtype=np.bool_)
        cells[max(0, first - 1) : min(last + 2, self.n_value_cells)] = True
        return cells

    def _in_step(self, values: Float64Array) -> Float64Array:
        """The nearest values within the bounds that the column could hold."""
        return values if self.steps is None else self.steps.nearest(values, self.lower, self.upper)

    def _filled(self, values: Float64Array) -> Float64Array:
        """Null counts as the middle of the bounds wherever a number is needed: public, whatever the rows hold."""
        missing = np.isnan(values)
        return np.where(missing, 0.5 * (self.lower + self.upper), values) if missing.any() else values


@dataclass(frozen=True)
class PointCodec(NumberCodec):
    """A number of which only the mean is released: all its rows take one value, in one cell.

    Attributes:
      name, kind, nullable, lower, upper, null_share, steps: As in every number.
      point: The value of every row that is not null. RELEASED.
    """

    name: str
    kind: NumberKind
    nullable: bool
    lower: float
    upper: float
    point: float
    null_share: float = 0.0
    steps: StepMixture | None = None

    @cached_property
    def cell_edges(self) -> Float64Array:
        """No score begins another cell, shape (0,)."""
        return np.zeros(0)

    @cached_property
    def cell_mass(self) -> Float64Array:
        """Mass of the only cell, shape (1,)."""
        return np.ones(1)

    def score(self, values: Float64Array) -> Float64Array:
        """Maps every value to 0."""
        return np.zeros(values.shape)

    def value(self, score: Float64Array) -> Float64Array:
        """Maps every score to the point."""
        return np.full(score.shape, self.point)

    def cells_of_leaves(self) -> tuple[LeafGrid, Int64Array]:
        """One interval, from bound to bound."""
        whole = self.kind != "float"
        return LeafGrid(np.array([self.lower]), np.array([self.upper]), whole), np.zeros(1, dtype=np.int64)

    def draw(self, cell: Int64Array, uniform: Float64Array) -> Float64Array:
        """Returns the point, whatever the cell and the uniform numbers, shape (n,)."""
        return self._in_step(np.full(cell.shape, self.point))
