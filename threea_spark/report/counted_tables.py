"""Tables of two columns from the noisy counts that the fit kept: post-processing of RELEASED numbers, so free.

Where several sums counted a pair, the table with the least noise at the groups that are shown is taken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.noisy_tables import CellNames, NoisyTable, NoisyTables
from threea_spark.privacy.gaussian import NORMAL_95
from threea_spark.report.bins import OTHER, OTHERS, Values
from threea_spark.report.pair_tables import NULL, Counted, Grouped, PairTable, joint_counts
from threea_spark.report.spread import number_in_words

MAX_GROUPS = 8
_ELSEWHERE = "elsewhere"
"""Noise is within so many standard deviations 19 times of 20."""


@dataclass(frozen=True)
class CellGroups:
    """Few groups of a column's cells. RELEASED.

    Attributes:
      labels: What each group holds; at most `MAX_GROUPS`.
      of_cell: Group of each cell, shape (n_cells,), len(labels) for a cell that can hold no row.
      starts: Where the groups of a number begin, in order; empty for a category.
      of_value: Group of each value that is in no interval; None is null.
    """

    labels: tuple[str, ...]
    of_cell: Int64Array
    starts: Float64Array
    of_value: Mapping[str | None, int]

    def merged(self, values: Float64Array) -> Float64Array:
        """Adds up the rows of a matrix, shape (n_cells, n), by group: shape (len(labels), n)."""
        chosen = np.arange(len(self.labels))[:, None] == self.of_cell
        return np.asarray(chosen @ values, dtype=np.float64)

    def grouped(self, values: Values) -> Grouped:
        """Puts rows into the groups, and into a further one those that fit none, as other releases' rows may."""
        known, group = values.known, np.full(len(values.cells), self.of_value.get(None, len(self.labels)))
        if len(self.starts):
            numbers = values.cells[known].astype(np.float64)
            group[known] = np.searchsorted(self.starts[1:], numbers, side="right")
        else:
            place = {value: self.of_value.get(value, len(self.labels)) for value in set(values.cells[known])}
            group[known] = [place[value] for value in values.cells[known]]
        return Grouped(values.name, (*self.labels, _ELSEWHERE), group.astype(np.int64))


def as_counted(tables: Sequence[PairTable], columns: Sequence[Values], kept: NoisyTables) -> list[PairTable]:
    """Replaces the tables of pairs that the fit counted by what it counted; the others stay as they are.

    Args:
      tables: Tables of released rows.
      columns: The released rows, by which the tables were made.
      kept: The noisy counts of the model that the rows were drawn from.
    """
    by_name, found = {values.name: values for values in columns}, dict(_by_pair(tables, kept))
    replaced = []
    for table in tables:
        given, of = by_name[table.given], by_name[table.name]
        counted = [counted_table(own, given, of, table.strength) for own in found.get((given.name, of.name), [])]
        usable = [own for own in counted if own is not None]
        replaced.append(min(usable, key=_noise, default=table))
    return replaced


def _noise(table: PairTable) -> float:
    return np.inf if table.counted is None else table.counted.within


def _by_pair(tables: Sequence[PairTable], kept: NoisyTables) -> Iterator[tuple[tuple[str, str], list[NoisyTable]]]:
    """The noisy tables of each pair, but for parts of times, turned so that rows are of the column given."""
    own = [table for table in kept.pairs() if not any(cells.part for cells in table.cells)]
    for table in tables:
        pair = (table.given, table.name)
        turned = [_turned(noisy, table.given) for noisy in own if {cells.column for cells in noisy.cells} == {*pair}]
        yield pair, turned


def _turned(table: NoisyTable, given: str) -> NoisyTable:
    if table.cells[0].column == given:
        return table
    return dataclasses.replace(table, cells=table.cells[::-1], counts=table.counts.T, stddev=table.stddev.T)


def counted_table(noisy: NoisyTable, given: Values, of: Values, strength: float) -> PairTable | None:
    """Makes a table of noisy counts in few groups: added up, then negative ones set to 0, then shares by row.

    Args:
      noisy: Counts of `given` by `of`.
      given, of: Both columns of the released rows, to tell how far they differ.
      strength: The pair's association.

    Returns:
      None if no group holds a row.
    """
    first = cell_groups(noisy.cells[0], noisy.counts.sum(axis=1), given.kind)
    second = cell_groups(noisy.cells[1], noisy.counts.sum(axis=0), of.kind)
    counts = np.maximum(second.merged(first.merged(noisy.counts).T).T, 0.0)
    stddev = np.sqrt(second.merged(first.merged(noisy.stddev**2).T).T)
    held, seen = counts.sum(axis=1) > 0.0, counts.sum(axis=0) > 0.0
    if not held.any():
        return None
    released = joint_counts(first.grouped(given), second.grouped(of))
    counted = Counted(NORMAL_95 * float(stddev[held][:, seen].max()), variation(np.pad(counts, (0, 1)), released))
    shown = counts[held][:, seen]
    labels, heads = _chosen(first.labels, held), _chosen(second.labels, seen)
    shares = shown / shown.sum(axis=1, keepdims=True)
    return PairTable(given.name, of.name, labels, heads, shares, strength, counted)


