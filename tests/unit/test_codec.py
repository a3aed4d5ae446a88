import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tables import category, mixed_encoding, mixed_rows, number

from threea_spark.config.columns import CategoricalColumn, FloatColumn, TimestampColumn
from threea_spark.config.domain import Domain
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import CATEGORY_COORDINATE, SCORE_GRID
from threea_spark.encode.fit import reader_of
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.encode.times import part_of


def squared_norms(packed):
    return (packed.astype(np.int64) ** 2).sum(axis=1)


@pytest.mark.parametrize("clip_norm", [0.1, 0.5, 1.0, 2.0, 4.0, 100.0])
def test_no_packed_row_is_longer_than_the_bound(clip_norm):
    encoding = mixed_encoding(clip_norm)
    packed = encoding.pack(mixed_rows(2_000))
    assert packed.dtype == np.int16
    assert squared_norms(packed).max() <= encoding.norm_bound**2


values = st.one_of(st.floats(-1e300, 1e300), st.just(float("nan")), st.sampled_from([0.0, 120.0, 1e6, -0.0, 5e-324]))


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(values, values, st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=6),
    clip_norm=st.floats(0.01, 8.0),
)
def test_any_row_keeps_the_bound_and_one_cell_a_feature(rows, clip_norm):
    encoding = mixed_encoding(clip_norm)
    kinds = (np.float64, np.float64, np.int64, np.int64)
    columns = [np.array(column, dtype=kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    packed = encoding.pack(columns)
    assert squared_norms(packed).max() <= encoding.norm_bound**2
    cells = encoding.cells(packed)
    assert cells.shape == (len(rows), 4)
    assert np.all(encoding.cell_layout.offsets[:-1] <= cells)
    assert np.all(cells < encoding.cell_layout.offsets[1:])


def test_a_row_is_packed_alike_alone_and_in_a_batch():
    encoding = mixed_encoding()
    columns = mixed_rows(300)
    whole = encoding.pack(columns)
    alone = np.concatenate([encoding.pack([c[i : i + 1] for c in columns]) for i in range(300)])
    assert np.array_equal(whole, alone)


def test_cells_without_clipping_are_those_of_the_values():
    encoding = mixed_encoding(clip_norm=100.0)
    columns = mixed_rows(1_000)
    cells = encoding.cells(encoding.pack(columns)) - encoding.cell_layout.offsets[:-1]
    assert np.array_equal(cells[:, 2], columns[2])
    assert np.array_equal(cells[:, 3], columns[3])
    missing = np.isnan(columns[1])
    assert np.all(cells[missing, 1] == encoding.features[1].n_value_cells)
    assert np.all(cells[~missing, 1] < encoding.features[1].n_value_cells)
    scores = np.rint(encoding.features[0].score(columns[0]) * SCORE_GRID) / SCORE_GRID
    assert np.array_equal(cells[:, 0], encoding.features[0].cell(scores))


def test_offsets_and_cells_cover_the_vector_without_gaps():
    encoding = mixed_encoding()
    assert encoding.offsets.tolist() == [0, 1, 3, 6]
    assert encoding.width == 9
    assert encoding.n_cells == sum(code.n_cells for code in encoding.features)
    assert encoding.n_classes == 2


def test_scores_are_the_packed_rows_in_units_of_score():
    encoding = mixed_encoding(clip_norm=100.0)
    packed = encoding.pack(mixed_rows(50))
    assert encoding.scores(packed).dtype == np.float32
    assert np.array_equal(encoding.scores(packed) * SCORE_GRID, packed)


def test_two_levels_lie_one_apart():
    assert np.sqrt(2.0) * CATEGORY_COORDINATE / SCORE_GRID == pytest.approx(1.0, abs=1e-3)


def test_classes_are_levels_or_cells():
    assert mixed_encoding().class_of(np.array([1, 0, 1])).tolist() == [1, 0, 1]
    label = number("y", 0.0, 10.0, nullable=True)
    encoding = Encoding((category("x", "a", "b"),), label, 1.0)
    found = encoding.class_of(np.array([0.0, 5.0, 10.0, np.nan, 1e300]))
    assert found[3] == label.n_value_cells == encoding.n_classes - 1
    assert found[4] == found[2]
    assert found[0] < found[1] < found[2]


def test_a_table_without_label_has_one_class():
    encoding = Encoding((category("x", "a", "b"),), None, 1.0)
    assert encoding.n_classes == 1
    assert encoding.class_of(np.zeros(3)).tolist() == [0, 0, 0]


def test_a_table_of_a_label_alone_has_no_features():
    encoding = Encoding((), category("y", "n", "y"), 1.0)
    assert encoding.width == 0
    assert encoding.pack([]).shape == (0, 0)
    assert encoding.cells(np.zeros((3, 0), dtype=np.int16)).shape == (3, 0)


ODD = ("seen#hour", "seen#weekday", "seen", "hour", "weekday", "cost", "cost#weekday", "a/b", "x.y", "b `t` ", "")


@pytest.mark.parametrize("order", [1, -1])
def test_no_name_of_a_column_is_taken_for_a_part_of_a_time(order):
    """In either order each column is read from its own cells and comes back under its own name."""
    kinds = {
        "seen": TimestampColumn(
            type="timestamp", lower=dt.datetime(2020, 1, 1), upper=dt.datetime(2021, 1, 1), parts=("hour", "weekday")
        ),
        "cost": FloatColumn(type="float", lower=0.0, upper=1e6),
    }
    text = CategoricalColumn(type="categorical", values=("p", "q"))
    columns = {name: kinds.get(name, text) for name in ODD[::order]}
    n = 2_000
    rng = np.random.default_rng(6)
    levels = {name: rng.integers(0, 2, n) for name in columns}
    seconds = np.floor(1.58e9 + rng.random(n) * 2.5e7)
    seconds -= seconds % 86_400 - 7 * 3_600  # seven o'clock on any day
    cells = {name: pa.array(np.array(["p", "q"])[levels[name]].tolist()) for name in columns}
    cells |= {"seen": pa.array((seconds * 1e6).astype(np.int64)).cast(pa.timestamp("us"))}
    cells |= {"cost": pa.array(rng.uniform(2.0, 3.0, n))}
    batch = pa.RecordBatch.from_arrays([cells[name] for name in columns], [f"c{i}" for i in range(len(columns))])
    reader = reader_of(Domain.from_dict({"task": "none", "columns": columns}), {})
    values = reader.read(batch)
    layout = HistogramLayout(reader.fields)
    rows = layout.rows(layout.counts(values).astype(float), 1e-9)
    codecs = layout.fit(rows, n_cells=[32] * len(reader.fields))
    encoding = reader.encoding(codecs, 100.0)
    decoded = encoding.decode(encoding.cells(encoding.pack(values)), np.random.default_rng(7))
    assert list(decoded) == list(columns)
    for name in columns:
        if columns[name].is_categorical:
            assert np.array_equal(decoded[name].levels, levels[name]), name
    assert set(part_of(decoded["seen"].values, "hour")) == {7}
    assert np.array_equal(part_of(decoded["seen"].values, "weekday"), part_of(seconds, "weekday"))
    assert 1.5 < np.median(decoded["cost"].values) < 3.5


def test_a_null_where_none_is_allowed_counts_as_the_middle_of_the_bounds():
    encoding = Encoding((number("x", -50.0, 150.0),), None, 10.0)
    null, middle, lower = (encoding.pack([np.array([value])]).tolist() for value in (np.nan, 50.0, -50.0))
    assert null == middle != lower
