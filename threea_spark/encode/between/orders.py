"""Columns in order are coded as the first of them and the step to each further one.

A step is taken from the last column before that is not null, or from the first column's lower bound. Where a row of
the source decreases, the step is 0: the later value counts as the earlier one. A first column that another rule governs
as well is left to that rule, and only the steps are coded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Float64Array
from threea_spark.config.coded import CodedNames, OrderBounds, is_based
from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.config.row_rules import Order
from threea_spark.encode.between.written import Types, arrow_numbers, as_written, filled, step_of
from threea_spark.encode.cells import DAY_SECONDS, Decoded, Numbers, numbers_of


@dataclass(frozen=True)
class OrderedColumns:
    """One rule `order`.

    Attributes:
      names: Columns in order.
      coded: Names of the coded columns: the first column, then the steps.
      columns: As the domain declares them.
      bounds: That leave room for each other.
      is_based: Whether the first column is left to another rule.
    """

    names: tuple[str, ...]
    coded: tuple[str, ...]
    columns: tuple[Column, ...]
    bounds: OrderBounds
    is_based: bool

    @classmethod
    def of(cls, rule: Order, domain: Domain) -> OrderedColumns:
        """The rule within its domain."""
        first, *later = rule.columns
        based = is_based(rule, domain.rules)
        steps = CodedNames.of(domain).duration
        columns = tuple(domain.columns[name] for name in rule.columns)
        coded = (first, *[steps[name] for name in later])
        return cls(rule.columns, coded, columns, OrderBounds.of(rule, domain.columns, is_based=based), based)

    def code(self, cells: dict[str, pa.Array]) -> None:
        """Puts coded columns in the place of a batch's columns. PRIVATE."""
        last: Float64Array | None = None
        for place, (name, coded) in enumerate(zip(self.names, self.coded, strict=True)):
            values = numbers_of(cells[name])
            values = values if self.columns[place].nullable else filled(values, self.columns[place])
            values = np.clip(values, self.bounds.lower[place], self.bounds.upper[place])
            if last is None:
                cells[coded] = cells[name] if self.is_based else arrow_numbers(values)
                last = np.where(np.isnan(values), self.bounds.lower[0], values)
            else:
                steps = np.maximum(values - last, 0.0)
                cells[coded] = arrow_numbers(steps)
                last = np.where(np.isnan(steps), last, np.maximum(values, last))

    def restore(self, columns: dict[str, Decoded], types: Types) -> None:
        """Puts columns in order in the place of drawn coded ones, in values as they are written."""
        drawn = [numbers_in(columns.pop(name)) for name in self.coded]
        found = [as_written(drawn[0], types.get(self.names[0]))]
        last = np.where(np.isnan(found[0]), self.bounds.lower[0], found[0])
        for place, steps in enumerate(drawn[1:], start=1):
            if types.get(self.names[0]) == types.get(self.names[place]) == "date":
                steps = np.rint(steps / DAY_SECONDS) * DAY_SECONDS
            ends = self.bounds.lower[place], self.bounds.upper[place]
            values = self._written(np.maximum(np.clip(last + steps, *ends), last), last, place, types)
            last = np.where(np.isnan(values), last, values)
            found.append(values)
        if not self.is_based:
            found = _lowered(found)
        columns |= {name: Numbers(values) for name, values in zip(self.names, found, strict=True)}

    def _written(self, values: Float64Array, last: Float64Array, place: int, types: Types) -> Float64Array:
        """Values as they are written; where those before may not move, a value that was rounded down moves up."""
        simple = types.get(self.names[place])
        written = as_written(values, simple)
        if not self.is_based:
            return written
        higher = as_written(written + step_of(self.columns[place], simple), simple)
        return np.where(written < last, higher, written)


def _lowered(found: list[Float64Array]) -> list[Float64Array]:
    """Moves earlier values down to later ones, which a coarser type may have rounded down."""
    later, kept = np.full(len(found[0]), np.inf), list[Float64Array]()
    for values in reversed(found):
        kept.append(np.where(np.isnan(values), np.nan, np.minimum(values, later)))
        later = np.fmin(values, later)
    return kept[::-1]


def numbers_in(column: Decoded) -> Float64Array:
    """The numbers of a drawn column that is none of categories."""
    if column.is_category:
        raise TypeError("categories hold no numbers")
    return column.values