def variation(first: Float64Array, second: Float64Array) -> float:
    """Total variation between two tables of counts: the share of rows to move so that both are the same."""
    return float(0.5 * np.abs(first / first.sum() - second / max(float(second.sum()), 1.0)).sum())


def _chosen(labels: tuple[str, ...], which: BoolArray) -> tuple[str, ...]:
    return tuple(label for label, is_chosen in zip(labels, which, strict=True) if is_chosen)


def cell_groups(cells: CellNames, rows: Float64Array, kind: str) -> CellGroups:
    """Puts cells into at most `MAX_GROUPS` groups, by noisy counts alone; null has its own.

    Of a number, the two neighbours that hold the fewest rows together are joined until the groups are few. Of a
    category, the values with the most rows stay alone, and the rest is `all others`.

    Args:
      cells: Of one column.
      rows: Noisy rows of each cell, shape (n_cells,).
      kind: Of the column: number, time or category.
    """
    return _categories(cells, rows) if kind == "category" else _numbers(cells, rows, kind)


def _numbers(cells: CellNames, rows: Float64Array, kind: str) -> CellGroups:
    intervals = np.flatnonzero(cells.is_interval)
    intervals = intervals[np.lexsort((cells.ends[intervals, 1], cells.ends[intervals, 0]))]
    nulls = [place for place, values in enumerate(cells.values) if values]
    runs = joined(rows[intervals], MAX_GROUPS - bool(nulls))
    ends = np.array([(cells.ends[intervals[own[0]], 0], cells.ends[intervals[own[-1]], 1]) for own in runs])
    begins = np.array([cells.closed[intervals[own[0]], 0] for own in runs], dtype=np.bool_)
    span = float(ends[-1, 1] - ends[0, 0])
    texts = [[number_in_words(end, kind, span) for end in own] for own in ends.tolist()]
    labels = [f"{low} to {high}" if low != high else low for low, high in texts]
    of_cell = np.full(cells.n_cells, len(labels) + bool(nulls))
    for group, own in enumerate(runs):
        of_cell[intervals[own]] = group
    of_cell[nulls] = len(labels)
    starts = np.where(begins, ends[:, 0], np.nextafter(ends[:, 0], np.inf))
    of_value: dict[str | None, int] = {None: len(labels)} if nulls else {}
    return CellGroups((*labels, *([NULL] if nulls else [])), of_cell, starts, of_value)


def joined(rows: Float64Array, most: int) -> list[list[int]]:
    """Joins neighbours, those that hold the fewest rows together first, the lower ones where equal.

    Args:
      rows: Noisy rows of each cell, in order, shape (n,).
      most: Most runs.

    Returns:
      The cells of each run, in order.
    """
    runs, held = [[place] for place in range(len(rows))], rows.tolist()
    while len(runs) > most:
        place = int(np.argmin(np.add(held[1:], held[:-1])))
        runs[place : place + 2] = [runs[place] + runs[place + 1]]
        held[place : place + 2] = [held[place] + held[place + 1]]
    return runs


def _categories(cells: CellNames, rows: Float64Array) -> CellGroups:
    single = {own[0]: place for place, own in enumerate(cells.values) if len(own) == 1}
    named = [value for value in single if value not in (None, OTHER)]
    named.sort(key=lambda value: (-rows[single[value]], str(value)))
    has_null, has_rest = None in single, OTHER in single or any(len(own) > 1 for own in cells.values)
    room = MAX_GROUPS - has_null
    kept = named[: room - 1] if has_rest or len(named) > room else named
    is_rest = len(kept) < len(named) or any(len(own) > 1 for own in cells.values)
    rest = [OTHERS if is_rest else OTHER] if is_rest or has_rest else []
    labels = (*map(str, kept), *rest, *([NULL] if has_null else []))
    place_of: dict[str | None, int] = {value: place for place, value in enumerate(kept)}
    if has_null:
        place_of[None] = len(labels) - 1
    of_cell = np.full(cells.n_cells, len(labels))
    of_value: dict[str | None, int] = {}
    for cell, own in enumerate(cells.values):
        if own:
            of_cell[cell] = place_of.get(own[0], len(kept)) if len(own) == 1 else len(kept)
            of_value |= dict.fromkeys(own, int(of_cell[cell]))
    return CellGroups(labels, of_cell, np.zeros(0), of_value)
