"""Summarises released rows, column by column and pair by pair.

Every number is a function of released rows and, where the model is at hand, of the noisy counts that it keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.config.domain import Domain
from threea_spark.encode.noisy_tables import NoisyTables
from threea_spark.report.associations import associations, with_one
from threea_spark.report.bins import Bins, Kind, Values, bins_of
from threea_spark.report.counted_tables import as_counted
from threea_spark.report.pair_tables import PairTable, strongest_tables
from threea_spark.report.spread import Spread, spread_of
from threea_spark.source.reading import column_as_read, numbers_as_read

if TYPE_CHECKING:
    import pandas as pd


MAX_CORRELATED = 40
_ROWS_TO_CHOOSE = 5_000


@dataclass(frozen=True)
class ColumnSummary:
    """One released column.

    Attributes:
      name: The column's name.
      bins: How its values are grouped.
      shares: Each group's share of the values that are not null, shape (k,).
      null_share: Share of the rows that are null.
      spread: What its values are, for the dictionary and for advice.
    """

    name: str
    bins: Bins
    shares: Float64Array
    null_share: float
    spread: Spread


@dataclass(frozen=True)
class PairSummary:
    """Associations between columns.

    Attributes:
      names: Names of the columns, at most `MAX_CORRELATED`.
      strengths: Their associations, shape (k, k), from `associations`.
      n_columns: Number of columns in the table; if larger than k, some were left out.
      chosen_by: How the columns were chosen, in words.
    """

    names: tuple[str, ...]
    strengths: Float64Array
    n_columns: int
    chosen_by: str


@dataclass(frozen=True)
class TableSummary:
    """The released table.

    Attributes:
      n_rows: Number of rows, all of them released.
      n_sampled: Number of rows that the rest is computed from.
      columns, pairs: Summaries of the columns and of their associations.
      tables: Tables of the most strongly associated pairs.
      knows_counts: Whether the noisy counts of the fit were at hand.
    """

    n_rows: int
    n_sampled: int
    columns: tuple[ColumnSummary, ...]
    pairs: PairSummary
    tables: tuple[PairTable, ...]
    knows_counts: bool = False


def summary_of(frame: pd.DataFrame, domain: Domain, n_rows: int, kept: NoisyTables | None = None) -> TableSummary:
    """Summarises rows on the driver.

    Args:
      frame: RELEASED rows, or a uniform sample of them, in the domain's columns.
      domain: Defines how columns are read.
      n_rows: Number of rows in the whole released table.
      kept: The noisy counts of the model that they were drawn from; None if it is not at hand.
    """
    columns = values_of(frame, domain)
    pairs = pair_summary(columns, domain.label)
    tables = strongest_tables(columns, pairs.names, pairs.strengths, domain.label)
    if kept is not None:
        tables = as_counted(tables, columns, kept)
    summaries, is_known = tuple(map(column_summary, columns)), kept is not None
    return TableSummary(n_rows, len(frame), summaries, pairs, tuple(tables), is_known)


def values_of(frame: pd.DataFrame, domain: Domain) -> list[Values]:
    """Reads the domain's columns, in the frame's order: numbers and seconds as float64, categories as text."""
    found = []
    for name in (name for name in frame.columns if name in domain.columns):
        column, cells = domain.columns[name], frame[name]
        if column.is_categorical:
            found.append(Values(name, "category", column_as_read(cells, column).to_numpy(dtype=object)))
        else:
            kind: Kind = "time" if column.is_timestamp else "number"
            found.append(Values(name, kind, numbers_as_read(cells, column).to_numpy(dtype=np.float64)))
    return found


def column_summary(values: Values) -> ColumnSummary:
    """Summarises one column."""
    bins = bins_of([values])
    return ColumnSummary(values.name, bins, bins.shares(values), values.null_share, spread_of(values))


def pair_summary(columns: Sequence[Values], label: str | None) -> PairSummary:
    """Measures all pairs; in a wide table, only of the columns most associated with the label, or of the first ones."""
    chosen, rule = list(columns), "all columns"
    if len(columns) > MAX_CORRELATED:
        chosen, rule = list(columns[:MAX_CORRELATED]), f"the first {MAX_CORRELATED} columns"
        own = next((values for values in columns if values.name == label), None)
        if own is not None:
            few = [Values(v.name, v.kind, v.cells[:_ROWS_TO_CHOOSE]) for v in columns if v is not own]
            strength = np.abs(with_one(Values(own.name, own.kind, own.cells[:_ROWS_TO_CHOOSE]), few))
            names = {few[index].name for index in np.argsort(-strength, kind="stable")[: MAX_CORRELATED - 1]}
            chosen = [values for values in columns if values is own or values.name in names]
            rule = f"the label and the {MAX_CORRELATED - 1} columns most associated with it"
    names_in_order = tuple(values.name for values in chosen)
    return PairSummary(names_in_order, associations(chosen), len(columns), rule)
