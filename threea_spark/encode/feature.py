"""The interface of every coded feature: of its field, before anything is known, and of its codec, after.

A feature has exactly one cell in each row. A number and a category are one feature, a timestamp is one and one more for
each of its parts. Nobody outside this folder asks what kind a feature is but by `is_category`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, FieldsOnly, Float64Array, Int16Array, Int64Array
from threea_spark.encode.cells import Decoded

if TYPE_CHECKING:
    from typing import Self

    from threea_spark.encode.quantile_codec import QuantileCodec

SCORE_GRID = 4096
"""Grid units of one unit of score: int16 holds scores up to 8, in steps of 1/4096."""
SCORE_LIMIT = 3.0
CATEGORY_COORDINATE = int(SCORE_GRID / np.sqrt(2.0))
"""One-hot coordinates are scaled by 1/sqrt(2), so two different levels lie 1 apart."""


class FeatureField(ABC):
    """The counts that one feature needs; public.

    Attributes:
      name, nullable: As the domain declares the column; a part of a timestamp is named hour, weekday or month.
      is_category: Whether its cells have no order.
      has_leaves: Whether its values are counted in the leaves of a tree.
      unit: Units in which `counts` adds one row.
    """

    name: str
    nullable: bool
    is_category: ClassVar[bool]
    has_leaves: ClassVar[bool] = False
    unit: ClassVar[int] = 1

    @property
    @abstractmethod
    def n_nodes(self) -> int:
        """Coordinates of its counts."""

    @property
    @abstractmethod
    def squared_norm(self) -> int:
        """Squared L2 norm of what a row adds at most, in squared units; so many coordinates it moves at most."""

    @property
    @abstractmethod
    def max_coordinates(self) -> int:
        """Coordinates of a packed vector that its codec may take."""

    @abstractmethod
    def values_of(self, cells: pa.Array) -> NDArray[np.generic]:
        """Reads Arrow cells: float64 with NaN for null, or int64 levels, shape (n,). PRIVATE."""

    @abstractmethod
    def counts(self, values: NDArray[np.generic]) -> Int64Array:
        """Exact counts of one batch in units, shape (n_nodes,). PRIVATE."""

    @abstractmethod
    def row_readings(self, block: Float64Array) -> Float64Array:
        """Those of its noisy counts that sum to the number of rows; empty if none do."""

    @abstractmethod
    def fit(self, block: Float64Array, n_rows: float, stddev: float, n_cells: int) -> FeatureCodec:
        """Makes the codec.

        Args:
          block: Its noisy counts in rows, shape (n_nodes,). RELEASED.
          n_rows: DP number of rows.
          stddev: Standard deviation of the noise on each count, in rows.
          n_cells: About how many cells a number is cut into.
        """

    @property
    def fields(self) -> tuple[Self, ...]:
        """A column of one feature counts that feature."""
        return (self,)

    def read(self, cells: pa.Array) -> list[NDArray[np.generic]]:
        """Reads one array for each feature of the column. PRIVATE."""
        return [self.values_of(cells)]

    def join(self, codecs: Sequence[Any]) -> Any:  # noqa: ANN401 - whatever kind of codec was fitted
        """The codec of a column of one feature is that of the feature."""
        (codec,) = codecs
        return codec


class FeatureCodec(FieldsOnly, ABC):
    """How one feature is packed, counted in cells and decoded; public or RELEASED.

    Attributes:
      name, nullable: As in the field.
      is_category: Whether its cells have no order.
      time_zone: Always None; a timestamp may have one.
    """

    name: str
    nullable: bool
    is_category: ClassVar[bool]
    time_zone: ClassVar[None] = None
    if TYPE_CHECKING:  # a field of one coding, a property of another

        @property
        def cell_mass(self) -> Float64Array:
            """DP mass of each cell, that of a number's null left out."""

    @property
    @abstractmethod
    def n_cells(self) -> int:
        """Cells, with the one of null."""

    @property
    @abstractmethod
    def n_value_cells(self) -> int:
        """Cells to be put in order: a number's without the one of null, all of a category."""

    @property
    @abstractmethod
    def n_coordinates(self) -> int:
        """Coordinates of a packed vector."""

    @property
    @abstractmethod
    def max_squared_norm(self) -> float:
        """Squared norm of its coordinates at most, in squared units of score."""

    @property
    def null_cell(self) -> int | None:
        """The cell of null, the last; None where there is none."""
        return self.n_cells - 1 if self.nullable else None

    @abstractmethod
    def pack(self, values: NDArray[np.generic], out: Int16Array) -> None:
        """Writes the coordinates of values into zeros.

        Args:
          values: As the field reads them, shape (n,). PRIVATE.
          out: Shape (n, n_coordinates), in grid units. PRIVATE.
        """

    @abstractmethod
    def cells(self, packed: Int16Array) -> Int64Array:
        """Finds the cell of each row from its own coordinates, shape (n,). PRIVATE."""

    @abstractmethod
    def nearest_cells(self, rows: Float64Array) -> Int64Array:
        """Finds the cell nearest to each mixed row from its own coordinates in grid units, shape (n,)."""

    @abstractmethod
    def cells_of_values(self, values: NDArray[np.generic]) -> Int64Array:
        """Finds the cell of each value, as if it were packed and not clipped, shape (n,). PRIVATE."""

    def grid_scores(self, values: NDArray[np.generic]) -> Int64Array:
        """Finds the score of each value on the grid, shape (n,): zeros where values are no numbers. PRIVATE."""
        return np.zeros(len(values), dtype=np.int64)

    @abstractmethod
    def decode_cells(self, cell: Int64Array, rng: np.random.Generator) -> Decoded:
        """Draws a value inside each cell.

        Args:
          cell: Cell of each row within the feature, shape (n,).
          rng: Public randomness: drawing is post-processing. One uniform number a row is taken.
        """

    @abstractmethod
    def values_in(self, cells: Int64Array) -> list[str]:
        """Names what lies in cells, in the order of the values; numbers have no names."""

    @abstractmethod
    def cells_holding(self, value: str) -> BoolArray:
        """Which cells may hold a category, shape (n_cells,); no cell of a number does."""

    @abstractmethod
    def cells_within(self, low: float, high: float) -> BoolArray:
        """Which cells may hold a number from `low` to `high`, shape (n_cells,); no cell of a category does."""

    @property
    def by_quantiles(self) -> QuantileCodec | None:
        """This codec, where it is a number's that is coded by the quantiles of its leaves."""
        return None

    @property
    def null_cells(self) -> BoolArray:
        """Which cells hold null alone, shape (n_cells,)."""
        return np.arange(self.n_cells) >= self.n_cells - int(self.nullable)

    @property
    def features(self) -> tuple[Self, ...]:
        """A column of one feature."""
        return (self,)

    def with_features(self, features: Sequence[Any]) -> Any:  # noqa: ANN401 - a number may become a point
        """The same column, coded otherwise."""
        (feature,) = features
        return feature

    def decode(self, cells: Int64Array, rng: np.random.Generator) -> Decoded:
        """Decodes the column from the cells of its features, shape (n, 1)."""
        return self.decode_cells(cells[:, 0], rng)
