import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threea_spark.config.columns import CategoricalColumn, FloatColumn, IntegerColumn, TimestampColumn
from threea_spark.encode.categories import CategoryCodec, CategoryField
from threea_spark.encode.histogram import HistogramLayout, column_field
from threea_spark.encode.quantile_codec import QuantileCodec
from threea_spark.encode.quantiles import QuantileField

DOMAIN = {
    "age": IntegerColumn(type="integer", lower=0, upper=120),
    "pay": FloatColumn(type="float", lower=-1e6, upper=1e6, nullable=True),
    "ward": CategoricalColumn(type="categorical", values=("a", "b"), nullable=True),
    "kind": CategoricalColumn(type="categorical", values="open"),
    "seen": TimestampColumn(
        type="timestamp",
        lower=dt.datetime(2020, 1, 1),
        upper=dt.datetime(2021, 1, 1),
        parts=("hour", "month"),
        nullable=True,
    ),
}
COLUMNS = [column_field(name, column, {"kind": ("x", "other")}) for name, column in DOMAIN.items()]
FIELDS = tuple(field for column in COLUMNS for field in column.fields)
LAYOUT = HistogramLayout(FIELDS)

numbers = st.one_of(
    st.floats(-1e300, 1e300), st.just(float("nan")), st.sampled_from([0.0, 1e300, -1e300, 120.0, 1e6, -1e6])
)
rows = st.tuples(*[numbers if isinstance(f, QuantileField) else st.integers(0, f.n_nodes - 1) for f in FIELDS])


def columns_from(table):
    columns = zip(*table, strict=True)
    return [
        np.array(c, dtype=np.float64 if isinstance(f, QuantileField) else np.int64)
        for f, c in zip(FIELDS, columns, strict=True)
    ]


@settings(max_examples=150, deadline=None)
@given(table=st.lists(rows, min_size=1, max_size=5), one_more=rows)
def test_neighbouring_tables_lie_within_the_bound(table, one_more):
    added = LAYOUT.counts(columns_from([*table, one_more])) - LAYOUT.counts(columns_from(table))
    assert added[0] == 1
    assert np.all(added >= 0)
    assert np.sum(added**2) <= LAYOUT.bound.squared_norm


def test_the_bound_is_reached_by_a_row_without_nulls():
    full = [30.0 if isinstance(f, QuantileField) else 0 for f in FIELDS]
    assert np.sum(LAYOUT.counts(columns_from([full])) ** 2) == LAYOUT.bound.squared_norm == 1 + (2 + 3 + 3) + 4


def test_the_layout_lists_columns_and_their_parts():
    assert [field.name for field in FIELDS] == ["age", "pay", "ward", "kind", "seen", "hour", "month"]
    assert [column.name for column in COLUMNS] == list(DOMAIN)
    assert LAYOUT.size == LAYOUT.offsets[-1] == 1 + sum(field.n_nodes for field in FIELDS)


def test_counts_of_parts_add_up_to_the_whole():
    table = [
        [float(i), np.nan if i % 3 else float(i), i % 3, i % 2, 1.58e9 + 1e5 * i, i % 24, i % 12] for i in range(100)
    ]
    parts = [LAYOUT.counts(columns_from(table[i::3])) for i in range(3)]
    assert np.array_equal(sum(parts), LAYOUT.counts(columns_from(table)))


def test_a_null_where_none_is_allowed_counts_as_the_middle_of_the_bounds():
    age = column_field("age", DOMAIN["age"], {})
    assert np.array_equal(age.counts(np.array([np.nan])), age.counts(np.array([60.0])))


def test_an_unknown_value_counts_as_null_or_as_the_first():
    assert CategoryField("x", ("a", "b"), True).unknown_level == 2
    assert CategoryField("x", ("a", "b"), False).unknown_level == 0


