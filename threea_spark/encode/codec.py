"""The codec of a table: where each feature lies in the packed vector, which cells it counts in, how rows come back.

A row becomes int16 coordinates on a public grid: scores of numbers, an indicator of null for nullable numbers, scaled
one-hot levels of categories. Everything later stages see of a row is this vector and its class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import Float32Array, Float64Array, Int16Array, Int64Array
from threea_spark.encode.between.links import CellLink, cell_links
from threea_spark.encode.between.nulls import CellGroup, cell_groups, laws_without_nulls, with_marked_nulls
from threea_spark.encode.between.row_rules import RowRules
from threea_spark.encode.categories import CategoryCodec
from threea_spark.encode.cell_layout import CellLayout
from threea_spark.encode.cells import Decoded
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.encode.numbers import NumberCodec
from threea_spark.encode.times import TimeCodec
from threea_spark.privacy.clipping import clip_rows

Feature: TypeAlias = NumberCodec | CategoryCodec
"""A codec with one cell in each row; feature.py defines its interface."""
ColumnCodec: TypeAlias = Feature | TimeCodec
"""The codec of a released column: a feature, or a timestamp with its parts."""


@dataclass(frozen=True)
class Encoding:
    """Codecs of all columns but the first label, in order, and of that label.

    Attributes:
      columns: In the domain's order, further labels among them.
      label: Codec of the first label; None for the task "none". A number is learned by its cells.
      clip_norm: L2 bound on a packed vector, in units of score.
      rules: Rules between columns, which these columns code; None where there are none.
    """

    columns: tuple[ColumnCodec, ...]
    label: Feature | None
    clip_norm: float
    rules: RowRules | None = None

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Codecs of all features, column after column; the parts of a timestamp follow its seconds."""
        return tuple(feature for column in self.columns for feature in column.features)

    def column(self, name: str) -> ColumnCodec:
        """The codec of a column."""
        return next(column for column in self.columns if column.name == name)

    def place_of(self, name: str) -> int:
        """Which feature is the first of a column."""
        return next(first for column, first, _ in self._spans() if column.name == name)

    @property
    def n_classes(self) -> int:
        """How many classes the label has: categories, cells of a number, or one where there is no label."""
        return 1 if self.label is None else self.label.n_cells

    @cached_property
    def _ends(self) -> Int64Array:
        """First coordinate of each feature, and the end, shape (n_features + 1,)."""
        return np.cumsum([0, *[feature.n_coordinates for feature in self.features]]).astype(np.int64)

    @property
    def width(self) -> int:
        """Coordinates of a packed vector."""
        return int(self._ends[-1])

    @property
    def offsets(self) -> Int64Array:
        """First coordinate of each feature, shape (n_features,)."""
        return self._ends[:-1]

    @cached_property
    def cell_layout(self) -> CellLayout:
        """Where each feature's cells lie among all cells."""
        return CellLayout(tuple(feature.n_cells for feature in self.features))

    @property
    def n_cells(self) -> int:
        """Cells of all features together."""
        return self.cell_layout.n_cells

    @property
    def norm_bound(self) -> int:
        """L2 bound on a packed vector, in grid units."""
        return int(self.clip_norm * SCORE_GRID)

    @cached_property
    def _max_norm(self) -> float:
        """No row is longer, in grid units, even without clipping."""
        return SCORE_GRID * float(np.sqrt(sum(feature.max_squared_norm for feature in self.features)))

    def pack(self, values: list[NDArray[np.generic]], n_rows: int | None = None) -> Int16Array:
        """Codes a batch of rows.

        Args:
          values: One array for each feature: float64 with NaN for null, or int levels. PRIVATE.
          n_rows: Rows of the batch, for tables without features.

        Returns:
          Shape (n, width), norm at most norm_bound, checked in integers. PRIVATE.
        """
        if n_rows is None:
            n_rows = len(values[0]) if values else 0
        packed = np.zeros((self.width, n_rows), dtype=np.int16).T  # columns are contiguous, as in the staged blocks
        for feature, (start, stop), own in zip(self.features, pairwise(self._ends), values, strict=True):
            feature.pack(own, packed[:, start:stop])
        if self.norm_bound >= self._max_norm:
            return packed
        return clip_rows(packed.astype(np.int64), self.norm_bound).astype(np.int16)

    def cells(self, packed: Int16Array) -> Int64Array:
        """Finds the cell of every feature of each packed row, counted through all features.

        Args:
          packed: Shape (n, width). PRIVATE.

        Returns:
          Shape (n, n_features): exactly one cell a feature, so a row's cell counts have squared norm n_features.
        """
        found, offsets = np.empty((len(self.features), len(packed)), dtype=np.int64), self.cell_layout.offsets.tolist()
        for row, feature, place, offset in zip(found, self.features, pairwise(self._ends), offsets[:-1], strict=True):
            np.add(feature.cells(packed[:, slice(*place)]), offset, out=row)
        return found.T

    def nearest_cells(self, rows: Float64Array) -> Int64Array:
        """Finds the cells of mixed rows: the largest level, the number's cell, null where its indicator leads.

        Args:
          rows: In grid units, shape (n, width). RELEASED.

        Returns:
          As `cells` returns them, shape (n, n_features).
        """
        found = np.empty((len(self.features), len(rows)), dtype=np.int64)
        for row, feature, (start, stop) in zip(found, self.features, pairwise(self._ends), strict=True):
            row[:] = feature.nearest_cells(rows[:, start:stop])
        return (found + self.cell_layout.offsets[:-1, None]).T

    def scores(self, packed: Int16Array) -> Float32Array:
        """The packed rows in units of score, shape (n, width). PRIVATE if the rows are."""
        return packed.astype(np.float32) / np.float32(SCORE_GRID)

    def class_of(self, values: NDArray[np.generic]) -> Int64Array:
        """Finds the class of each label value: a level, or the cell of a number (null has a cell of its own)."""
        return np.zeros(len(values), dtype=np.int64) if self.label is None else self.label.cells_of_values(values)

    def label_scores(self, values: NDArray[np.generic]) -> Int64Array:
        """Finds the score of each label value on the grid: zeros where it is no number."""
        return np.zeros(len(values), dtype=np.int64) if self.label is None else self.label.grid_scores(values)

    @cached_property
    def _null_groups(self) -> tuple[CellGroup, ...]:
        places = {column.name: tuple(range(first, last)) for column, first, last in self._spans()}
        return () if self.rules is None else cell_groups(self.rules.null_groups, places)

    @cached_property
    def links(self) -> tuple[CellLink, ...]:
        """Columns that are drawn after those that they decide."""
        places = {column.name: tuple(range(first, last)) for column, first, last in self._spans()}
        return () if self.rules is None else cell_links(self.rules, self.features, places)

    def drawn_laws(self, laws: Float64Array) -> Float64Array:
        """Probabilities of cells as rows are drawn from them: nothing is null whose null another column marks.

        Args:
          laws: Shape (k, n_cells). RELEASED.
        """
        return laws_without_nulls(laws, self, self._null_groups) if self._null_groups else laws

    def keep_nulls(self, cells: Int64Array, rng: np.random.Generator) -> Int64Array:
        """Makes the nulls of drawn rows keep the rules between columns.

        Args:
          cells: Counted through all features, shape (n, n_features). RELEASED.
          rng: Public randomness.
        """
        return with_marked_nulls(cells, self, self._null_groups, rng) if self._null_groups else cells

    def restored(self, columns: Mapping[str, Decoded], types: Mapping[str, str]) -> Mapping[str, Decoded]:
        """Turns drawn columns into rows that keep every rule between columns; see `RowRules`.

        Args:
          columns: By name. RELEASED.
          types: Spark's simple type string by column.
        """
        return columns if self.rules is None else self.rules.restored(columns, types)

    def decoded_names(self, label: str | None) -> tuple[str, ...]:
        """Columns of the rows that are drawn, without those that number them.

        Args:
          label: Name of the label's column, if any.
        """
        coded = [column.name for column in self.columns] + ([] if label is None else [label])
        return tuple(coded if self.rules is None else self.rules.domain.columns)

    def decode(self, cells: Int64Array, rng: np.random.Generator) -> dict[str, Decoded]:
        """Draws a value inside each cell and joins timestamps with their parts.

        Args:
          cells: Counted through all features, shape (n, n_features). RELEASED.
          rng: Public randomness: drawing is post-processing.

        Returns:
          Columns by name, in order.
        """
        starts, decoded = self.cell_layout.offsets, dict[str, Decoded]()
        for column, first, last in self._spans():
            decoded[column.name] = column.decode(cells[:, first:last] - starts[first:last], rng)
        return decoded

    def with_features(self, features: Sequence[Feature]) -> Encoding:
        """The same table with its features coded otherwise, in the order of `features`."""
        columns = tuple(column.with_features(features[first:last]) for column, first, last in self._spans())
        return replace(self, columns=columns)

    def _spans(self) -> list[tuple[ColumnCodec, int, int]]:
        """Each column with the first and the end of its features."""
        ends = np.cumsum([0, *[len(column.features) for column in self.columns]]).tolist()
        return [(column, *ends) for column, ends in zip(self.columns, pairwise(ends), strict=True)]
