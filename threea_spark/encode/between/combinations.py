"""Columns of which only listed combinations occur are coded as one category: which combination.

A row of the source with another combination counts as the first listed one that agrees with it in the most leading
columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Int64Array
from threea_spark.config.coded import CodedNames, combination_text
from threea_spark.config.domain import Domain
from threea_spark.config.row_rules import Allowed
from threea_spark.encode.between.written import Types
from threea_spark.encode.categories import CategoryField
from threea_spark.encode.cells import Decoded, Levels


@dataclass(frozen=True)
class CombinedColumns:
    """One rule `allowed`.

    Attributes:
      fields: How each column is read.
      coded: Name of the coded column.
      levels: Level of each column in each combination, null as the last, shape (n_combinations, n_columns).
      texts: Names of the combinations as values of the coded column.
    """

    fields: tuple[CategoryField, ...]
    coded: str
    levels: Int64Array
    texts: tuple[str, ...]

    @classmethod
    def of(cls, rule: Allowed, domain: Domain) -> CombinedColumns:
        """The rule within its domain."""
        fields = []
        for name in rule.columns:
            column = domain.columns[name]
            values = column.values if column.is_categorical else ()
            fields.append(CategoryField(name, tuple(values), column.nullable))
        levels = [
            [
                field.null_level if cell is None else field.values.index(cell)
                for field, cell in zip(fields, cells, strict=True)
            ]
            for cells in rule.combinations
        ]
        coded = CodedNames.of(domain).combination[rule.columns[0]]
        return cls(tuple(fields), coded, np.array(levels, np.int64), tuple(map(combination_text, rule.combinations)))

    def code(self, cells: dict[str, pa.Array]) -> None:
        """Puts the combination in the place of a batch's columns. PRIVATE."""
        rows = np.stack([field.values_of(cells.pop(field.name)) for field in self.fields], axis=1)
        distinct, place = np.unique(rows, axis=0, return_inverse=True)
        nearest = np.array([self._agreeing(levels).argmax() for levels in distinct], dtype=np.int64)
        cells[self.coded] = pa.array(self.texts, pa.string()).take(pa.array(nearest[place.reshape(-1)], pa.int64()))

    def restore(self, columns: dict[str, Decoded], types: Types) -> None:
        """Puts the columns in the place of drawn combinations."""
        drawn = columns.pop(self.coded).cells.astype(np.int64)
        for field, levels in zip(self.fields, self.levels.T, strict=True):
            own = levels[drawn]
            columns[field.name] = Levels(np.where(own < len(field.values), own, -1), field.values)

    def _agreeing(self, levels: Int64Array) -> Int64Array:
        """In how many leading columns each combination agrees with one, shape (n_combinations,)."""
        return np.asarray(np.cumprod(self.levels == levels, axis=1).sum(axis=1), dtype=np.int64)
