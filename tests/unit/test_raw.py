import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest

from threea_spark.encode.grid import leaf_grid
from threea_spark.encode.histogram import CategoryField, HistogramLayout, NumberField
from threea_spark.encode.raw import columns_of, numbers_of, part_of
from threea_spark.engine.packed import column_name

GRID = leaf_grid(0.0, 10.0, whole=False)
NAN, INF = float("nan"), float("inf")


def seconds(*when):
    return dt.datetime(*when, tzinfo=dt.timezone.utc).timestamp()


def test_null_and_nan_are_null_and_infinities_are_large_numbers():
    found = numbers_of(pa.array([1.5, None, NAN, INF, -INF], pa.float64()))
    assert np.isnan(found).tolist() == [False, True, True, False, False]
    assert found[0] == 1.5
    assert np.all(np.isfinite(found[3:]))
    assert GRID.index(found[3:]).tolist() == [GRID.n_leaves - 1, 0]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pa.array([True, False, None]), [1.0, 0.0, NAN]),
        (pa.array([1, -(2**63), None], pa.int64()), [1.0, -(2.0**63), NAN]),
        (pa.array([127, -128, None], pa.int8()), [127.0, -128.0, NAN]),
        (pa.array([decimal.Decimal("12.34"), decimal.Decimal("-0.01"), None]), [12.34, -0.01, NAN]),
        (pa.array([0.1, 3e38, None], pa.float32()), [np.float32(0.1), np.float32(3e38), NAN]),
        (pa.array([dt.date(1970, 1, 2), dt.date(1969, 12, 31), None]), [86_400.0, -86_400.0, NAN]),
        (
            pa.array([dt.datetime(2020, 1, 1), dt.datetime(1960, 1, 1, 12), None], pa.timestamp("us")),
            [seconds(2020, 1, 1), seconds(1960, 1, 1, 12), NAN],
        ),
        (
            pa.array([dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc), None], pa.timestamp("us", tz="UTC")),
            [seconds(2020, 1, 1), NAN],
        ),
        (pa.array([], pa.float64()), []),
        (pa.array([None, None], pa.float64()), [NAN, NAN]),
    ],
)
def test_every_type_of_number_is_read(cells, expected):
    assert np.array_equal(numbers_of(cells), np.array(expected, dtype=np.float64), equal_nan=True)


def test_a_zone_changes_no_point_in_time():
    when = dt.datetime(2020, 6, 1, 12, tzinfo=dt.timezone.utc)
    utc = numbers_of(pa.array([when], pa.timestamp("us", tz="UTC")))
    tokyo = numbers_of(pa.array([when], pa.timestamp("us", tz="Asia/Tokyo")))
    assert np.array_equal(utc, tokyo)


def levels(values, *, nullable, listed=("a", "b"), type_=None):
    field = CategoryField("x", listed, nullable)
    type_ = type_ or pa.string()
    batch = pa.RecordBatch.from_arrays([pa.array(values, type_)], ["c0"])
    (found,) = columns_of(batch, [field], ["c0"])
    return found.tolist()


def test_unlisted_text_counts_as_null_or_as_the_first_value():
    strange = ["a", "b", None, "", "A", "a ", "x" * 1_000_000, "\u0000", "\U0001f600"]
    assert levels(strange, nullable=True) == [0, 1, *[2] * 7]
    assert levels(strange, nullable=False) == [0, 1, *[0] * 7]


def test_the_empty_string_is_a_value_where_it_is_listed():
    assert levels(["", None, "a"], nullable=True, listed=("a", "")) == [1, 2, 0]


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
def test_both_kinds_of_text_are_read(type_):
    assert levels(["b", None], nullable=True, type_=type_) == [1, 2]


def test_parts_of_a_time_are_read_from_its_column():
    fields = [
        NumberField("seen", "timestamp", True, leaf_grid(0.0, 2e9, whole=True)),
        CategoryField("seen", tuple(map(str, range(24))), True, part="hour"),
        CategoryField("seen", tuple(map(str, range(7))), True, part="weekday"),
        CategoryField("seen", tuple(map(str, range(12))), False, part="month"),
    ]
    when = [dt.datetime(2024, 2, 29, 23, 59), dt.datetime(1970, 1, 1), None]
    batch = pa.RecordBatch.from_arrays([pa.array(when, pa.timestamp("us"))], ["c0"])
    time, hour, weekday, month = columns_of(batch, fields, ["c0"] * 4)
    assert time[:2].tolist() == [seconds(2024, 2, 29, 23, 59), 0.0]
    assert hour.tolist() == [23, 0, 24]
    assert weekday.tolist() == [3, 3, 7]  # both Thursdays; null has a level of its own
    assert month.tolist() == [1, 0, 0]  # not nullable: null counts as the first


def test_parts_agree_with_the_calendar():
    rng = np.random.default_rng(1)
    moments = rng.integers(-2_000_000_000, 4_000_000_000, 500).astype(np.float64)
    for moment in moments:
        day = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=float(moment))
        one = np.array([moment])
        assert part_of(one, "hour")[0] == day.hour
        assert part_of(one, "weekday")[0] == day.weekday()
        assert part_of(one, "month")[0] == day.month - 1


def test_times_beyond_the_calendar_have_parts_too():
    for moment in (-1e300, 1e300, -9.2e12, 9.2e12):
        assert 0 <= part_of(np.array([moment]), "month")[0] < 12
        assert 0 <= part_of(np.array([moment]), "hour")[0] < 24


def test_a_column_that_is_named_like_a_part_is_none():
    assert levels(["a", "b"], nullable=False) == [0, 1]
    batch = pa.RecordBatch.from_arrays([pa.array(["b", "zz"])], ["c0"])
    (found,) = columns_of(batch, [CategoryField("odd#hour", ("a", "b"), True)], ["c0"])
    assert found.tolist() == [1, 2]


def test_whatever_is_read_can_be_counted():
    fields = (
        NumberField("n", "float", False, GRID),
        NumberField("m", "float", True, GRID),
        CategoryField("c", ("a",), True),
    )
    cells = [NAN, None, INF, -INF, 1e308, -0.0, 5e-324]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(cells), pa.array(cells), pa.array(["a", None, "", "b", "a", "a", "a"])], ["c0", "c1", "c2"]
    )
    layout = HistogramLayout(fields)
    counts = layout.counts(columns_of(batch, fields, ["c0", "c1", "c2"]))
    assert counts[0] == 7
    assert np.all(counts >= 0)


def test_canonical_names_are_free_of_the_users_characters():
    assert column_name(0) == "c0"
    assert column_name(41) == "c41"


def test_in_an_open_set_what_was_not_selected_is_other_and_null_stays_null():
    cells = pa.array(["a", "zzz", None, ""])
    batch = pa.RecordBatch.from_arrays([cells], ["c0"])
    for nullable, null in ((True, 2), (False, 1)):
        field = CategoryField("x", ("a", "other"), nullable, catch_all=True)
        assert columns_of(batch, [field], ["c0"])[0].tolist() == [0, 1, null, 1]
