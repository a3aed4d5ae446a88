"""The noisy counts that a release made, kept with its model: one-way and two-way tables, trees of numbers, moments.

Each is the answer of a planned and booked sum as it left the meter, in rows, with the standard deviation of its noise.
Nothing here is exact: sums without noise, as the conditional mode makes them, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.grid import BRANCHING, LeafGrid
from threea_spark.encode.steps import NumberKind
from threea_spark.errors import PrivacyError


@dataclass(frozen=True)
class CellNames:
    """What the cells of one column hold. RELEASED.

    Attributes:
      column: Name of the column.
      part: hour, weekday or month of a timestamp; empty for the column itself.
      kind: Kind of a number (a timestamp is a number of seconds since 1970), or `category`.
      ends: Least and greatest value of each cell that is an interval, else NaN, shape (n_cells, 2).
      closed: Whether the ends belong to the interval, shape (n_cells, 2).
      values: Values of each cell that is none, None for null. A cell with neither ends nor values holds no row.
    """

    column: str
    part: str
    kind: NumberKind | str
    ends: Float64Array
    closed: BoolArray
    values: tuple[tuple[str | None, ...], ...]

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return len(self.values)

    @property
    def is_interval(self) -> BoolArray:
        """Which cells are intervals, shape (n_cells,)."""
        return np.asarray(~np.isnan(self.ends[:, 0]), dtype=np.bool_)

    @property
    def is_used(self) -> BoolArray:
        """Which cells can hold a row, shape (n_cells,)."""
        return self.is_interval | np.array([bool(own) for own in self.values], dtype=np.bool_)


@dataclass(frozen=True)
class NoisyTable:
    """Counts by the cells of one column, or of two. RELEASED.

    Attributes:
      name: Of the sum, as the accounts name it.
      cells: Of the columns.
      counts: Noisy rows, unbiased, so that some are negative; shape (n_cells,) or (n_cells_a, n_cells_b).
      stddev: Standard deviation of their noise, in the same shape.
    """

    name: str
    cells: tuple[CellNames, ...]
    counts: Float64Array
    stddev: Float64Array


@dataclass(frozen=True)
class CellCounts:
    """All tables that one sum counted. RELEASED.

    Attributes:
      name: Of the sum, as the accounts name it.
      cells: Of all its columns.
      places: Which of them each table is about, shape (n_tables, 1) or (n_tables, 2).
      counts: Noisy rows of all tables, one after the other, each row by row.
      stddev: Standard deviation of the noise on each, in the same shape.
    """

    name: str
    cells: tuple[CellNames, ...]
    places: Int64Array
    counts: Float64Array
    stddev: Float64Array

    def tables(self) -> Iterator[NoisyTable]:
        """Each table by itself."""
        start = 0
        for places in self.places.tolist():
            own = tuple(self.cells[place] for place in places)
            shape = tuple(cells.n_cells for cells in own)
            part = slice(start, start := start + int(np.prod(shape)))
            yield NoisyTable(self.name, own, self.counts[part].reshape(shape), self.stddev[part].reshape(shape))


@dataclass(frozen=True)
class TreeCounts:
    """Counts of a number at the nodes of a tree over intervals, which are public, or were chosen by an earlier sum.

    Attributes:
      name: Of the sum, as the accounts name it.
      column: Name of the column.
      kind: Its kind.
      grid: The leaves.
      depth: Levels of the tree.
      above: Levels that lie above this tree: those of the tree of which it splits one leaf.
      is_open: Whether the lower end of the first leaf belongs to another tree's single value.
      counts: Noisy rows at the nodes, level by level from the top; nodes without a leaf are left out.
      stddev: Standard deviation of the noise on each.
    """

    name: str
    column: str
    kind: NumberKind
    grid: LeafGrid
    depth: int
    above: int
    is_open: bool
    counts: Float64Array
    stddev: float

    def levels(self) -> Iterator[tuple[int, Int64Array, Float64Array]]:
        """Each level from the top: its number from 1, the node of each leaf, and the nodes' counts."""
        start, leaf = 0, np.arange(self.grid.n_leaves)
        for level in range(1, self.depth + 1):
            node = leaf // BRANCHING ** (self.depth - level)
            part = slice(start, start := start + int(node[-1]) + 1)
            yield self.above + level, node, self.counts[part]


@dataclass(frozen=True)
class MomentCounts:
    """Moments of a number that has no histogram, as in wide tables. RELEASED.

    Attributes:
      column: Name of the column.
      lower, upper: Its bounds.
      first, second: Noisy sums of the values that are not null and of their squares, the bounds being -1 and 1.
      stddev: Standard deviation of the noise on each.
    """

    column: str
    lower: float
    upper: float
    first: float
    second: float
    stddev: float


@dataclass(frozen=True)
class NoisyTables:
    """All that is kept. RELEASED.

    Attributes:
      n_rows: DP number of rows.
      n_rows_stddev: Standard deviation of its noise.
      max_rows: Rows that one unit may have in any count.
      trees: Histograms of numbers.
      counts: Histograms of categories, and tables of pairs of columns.
      moments: Of numbers without a histogram.
    """

    n_rows: float
    n_rows_stddev: float
    max_rows: int
    trees: tuple[TreeCounts, ...]
    counts: tuple[CellCounts, ...]
    moments: tuple[MomentCounts, ...] = ()

    def __post_init__(self) -> None:
        stddevs = [*[own.stddev for own in self.trees], *[own.stddev for own in self.moments]]
        stddevs += [float(own.stddev.min(initial=np.inf)) for own in self.counts]
        if not min([self.n_rows_stddev, *stddevs]) > 0.0:
            raise PrivacyError("counts without noise are internal and are never kept with a model")

    def one_way(self) -> Iterator[NoisyTable]:
        """Tables of one column."""
        return (table for own in self.counts for table in own.tables() if len(table.cells) == 1)

    def pairs(self) -> Iterator[NoisyTable]:
        """Tables of two columns."""
        return (table for own in self.counts for table in own.tables() if len(table.cells) == 2)
