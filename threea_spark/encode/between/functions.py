"""Columns that others decide are not coded: each follows from a table, public or found by noisy counts of pairs.

Of a counted rule, each value of `from` gets the value of `to` with which its noisy count is the largest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.config.functional_checks import levels_of
from threea_spark.config.row_rules import Cells, Functional
from threea_spark.encode.between.written import filled
from threea_spark.encode.categories import CategoryField
from threea_spark.encode.cells import Decoded, Levels, Numbers, numbers_of


@dataclass(frozen=True)
class LevelledColumn:
    """A column of a functional rule: a category, or a whole number of few values; null is the last level.

    Attributes:
      name: Of the column.
      values: Its values as text: listed, found, or all whole numbers within the bounds.
      column: As the domain declares it.
    """

    name: str
    values: tuple[str, ...]
    column: Column

    @classmethod
    def of(cls, name: str, domain: Domain, selected: Mapping[str, tuple[str, ...]]) -> LevelledColumn:
        """The column, its values found where it is open."""
        column = domain.columns[name]
        return cls(name, selected.get(name, ()) if column.is_open else levels_of(column), column)

    @property
    def is_open(self) -> bool:
        """Whether the last value counts for all that were not found."""
        return self.column.is_categorical and self.column.is_open

    @property
    def n_levels(self) -> int:
        """Values, and null."""
        return len(self.values) + int(self.column.nullable)

    def read(self, cells: pa.Array) -> Int64Array:
        """Reads levels as the column itself would be read. PRIVATE."""
        if self.column.is_categorical:
            field = CategoryField(self.name, self.values, self.column.nullable, catch_all=self.is_open)
            return field.values_of(cells)
        return self._levels(numbers_of(cells))

    def of_drawn(self, drawn: Decoded) -> Int64Array:
        """Levels of released rows."""
        if drawn.is_category:
            return np.where(drawn.levels < 0, len(self.values), drawn.levels)
        return self._levels(drawn.values)

    def decoded(self, levels: Int64Array) -> Decoded:
        """Released values of levels."""
        if self.column.is_categorical:
            return Levels(np.where(levels < len(self.values), levels, -1), self.values)
        return Numbers(self._numbers[levels])

    def feature_values(self, levels: Int64Array) -> NDArray[np.generic]:
        """Levels as the codec of the column takes values: levels of a category, numbers with NaN for null."""
        if self.column.is_categorical:
            return levels
        return self._numbers[levels]

    @property
    def _numbers(self) -> Float64Array:
        """The number of each level of a column of whole numbers, NaN for null, shape (n_values + 1,)."""
        return np.array([*map(float, self.values), np.nan])

    def _levels(self, numbers: Float64Array) -> Int64Array:
        known = numbers if self.column.nullable else filled(numbers, self.column)
        place = np.clip(np.where(np.isnan(known), 0.0, known) - float(self.values[0]), 0, len(self.values) - 1)
        return np.where(np.isnan(known), len(self.values), np.floor(place)).astype(np.int64)


@dataclass(frozen=True)
class FunctionTable:
    """What one column follows from. RELEASED, or public where the rule maps.

    Attributes:
      to: Name of the decided column.
      levels: Level of `to` for each combination of levels of `from`, the last column running fastest.
    """

    to: str
    levels: Int64Array


def place_of(columns: Sequence[LevelledColumn], levels: Sequence[Int64Array]) -> Int64Array:
    """Numbers combinations of levels, the last column running fastest, shape (n,)."""
    place = np.zeros(len(levels[0]), dtype=np.int64)
    for column, own in zip(columns, levels, strict=True):
        place = place * column.n_levels + own
    return place


def n_places(columns: Sequence[LevelledColumn]) -> int:
    """How many combinations of levels there are."""
    return math.prod(column.n_levels for column in columns)


@dataclass(frozen=True)
class FunctionalColumns:
    """One rule `functional`, for the values that were found of open columns.

    Attributes:
      deciding, decided: Columns of `from`, and of `to`.
      mapping: The public mapping, if any.
    """

    deciding: tuple[LevelledColumn, ...]
    decided: tuple[LevelledColumn, ...]
    mapping: tuple[tuple[Cells, Cells], ...] | None

    @classmethod
    def of(cls, rule: Functional, domain: Domain, selected: Mapping[str, tuple[str, ...]]) -> FunctionalColumns:
        """The rule within its domain."""
        deciding, decided = (
            tuple(LevelledColumn.of(name, domain, selected) for name in names) for names in (rule.from_, rule.to)
        )
        return cls(deciding, decided, rule.mapping)

    @property
    def size(self) -> int:
        """Pairs that are counted, over all decided columns."""
        return n_places(self.deciding) * sum(column.n_levels for column in self.decided)

    def counts(self, cells: Mapping[str, pa.Array]) -> Int64Array:
        """Exact counts of the pairs of one batch, one table behind the other, shape (size,). PRIVATE."""
        place = place_of(self.deciding, [column.read(cells[column.name]) for column in self.deciding])
        n_rows = n_places(self.deciding)
        tables = [
            np.bincount(place * column.n_levels + column.read(cells[column.name]), minlength=n_rows * column.n_levels)
            for column in self.decided
        ]
        return np.concatenate(tables).astype(np.int64)

    def tables(self, noisy: Float64Array) -> list[FunctionTable]:
        """Each combination's most frequent value, by counts with noise, shape (size,)."""
        return [
            FunctionTable(column.name, own.argmax(axis=1).astype(np.int64)) for column, own in self._tables_of(noisy)
        ]

    def unclear(self, noisy: Float64Array, least: float) -> dict[str, tuple[int, int]]:
        """By decided column: how many values of `from` have no pair with a noisy count of `least`, and how many exist.

        Null, and what the last value of an open column counts for, are left out where a single column decides.

        Args:
          noisy: Counts with noise, shape (size,). RELEASED.
          least: In rows.
        """
        known = {column.name: own[: self._n_known] for column, own in self._tables_of(noisy)}
        return {name: (int((own.max(axis=1) < least).sum()), len(own)) for name, own in known.items()}

    def _tables_of(self, noisy: Float64Array) -> Iterator[tuple[LevelledColumn, Float64Array]]:
        """Each decided column with its table of counts, a row for each combination of levels of `from`."""
        n_rows = n_places(self.deciding)
        ends = np.cumsum([n_rows * column.n_levels for column in self.decided])[:-1]
        for column, own in zip(self.decided, np.split(noisy, ends), strict=True):
            yield column, own.reshape(n_rows, column.n_levels)

    @property
    def _n_known(self) -> int:
        first, *others = self.deciding
        return n_places(self.deciding) if others else len(first.values) - int(first.is_open)

    def mapped(self) -> list[FunctionTable]:
        """The tables of a public mapping; null for values that it does not name."""
        known = dict(self.mapping or ())
        shape = tuple(column.n_levels for column in self.deciding)
        texts = [(*column.values, None) for column in self.deciding]
        found = []
        for number, column in enumerate(self.decided):
            level_of = {text: level for level, text in enumerate(column.values)} | {None: len(column.values)}
            levels = np.full(math.prod(shape), len(column.values), dtype=np.int64)
            for place in range(len(levels)):
                given = tuple(own[at] for own, at in zip(texts, np.unravel_index(place, shape), strict=True))
                if given in known:
                    levels[place] = level_of[known[given][number]]
            found.append(FunctionTable(column.name, levels))
        return found

    def restore(self, columns: dict[str, Decoded], tables: Mapping[str, FunctionTable]) -> None:
        """Adds the decided columns to drawn rows."""
        place = place_of(self.deciding, [column.of_drawn(columns[column.name]) for column in self.deciding])
        for column in self.decided:
            columns[column.name] = column.decoded(tables[column.name].levels[place])
