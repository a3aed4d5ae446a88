"""Names what the cells of coded columns hold, and gathers the noisy counts of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode import tree
from threea_spark.encode.codec import Encoding, Feature
from threea_spark.encode.finer import FinerLook
from threea_spark.encode.grid import BRANCHING, N_LEVELS, LeafGrid
from threea_spark.encode.histogram import ColumnField, Field, Histograms
from threea_spark.encode.noisy_tables import CellCounts, CellNames, MomentCounts, NoisyTables, TreeCounts
from threea_spark.encode.steps import NumberKind
from threea_spark.privacy.mechanism import Measured

NULL = (None,)


def intervals_of(
    grid: LeafGrid, cell: Int64Array, n_cells: int, *, is_open: bool = False
) -> tuple[Float64Array, BoolArray]:
    """Ends of cells of neighbouring leaves, and whether they belong to the cell, both of shape (n_cells, 2).

    A leaf holds its lower end and not its upper one, but for whole numbers and single values; a single value is in no
    other leaf.

    Args:
      grid: The leaves.
      cell: Of each leaf, shape (n_leaves,), not decreasing.
      n_cells: How many cells there are; those without a leaf get NaN.
      is_open: Whether the lower end of the first leaf is in no cell.
    """
    after_atom = np.append(is_open, grid.is_atom[:-1] & (grid.low[1:] == grid.low[:-1])) & ~grid.is_atom
    ends, closed = np.full((n_cells, 2), np.nan), np.zeros((n_cells, 2), dtype=np.bool_)
    first = np.searchsorted(cell, np.arange(n_cells), side="left")
    last = np.searchsorted(cell, np.arange(n_cells), side="right") - 1
    used = np.flatnonzero(last >= first)
    ends[used] = np.column_stack([grid.low[first[used]], grid.high[last[used]]])
    is_closed = grid.is_atom | grid.whole
    closed[used] = np.column_stack([~after_atom[first[used]], is_closed[last[used]]])
    return ends, closed


def cell_names(codec: Feature, column: str, part: str = "", groups: Int64Array | None = None) -> CellNames:
    """Names the cells of a feature, or groups of them.

    Args:
      codec: The feature's.
      column, part: As in CellNames.
      groups: Group of each cell, from 0 without gaps; None where each is by itself.
    """
    group = np.arange(codec.n_cells) if groups is None else groups
    n_groups = int(group.max()) + 1
    values: list[tuple[str | None, ...]] = [() for _ in range(n_groups)]
    if codec.is_category:
        for level, own in enumerate(group[codec.cell_of].tolist()):
            values[own] += (codec.values[level] if level < len(codec.values) else None,)
        return _categories(column, part, values)
    grid, cell = codec.cells_of_leaves()
    ends, closed = intervals_of(grid, group[cell], n_groups)
    closed[group[cell[-1]], 1] = True  # the upper bound
    if codec.nullable:
        values[-1] = NULL
    return CellNames(column, part, codec.kind, ends, closed, tuple(values))


def _categories(column: str, part: str, values: Sequence[tuple[str | None, ...]]) -> CellNames:
    n_cells = len(values)
    no_ends = np.full((n_cells, 2), np.nan)
    return CellNames(column, part, "category", no_ends, np.zeros((n_cells, 2), dtype=np.bool_), tuple(values))


def feature_names(encoding: Encoding) -> list[tuple[str, str]]:
    """Column and part of each feature, then of the label, if any."""
    names = [
        (column.name, "" if place == 0 else feature.name)
        for column in encoding.columns
        for place, feature in enumerate(column.features)
    ]
    return names if encoding.label is None else [*names, (encoding.label.name, "")]


def class_tables(name: str, encoding: Encoding, counts: Float64Array, stddevs: Float64Array) -> CellCounts:
    """Tables of every feature with the label, or of the feature alone where there is no label.

    Args:
      name: Of the sum.
      encoding: The table's codes.
      counts: Noisy rows of each class by cell, shape (n_classes, n_cells).
      stddevs: Standard deviation of the noise in each class, shape (n_classes,).
    """
    codecs = encoding.features if encoding.label is None else (*encoding.features, encoding.label)
    cells = [cell_names(codec, *own) for codec, own in zip(codecs, feature_names(encoding), strict=True)]
    n_features = len(encoding.features)
    places = np.arange(n_features, dtype=np.int64)[:, None]
    if encoding.label is not None:
        places = np.column_stack([places, np.full(n_features, n_features)])
    flat = [own.T.ravel() for own in encoding.cell_layout.split(counts)]
    noise = [own.T.ravel() for own in encoding.cell_layout.split(np.repeat(stddevs[:, None], counts.shape[1], axis=1))]
    empty = np.zeros(0)
    return CellCounts(name, tuple(cells), places, np.concatenate([empty, *flat]), np.concatenate([empty, *noise]))


def encode_tables(
    columns: Sequence[ColumnField], found: Histograms, max_rows: int, finer: tuple[FinerLook, Measured] | None
) -> NoisyTables:
    """Gathers what Encode counted.

    Args:
      columns: Fields of the domain's coded columns, the label's last.
      found: Noisy histograms of their fields.
      max_rows: Rows that one unit may have.
      finer: A second look at some numbers, if there was one, and its answer.
    """
    names = [(column.name, place) for column in columns for place in range(len(column.fields))]
    fields = [field for column in columns for field in column.fields]
    trees, moments = list[TreeCounts](), list[MomentCounts]()
    cells, counts = list[CellNames](), [np.zeros(0)]
    for (column, place), field, block in zip(names, fields, found.blocks, strict=True):
        if field.has_leaves:
            trees.append(_tree(_Above("histograms", column, field.kind), field.grid, block, found.stddev))
        elif not field.is_category:
            first, second = float(block[0]), float(block[1])
            moments.append(MomentCounts(column, field.lower, field.upper, first, second, found.stddev))
        own = _listed(field, column, "" if place == 0 else field.name)
        if own.n_cells:
            cells.append(own)
            counts.append(block[-own.n_cells :])
    flat = np.concatenate(counts)
    places, noise = np.arange(len(cells), dtype=np.int64)[:, None], np.full(len(flat), found.stddev)
    listed = CellCounts("histograms", tuple(cells), places, flat, noise)
    trees += [] if finer is None else _finer_trees(fields, *finer)
    return NoisyTables(found.n_rows, found.n_rows_stddev, max_rows, tuple(trees), (listed,), tuple(moments))


def _listed(field: Field, column: str, part: str) -> CellNames:
    """The last counts of a block, which no interval stands for: levels of a category, the nulls of a number."""
    values = list[tuple[str | None, ...]]((value,) for value in field.values) if field.is_category else []
    return _categories(column, part, [*values, NULL] if field.nullable else values)


class _Above(NamedTuple):
    """What a tree is about, and where it hangs: fields of TreeCounts."""

    name: str
    column: str
    kind: NumberKind
    levels: int = 0
    is_open: bool = False


def _tree(above: _Above, grid: LeafGrid, nodes: Float64Array, stddev: float) -> TreeCounts:
    """Keeps the nodes above leaves that exist; what follows the last level is left out."""
    depth = next(levels for levels in range(1, N_LEVELS + 1) if tree.n_nodes(levels + 1) > len(nodes))
    kept, start = list[Float64Array](), 0
    for level in range(1, depth + 1):
        kept.append(nodes[start : start + -(-grid.n_leaves // BRANCHING ** (depth - level))])
        start += BRANCHING**level
    return TreeCounts(*above[:3], grid, depth, above.levels, above.is_open, np.concatenate(kept), stddev)


def _finer_trees(fields: Sequence[Field], look: FinerLook, answer: Measured) -> Iterator[TreeCounts]:
    """One tree for each leaf that was split."""
    ends = np.cumsum([column.size for column in look.columns])[:-1]
    for column, own in zip(look.columns, np.split(answer.value, ends), strict=True):
        field, codec = fields[column.place], column.codec
        if not field.has_leaves:
            continue
        split = zip(column.coarse.tolist(), column.children, np.split(own, len(column.coarse)), strict=True)
        for leaf, grid, nodes in split:
            _, closed = intervals_of(codec.grid, np.arange(codec.grid.n_leaves), codec.grid.n_leaves)
            above = _Above("finer", codec.name, codec.kind, field.grid.n_levels, not bool(closed[leaf, 0]))
            yield _tree(above, grid, nodes, answer.stddev)
