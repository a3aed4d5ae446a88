"""Tables of pairs: groups of cells, and two sums that count exactly what they say, within their bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tables import mixed_encoding, mixed_rows

from threea_spark.approximate.tables import (
    frequent_groups,
    ordered_groups,
    pairs_bound,
    pairs_query,
    table_columns,
    tables_query,
)
from threea_spark.engine.packed import PackedRows

ENCODING = mixed_encoding(clip_norm=20.0)


def rows_of(n, seed=1):
    classes = np.random.default_rng(seed).integers(0, 2, n)
    none = np.zeros(n, dtype=np.uint32)
    return PackedRows(ENCODING.pack(mixed_rows(n, seed)), classes, none, none, none.astype(np.int64))


masses_of = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=60).map(np.array)


@given(masses_of, st.integers(2, 20), st.booleans())
@settings(deadline=None)
def test_groups_of_a_number_are_neighbours_and_as_many_as_there_can_be(masses, n_groups, nullable):
    n_values = len(masses)
    own = np.append(masses, 0.1) if nullable else masses
    groups = ordered_groups(own / own.sum(), n_values, max(n_groups, 2 + nullable))
    assert (np.diff(groups) >= 0).all()
    assert set(groups) == set(range(groups.max() + 1))
    assert groups.max() + 1 == min(max(n_groups, 2 + nullable), n_values + nullable)
    if nullable:
        assert (groups[:-1] < groups[-1]).all()


def test_a_heavy_cell_has_a_group_alone_and_the_others_share_the_rest_evenly():
    masses = np.full(40, 0.5 / 39)
    masses[7] = 0.5
    groups = ordered_groups(masses, 40, 8)
    assert (groups == groups[7]).sum() == 1
    held = np.bincount(groups, masses)
    assert np.delete(held, groups[7]).max() < 0.5 / 7 * 2.5


def test_a_category_keeps_its_heaviest_cells_alone():
    groups = frequent_groups(np.array([0.1, 0.4, 0.05, 0.3, 0.15]), 3)
    assert groups.tolist() == [2, 0, 2, 1, 2]
    assert frequent_groups(np.ones(3) / 3, 3).tolist() == [0, 1, 2]


def naive_counts(columns, rows, groups_of):
    """All tables, row by row."""
    found = {}
    for cells in columns.cells(rows):
        own = [groups_of(column, cell) for column, cell in enumerate(cells)]
        for a, b in columns.pairs:
            found[a, b, own[a], own[b]] = found.get((a, b, own[a], own[b]), 0) + 1
    return found


def test_tables_of_all_pairs_count_each_row_once_in_each_of_them():
    columns, rows = table_columns(ENCODING, 5), rows_of(300)
    query = pairs_query(columns)
    counts = query.contribution(rows)
    full = np.zeros(columns.in_other_tables().shape, dtype=np.int64)
    full[columns.in_other_tables()] = counts
    starts = np.cumsum([0, *columns.n_groups])
    expected = naive_counts(columns, rows, lambda column, cell: columns.groups[column][cell])
    for (a, b, first, second), count in expected.items():
        assert full[starts[a] + first, starts[b] + second] == count
    assert counts.sum() == len(rows) * len(columns.pairs)
    assert counts.size == query.size == sum(columns.n_groups[a] * columns.n_groups[b] for a, b in columns.pairs)


def test_finer_tables_count_cell_by_cell():
    columns, rows, chosen = table_columns(ENCODING, 4), rows_of(300), [(0, 4), (1, 2), (2, 3)]
    query = tables_query(columns, chosen)
    parts = np.split(query.contribution(rows), np.cumsum([columns.sizes[a] * columns.sizes[b] for a, b in chosen])[:-1])
    expected = naive_counts(columns, rows, lambda _, cell: cell)
    for (a, b), part in zip(chosen, parts, strict=True):
        table = part.reshape(columns.sizes[a], columns.sizes[b])
        assert {(a, b, i, j): table[i, j] for i, j in np.argwhere(table)} == {
            key: count for key, count in expected.items() if key[:2] == (a, b)
        }


@pytest.mark.parametrize("seed", range(5))
def test_no_row_adds_more_than_the_bounds_allow(seed):
    columns, chosen = table_columns(ENCODING, 5), [(0, 1), (0, 4), (3, 4)]
    for query in (pairs_query(columns), tables_query(columns, chosen)):
        added = query.contribution(rows_of(1, seed))
        assert int((added.astype(object) ** 2).sum()) <= query.bound.squared_norm
        assert np.count_nonzero(added) <= query.bound.moved
    assert pairs_bound(5).squared_norm == len(columns.pairs) == 10


def test_the_order_of_rows_and_their_batches_change_no_count():
    columns, rows = table_columns(ENCODING, 6), rows_of(500)
    query = pairs_query(columns)
    shuffled = np.random.default_rng(3).permutation(500)
    parts = [rows.where(np.isin(np.arange(500), shuffled[own])) for own in (slice(0, 123), slice(123, None))]
    assert (sum(query.contribution(part) for part in parts) == query.contribution(rows)).all()
