"""Tables of pairs of columns, the label among them: their cells, and the two sums that count them.

The first sum counts every pair in groups of cells: a row adds one to each of P tables, so its squared bound is P. The
second counts chosen pairs cell by cell. Source of the idea to measure pairs first and to refine the worst: AIM,
McKenna et al. 2022, arXiv 2201.12677.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from threea_spark.approximate.pair_counts import joint_counts
from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.cell_names import cell_names, feature_names
from threea_spark.encode.codec import Encoding, Feature
from threea_spark.encode.noisy_tables import CellCounts
from threea_spark.engine.packed import PackedRows
from threea_spark.privacy.mechanism import Measured
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

Pair = tuple[int, int]
_MIN_MASS = 1e-6


@dataclass(frozen=True)
class TableColumns:
    """The columns of the tables: the features in order, then the label, if any. RELEASED.

    Attributes:
      encoding: The table's codes.
      groups: Group of each cell, one array a column, from 0 without gaps.
    """

    encoding: Encoding
    groups: tuple[Int64Array, ...]

    @cached_property
    def codecs(self) -> tuple[Feature, ...]:
        """Codecs of the columns."""
        return codecs_of(self.encoding)

    @property
    def has_label(self) -> bool:
        """Whether the last column is the label."""
        return self.encoding.label is not None

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Cells of each column."""
        return tuple(len(own) for own in self.groups)

    @cached_property
    def n_groups(self) -> tuple[int, ...]:
        """Groups of each column."""
        return tuple(int(own.max()) + 1 for own in self.groups)

    @property
    def pairs(self) -> list[Pair]:
        """All pairs, the lower column first."""
        n = len(self.groups)
        return [(a, b) for a in range(n) for b in range(a + 1, n)]

    @cached_property
    def masses(self) -> tuple[Float64Array, ...]:
        """DP share of each cell of a column, positive, sums to 1."""
        return tuple(_masses(codec) for codec in self.codecs)

    def cells(self, rows: PackedRows) -> Int64Array:
        """Cell of every column of each row, counted within the column, shape (n, n_columns). PRIVATE."""
        features = self.encoding.cells(rows.packed).T - self.encoding.cell_layout.offsets[:-1, None]
        return (np.vstack([features, rows.classes]) if self.has_label else features).T

    def in_other_tables(self) -> BoolArray:
        """Which entries of the matrix of all groups, groups of one column beside those of another, are counted.

        Returns:
          Shape (n, n) for n groups in all: those right of each column's own block.
        """
        column = np.repeat(np.arange(len(self.groups)), self.n_groups)
        return column[:, None] < column[None, :]


def codecs_of(encoding: Encoding) -> tuple[Feature, ...]:
    """Codecs of the columns that tables are made of."""
    return encoding.features if encoding.label is None else (*encoding.features, encoding.label)


def table_columns(encoding: Encoding, n_groups: int) -> TableColumns:
    """Groups the cells of every column into at most `n_groups` groups, by DP masses alone."""
    groups = [
        ordered_groups(_masses(codec), codec.n_value_cells, n_groups)
        if not codec.is_category
        else frequent_groups(_masses(codec), n_groups)
        for codec in codecs_of(encoding)
    ]
    return TableColumns(encoding, tuple(groups))


def frequent_groups(masses: Float64Array, n_groups: int) -> Int64Array:
    """Groups the cells of a category: the heaviest alone, the others together, in the order of the cells."""
    if len(masses) <= n_groups:
        return np.arange(len(masses), dtype=np.int64)
    group = np.full(len(masses), n_groups - 1, dtype=np.int64)
    group[np.sort(np.argsort(-masses, kind="stable")[: n_groups - 1])] = np.arange(n_groups - 1)
    return group