@pytest.mark.parametrize("stddev", [1e-9, 5.0])
def test_codes_follow_the_counts(stddev):
    rng = np.random.default_rng(3)
    n = 20_000
    table = [
        rng.integers(20, 40, n).astype(float),
        np.where(rng.random(n) < 0.25, np.nan, rng.normal(100.0, 10.0, n)),
        rng.choice(3, n, p=[0.7, 0.2, 0.1]),
        rng.choice(2, n),
        1.58e9 + rng.random(n) * 1e6,
        rng.integers(0, 25, n),
        rng.integers(0, 13, n),
    ]
    noisy = LAYOUT.counts(table) + np.random.default_rng(4).normal(0.0, stddev, LAYOUT.size)
    rows = LAYOUT.rows(noisy, stddev)
    codes = LAYOUT.fit(rows, n_cells=[16] * len(FIELDS))
    assert rows.n_rows == pytest.approx(n, rel=0.01)
    age, pay, ward = codes[:3]
    assert isinstance(age, QuantileCodec)
    assert age.value(np.array([0.0]))[0] == pytest.approx(np.median(table[0]), abs=2.0)
    assert pay.value(np.array([0.0]))[0] == pytest.approx(100.0, rel=0.2)
    assert isinstance(ward, CategoryCodec)
    assert ward.level_mass / ward.level_mass.sum() == pytest.approx([0.7, 0.2, 0.1], abs=0.02)


def test_a_histogram_of_noise_alone_still_gives_codes():
    noisy = np.random.default_rng(5).normal(0.0, 1000.0, LAYOUT.size)
    rows = LAYOUT.rows(noisy, 1000.0)
    codes = LAYOUT.fit(rows, n_cells=[16] * len(FIELDS))
    assert rows.n_rows >= 1.0
    assert len(codes) == len(FIELDS)


LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")


def code_of(field, counts, stddev, seed=6):
    """The code of one categorical column beside nothing else, read through noise."""
    layout = HistogramLayout((field,))
    exact = np.concatenate([[np.sum(counts)], counts]).astype(float)
    noisy = exact + np.random.default_rng(seed).normal(0.0, stddev, layout.size)
    (code,) = layout.fit(layout.rows(noisy, stddev), n_cells=[8])
    return code


@pytest.mark.parametrize("stddev", [1e-9, 50.0, 5_000.0])
@pytest.mark.parametrize("nullable", [False, True])
def test_classes_keep_cells_of_their_own_however_loud_the_noise(stddev, nullable):
    """26 classes of 200 rows under noise of as many were once merged into one."""
    counts = np.full(26 + int(nullable), 200.0)
    code = code_of(CategoryField("letter", LETTERS, nullable, is_label=True), counts, stddev)
    assert code.cell_of.tolist() == list(range(26 + int(nullable)))
    assert code.n_cells == 26 + int(nullable)
    assert np.all(code.level_mass > 0.0)
    drawn = code.draw(np.arange(code.n_cells), np.full(code.n_cells, 0.5))
    assert drawn.tolist() == list(range(code.n_cells))


def test_more_classes_than_a_feature_may_have_cells_are_kept_too():
    values = tuple(map(str, range(100)))
    assert code_of(CategoryField("k", values, False, is_label=True), np.full(100, 20.0), 30.0).n_cells == 100
    assert code_of(CategoryField("k", values, False), np.full(100, 1e4), 1e-9).n_cells == 65


def test_rare_levels_of_a_feature_share_a_cell():
    counts = np.array([5_000.0, 3_000.0, 2_000.0] + [2.0] * 23)
    code = code_of(CategoryField("letter", LETTERS, False), counts, 50.0)
    assert code.cell_of[:3].tolist() == [0, 1, 2]
    assert len(set(code.cell_of[3:].tolist())) < 5
    assert code.n_cells < 8
    assert code_of(CategoryField("letter", LETTERS, False, is_label=True), counts, 50.0).n_cells == 26


def test_the_reader_marks_the_label_and_no_feature():
    from threea_spark.config.domain import Domain
    from threea_spark.encode.fit import reader_of

    letters = {"type": "categorical", "values": list(LETTERS)}
    reader = reader_of(Domain.from_dict({"label": "y", "columns": {"y": letters, "x": letters}}), {})
    assert [(field.name, field.is_label) for field in reader.fields] == [("x", False), ("y", True)]
    plain = reader_of(Domain.from_dict({"task": "none", "columns": {"x": letters}}), {})
    assert [field.is_label for field in plain.fields] == [False]
