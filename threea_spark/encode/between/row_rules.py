"""All rules of a domain: rows of the source become coded columns, and drawn coded columns rows that keep the rules.

Both maps look at one row at a time, so that a coded row is as private as the row itself, and whatever bound holds for
a sum over coded rows holds for the source's. Rows that break a rule are mapped like all others and never raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.config.coded import linked_columns
from threea_spark.config.domain import Domain
from threea_spark.config.row_rules import AllowedRule, FunctionalRule, OrderRule, SumRule, of_kind
from threea_spark.encode.between.combinations import CombinedColumns
from threea_spark.encode.between.functions import FunctionalColumns, FunctionTable, LevelledColumn
from threea_spark.encode.between.nulls import NullGroup, null_groups
from threea_spark.encode.between.orders import OrderedColumns
from threea_spark.encode.between.sums import AddedColumns
from threea_spark.encode.between.written import Types
from threea_spark.encode.cells import Decoded
from threea_spark.engine.packed import column_name
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

FUNCTIONS = "functions"
"""Name of the noisy sum of all pairs that functional rules count."""


@dataclass(frozen=True)
class RowRules:
    """The rules of a domain.

    Attributes:
      domain: Public.
      found: Values of open columns by name, as far as they were found. RELEASED.
      tables: What counted columns follow from. RELEASED; empty before they are counted.
    """

    domain: Domain
    found: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: tuple[FunctionTable, ...] = ()

    @cached_property
    def _steps(self) -> tuple[OrderedColumns | AddedColumns | CombinedColumns, ...]:
        rules, domain = self.domain.rules, self.domain
        orders = [OrderedColumns.of(rule.order, domain) for rule in of_kind(rules, OrderRule)]
        sums = [AddedColumns.of(rule.sum, domain) for rule in of_kind(rules, SumRule)]
        combined = [CombinedColumns.of(rule.allowed, domain) for rule in of_kind(rules, AllowedRule)]
        plain = [own for own in orders if not own.is_based]
        return (*plain, *sums, *combined, *_bases_first([own for own in orders if own.is_based]))

    @cached_property
    def null_groups(self) -> tuple[NullGroup, ...]:
        """Columns that are null by one mark."""
        return null_groups(self.domain)

    def coded(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """Reads coded columns by name from canonical ones. PRIVATE."""
        cells = self._bound(batch)
        for step in reversed(self._steps):  # the last first: what they start from is still as the source has it
            step.code(cells)
        return cells

    def _bound(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """A batch's columns by name, null as the rules allow. PRIVATE."""
        cells = {name: _plain(batch.column(column_name(place))) for place, name in enumerate(self.domain.columns)}
        for group in self.null_groups:
            group.bind(cells)
        return cells

    def functions_query(self) -> SumQuery[pa.RecordBatch]:
        """Counts of the pairs of all functional rules without a mapping: a row adds one for each decided column."""
        own = self._counted
        n_tables = sum(len(columns.decided) for columns in own)
        return SumQuery(
            stage=Stage.ENCODE,
            name=FUNCTIONS,
            bound=RowBound.count(n_tables),
            size=sum(columns.size for columns in own),
            contribution=lambda batch: _joined(own, self._bound(batch)),
        )

    def with_functions(self, noisy: Float64Array) -> RowRules:
        """The rules with the tables that noisy counts of pairs gave."""
        tables, start = list[FunctionTable](), 0
        for columns in self._counted:
            tables += columns.tables(noisy[start : start + columns.size])
            start += columns.size
        return replace(self, tables=tuple(tables))

    def unclear(self, noisy: Float64Array, least: float) -> dict[str, tuple[int, int]]:
        """By decided column: values of `from` whose pairs stay below `least` rows by noisy counts, and all values."""
        found, start = dict[str, tuple[int, int]](), 0
        for columns in self._counted:
            found |= columns.unclear(noisy[start : start + columns.size], least)
            start += columns.size
        return found

    def restored(self, columns: Mapping[str, Decoded], types: Types) -> dict[str, Decoded]:
        """Turns drawn coded columns into rows that keep every rule, in the values that are written.

        Args:
          columns: By coded name; others pass.
          types: Spark's simple type string by column, as far as they are known.
        """
        found = dict(columns)
        for step in self._steps:
            step.restore(found, types)
        left = list(self._functions)
        while left:
            ready = next(own for own in left if all(column.name in found for column in own.deciding))
            ready.restore(found, self._table_of)
            left.remove(ready)
        return found

    def deciding(self, to: str, fits: BoolArray) -> tuple[LevelledColumn, BoolArray] | None:
        """The single column that decides `to`, and which of its levels lead to wanted ones; None if several decide.

        Args:
          to: A decided column.
          fits: Which of its levels are wanted, null the last.
        """
        rule = next(own for own in self._functions if to in (column.name for column in own.decided))
        if len(rule.deciding) > 1:
            return None
        return rule.deciding[0], np.asarray(fits[self._table_of[to].levels], dtype=np.bool_)

    def linked(self) -> list[tuple[LevelledColumn, LevelledColumn, Int64Array]]:
        """Deciding and decided columns that are both coded, with the decided level of each deciding one."""
        pairs = set(linked_columns(self.domain))
        return [
            (own.deciding[0], column, self._table_of[column.name].levels)
            for own in self._functions
            for column in own.decided
            if (own.deciding[0].name, column.name) in pairs
        ]

    def decided(self, name: str) -> LevelledColumn | None:
        """The column of that name that others decide, if it is one."""
        columns = [column for own in self._functions for column in own.decided]
        return next((column for column in columns if column.name == name), None)

    @cached_property
    def moved(self) -> frozenset[str]:
        """Columns whose drawn values or nulls may change when rows are restored: cells do not tell."""
        names = {name for group in self.null_groups for name in group.coded}
        names |= {deciding for deciding, _ in linked_columns(self.domain)}
        return frozenset(names | {name for rule in of_kind(self.domain.rules, SumRule) for name in rule.sum.parts})

    @property
    def _counted(self) -> list[FunctionalColumns]:
        return [own for own in self._functions if own.mapping is None]

    @cached_property
    def _table_of(self) -> dict[str, FunctionTable]:
        mapped = [table for own in self._functions if own.mapping is not None for table in own.mapped()]
        return {table.to: table for table in (*self.tables, *mapped)}

    @cached_property
    def _functions(self) -> tuple[FunctionalColumns, ...]:
        """Functional rules with the values that were found."""
        rules = of_kind(self.domain.rules, FunctionalRule)
        return tuple(FunctionalColumns.of(rule.functional, self.domain, self.found) for rule in rules)


def _bases_first(orders: list[OrderedColumns]) -> list[OrderedColumns]:
    """Puts an order behind those whose steps lead to its first column."""
    found, left = list[OrderedColumns](), list(orders)
    while left:  # ends, as no column follows from itself: the domain's checks refuse it
        ready = [own for own in left if not any(own.names[0] in other.names[1:] for other in left)]
        found += ready
        left = [own for own in left if own not in ready]
    return found


def _plain(cells: pa.Array) -> pa.Array:
    """Cells in the source's type, however they are coded."""
    return cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells


def _joined(own: list[FunctionalColumns], cells: Mapping[str, pa.Array]) -> Int64Array:
    return np.concatenate([columns.counts(cells) for columns in own])