def ordered_groups(masses: Float64Array, n_values: int, n_groups: int) -> Int64Array:
    """Groups neighbouring cells of a number into groups of about equal mass; null has a group alone, the last.

    Args:
      masses: Share of each cell, shape (m,), null's last where m = n_values + 1.
      n_values: Cells of values.
      n_groups: Most groups, at least 2.
    """
    n_null = len(masses) - n_values
    most = min(n_groups - n_null, n_values)
    group, own, held, left = np.zeros(len(masses), dtype=np.int64), 0, 0.0, float(masses[:n_values].sum())
    for cell in range(n_values):
        more, mass = most - own, float(masses[cell])
        is_full = held + 0.5 * mass > left / more or n_values - cell < more
        if held > 0.0 and more > 1 and is_full:
            own, left, held = own + 1, left - held, 0.0
        group[cell] = own
        held += mass
    group[n_values:] = own + 1
    return group


def pairs_bound(n_columns: int) -> RowBound:
    """A row counts once in the table of each pair."""
    return RowBound.count(n_columns * (n_columns - 1) // 2)


def pairs_query(columns: TableColumns) -> SumQuery[PackedRows]:
    """The tables of all pairs in groups, entries of `in_other_tables` in order."""
    counted, groups = columns.in_other_tables(), columns.groups

    def contribution(rows: PackedRows) -> Int64Array:
        own = np.stack([group[cells] for group, cells in zip(groups, columns.cells(rows).T, strict=True)])
        return joint_counts(columns.n_groups, len(rows)).tables(own)[counted]

    bound = pairs_bound(len(groups))
    return SumQuery(
        stage=Stage.APPROXIMATE, name="pairs", bound=bound, size=int(counted.sum()), contribution=contribution
    )


def tables_query(columns: TableColumns, chosen: Sequence[Pair]) -> SumQuery[PackedRows]:
    """The tables of chosen pairs cell by cell, one after the other, each row by row."""
    sizes = [columns.sizes[a] * columns.sizes[b] for a, b in chosen]

    def contribution(rows: PackedRows) -> Int64Array:
        cells = columns.cells(rows).T
        flat = [cells[a] * columns.sizes[b] + cells[b] for a, b in chosen]
        counts = [np.bincount(own, minlength=size) for own, size in zip(flat, sizes, strict=True)]
        return np.concatenate(counts).astype(np.int64)

    bound = RowBound.count(len(chosen))
    return SumQuery(stage=Stage.APPROXIMATE, name="tables", bound=bound, size=sum(sizes), contribution=contribution)


def grouped_counts(columns: TableColumns, answer: Measured) -> CellCounts:
    """Names the noisy counts of `pairs_query`."""
    counted, starts = columns.in_other_tables(), np.cumsum([0, *columns.n_groups])
    full = np.zeros(counted.shape)
    full[counted] = answer.value
    own = [slice(start, end) for start, end in pairwise(starts.tolist())]
    tables = [full[own[a], own[b]].ravel() for a, b in columns.pairs]
    return _counts("pairs", columns, columns.pairs, tables, answer.stddev, grouped=True)


def chosen_counts(columns: TableColumns, chosen: Sequence[Pair], answer: Measured) -> CellCounts:
    """Names the noisy counts of `tables_query`."""
    return _counts("tables", columns, chosen, [answer.value], answer.stddev, grouped=False)


def _counts(
    name: str, columns: TableColumns, pairs: Sequence[Pair], counts: list[Float64Array], stddev: float, *, grouped: bool
) -> CellCounts:
    own = zip(columns.codecs, feature_names(columns.encoding), columns.groups, strict=True)
    cells = tuple(cell_names(codec, *names, groups if grouped else None) for codec, names, groups in own)
    flat = np.concatenate([np.zeros(0), *counts])
    places = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return CellCounts(name, cells, places, flat, np.full(len(flat), stddev))


def _masses(codec: Feature) -> Float64Array:
    own = np.asarray(codec.cell_mass, dtype=np.float64)
    own = own / max(float(own.sum()), 1e-300)
    if not codec.is_category and codec.nullable:
        own = np.append(own * (1.0 - codec.null_share), codec.null_share)
    own = np.maximum(own, _MIN_MASS)
    return np.asarray(own / own.sum(), dtype=np.float64)
