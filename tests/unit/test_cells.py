import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest
from small_tables import category, number

from threea_spark.encode.categories import CategoryField
from threea_spark.encode.cells import Levels, Numbers, levels_of, numbers_of
from threea_spark.encode.grid import leaf_grid
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.encode.packing import Reader
from threea_spark.encode.quantiles import QuantileField
from threea_spark.engine.packed import column_name
from threea_spark.engine.types import arrow_type, castable, listed_twice

GRID = leaf_grid(0.0, 10.0, whole=False)
NAN, INF = float("nan"), float("inf")


def seconds(*when):
    return dt.datetime(*when, tzinfo=dt.timezone.utc).timestamp()


RNG = np.random.default_rng(3)


def drawn(code, n=2_000, *, cells=None):
    cell = RNG.integers(0, cells or code.n_value_cells, n)
    return cell, code.decode_cells(cell, np.random.default_rng(1))


def test_numbers_stay_within_their_bounds_and_nulls_are_nulls():
    code = number("x", -5.0, 12.5, nullable=True)
    cell, column = drawn(code, cells=code.n_cells)
    assert np.array_equal(np.isnan(column.values), cell == code.n_value_cells)
    known = column.values[~np.isnan(column.values)]
    assert known.min() >= -5.0
    assert known.max() <= 12.5


@pytest.mark.parametrize(("lower", "upper"), [(0, 9), (-1_000, 100_000), (-(2**53), 2**53)])
def test_whole_numbers_stay_whole_and_within_bounds(lower, upper):
    _, column = drawn(number("x", lower, upper, whole=True))
    assert np.array_equal(column.values, np.rint(column.values))
    assert column.values.min() >= lower
    assert column.values.max() <= upper


def test_levels_of_null_are_marked():
    cell, column = drawn(category("x", "a", "b", nullable=True))
    assert np.array_equal(column.levels, np.where(cell == 2, -1, cell))


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
    (found,) = field.read(pa.array(values, type_))
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


def test_whatever_is_read_can_be_counted():
    fields = (
        QuantileField("n", "float", False, GRID),
        QuantileField("m", "float", True, GRID),
        CategoryField("c", ("a",), True),
    )
    cells = [NAN, None, INF, -INF, 1e308, -0.0, 5e-324]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(cells), pa.array(cells), pa.array(["a", None, "", "b", "a", "a", "a"])], ["c0", "c1", "c2"]
    )
    layout = HistogramLayout(fields)
    counts = layout.counts(Reader(fields, ("c0", "c1", "c2"), has_label=False).read(batch))
    assert counts[0] == 7
    assert np.all(counts >= 0)


def test_canonical_names_are_free_of_the_users_characters():
    assert column_name(0) == "c0"
    assert column_name(41) == "c41"


def test_in_an_open_set_what_was_not_selected_is_other_and_null_stays_null():
    cells = pa.array(["a", "zzz", None, ""])
    for nullable, null in ((True, 2), (False, 1)):
        field = CategoryField("x", ("a", "other"), nullable, catch_all=True)
        assert field.read(cells)[0].tolist() == [0, 1, null, 1]


@pytest.mark.parametrize(
    ("simple", "values", "expected"),
    [
        ("double", [1.5, NAN], [1.5, None]),
        ("float", [0.5, NAN], [0.5, None]),
        ("int", [3.0, NAN], [3, None]),
        ("bigint", [2.0**53, -(2.0**53)], [2**53, -(2**53)]),
        ("tinyint", [300.0, -300.0], [127, -128]),
        ("smallint", [1e300, -1e300], [32767, -32768]),
        ("decimal(10,2)", [12.345, NAN, -0.01], [decimal.Decimal("12.35"), None, decimal.Decimal("-0.01")]),
        ("decimal(5, 0)", [7.0], [decimal.Decimal("7")]),
        ("date", [86_400.0 * 3 + 5.0, NAN, -1.0], [dt.date(1970, 1, 4), None, dt.date(1969, 12, 31)]),
        (
            "timestamp_ntz",
            [0.5, NAN, -1.0],
            [dt.datetime(1970, 1, 1, 0, 0, 0, 500_000), None, dt.datetime(1969, 12, 31, 23, 59, 59)],
        ),
        ("timestamp", [60.0], [dt.datetime(1970, 1, 1, 0, 1, tzinfo=dt.timezone.utc)]),
    ],
)
def test_numbers_are_written_in_the_types_of_the_source(simple, values, expected):
    array = Numbers(np.array(values)).to_arrow(simple)
    assert array.type == arrow_type(simple)
    found = array.to_pylist()
    if simple == "decimal(10,2)":
        assert found[0] in (decimal.Decimal("12.34"), decimal.Decimal("12.35"))
        found, expected = found[1:], expected[1:]
    assert found == expected


@pytest.mark.parametrize(
    ("simple", "values", "expected"),
    [
        ("string", ("a", "b"), ["b", None, "a"]),
        ("int", ("7", "-3"), [-3, None, 7]),
        ("boolean", ("true", "false"), [False, None, True]),
        ("double", ("0.5", "1"), [1.0, None, 0.5]),
        ("varchar(3)", ("a", "b"), ["b", None, "a"]),
    ],
)
def test_levels_are_written_in_the_types_of_the_source(simple, values, expected):
    array = Levels(np.array([1, -1, 0]), values).to_arrow(simple)
    assert array.to_pylist() == expected
    assert array.type == arrow_type(simple)


CELLS = {
    "int": [1, 2, 3, None], "double": [1.0, 2.0, 2.5, None, float("nan"), -0.0], "float": [1.0, 2.0, 0.1, None],
    "decimal(4,2)": [decimal.Decimal("1.00"), decimal.Decimal("2.50"), None], "bigint": [2**53, 2**53 + 1],
    "boolean": [True, False, None], "date": [dt.date(2020, 1, 31), None],
    "timestamp": [dt.datetime(2020, 1, 31, tzinfo=dt.timezone.utc), dt.datetime(2020, 1, 31, 12, 30), None],
    "timestamp_ntz": [dt.datetime(2020, 1, 31), dt.datetime(2020, 1, 31, 12, 30), None], "string": ["1", "1.0", "01"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("simple", "values", "expected"),
    [
        ("double", ("1", "2", "0", "2.50"), [0, 1, 3, -1, -2, 2]),
        ("double", ("1.0", "02", "+2.5", "-0"), [0, 1, 2, -1, -2, 3]),
        ("float", (".1", "2e0", "1"), [2, 1, 0, -1]),
        ("int", ("3.0", "01"), [1, -2, 0, -1]),
        ("bigint", ("9007199254740993", "9007199254740992"), [1, 0]),
        ("decimal(4,2)", ("2.5", "1"), [1, 0, -1]),
        ("decimal(4,2)", ("2.500", "1.0"), [1, 0, -1]),
        ("boolean", ("False", "TRUE"), [1, 0, -1]),
        ("date", ("2020-01-31",), [0, -1]),
        ("timestamp", ("2020-01-31", "2020-01-31 12:30:00"), [0, 1, -1]),
        ("timestamp_ntz", ("2020-01-31T00:00:00", "2020-01-31 12:30"), [0, 1, -1]),
        ("string", ("1.0", "01"), [-2, 0, 1]),  # text has a spelling
    ],
)
def test_a_cell_is_the_listed_category_of_the_same_value_whatever_its_spelling(simple, values, expected):
    cells = pa.array(CELLS[simple], arrow_type(simple))
    assert levels_of(cells, values, unknown=-2, null=-1).tolist() == expected
    found = Levels(np.arange(len(values)), values).to_arrow(simple)  # and is released in the source's type
    assert found.type == cells.type
    assert levels_of(found, values, unknown=-2, null=-1).tolist() == list(range(len(values)))


def test_a_time_is_its_instant_whatever_the_session_s_time_zone():
    moment = pa.array([dt.datetime(2020, 1, 31, tzinfo=dt.timezone.utc)], pa.timestamp("us", "America/New_York"))
    assert levels_of(moment, ("2020-01-30 19:00:00", "2020-01-31"), unknown=-2, null=-1).tolist() == [1]


def test_what_is_one_value_of_the_type_is_found():
    assert listed_twice(("1", "2", "1.0"), "double") == ["1", "1.0"]
    assert listed_twice(("True", "false", "true"), "boolean") == ["True", "true"]
    assert listed_twice(("1", "2", "1.0"), "string") == []


def test_categories_that_a_type_cannot_hold_are_listed():
    assert castable(("1", "2", "x"), "int") == ["x"]
    assert castable(("true", "maybe", "1"), "boolean") == ["maybe", "1"]
    assert castable(("1.0", "1e3", "300", "1.5"), "tinyint") == ["1e3", "300", "1.5"]
    assert castable(("0.5", "0.125", "1000"), "decimal(4,2)") == ["0.125", "1000"]
    assert castable(("anything", ""), "string") == []


@pytest.mark.parametrize("simple", ["string", "boolean"])
def test_numbers_never_become_text(simple):
    with pytest.raises(TypeError, match="holds no numbers"):
        Numbers(np.array([1.0])).to_arrow(simple)


@pytest.mark.parametrize(("precision", "scale"), [(1, 0), (10, 2), (15, 15), (17, 1), (18, 9), (38, 0), (38, 20)])
def test_what_a_decimal_cannot_hold_becomes_its_largest_value(precision, scale):
    rng = np.random.default_rng(precision)
    end = 10.0 ** (precision - scale)
    inside = rng.uniform(-0.8 * end, 0.8 * end, 500) * 10.0 ** -rng.integers(0, 6, 500)
    array = Numbers(np.array([1e300, -1e300, end, *inside])).to_arrow(f"decimal({precision},{scale})").to_pylist()
    assert array[0] == array[2] == array[1].copy_negate()
    assert float(array[0]) == pytest.approx(end, rel=1.01 * max(10.0 ** (scale % precision - precision), 1e-15))
    assert array[0] == int(array[0]) or precision == scale
    found = np.array([float(value) for value in array[3:]])
    np.testing.assert_allclose(found, inside, rtol=1e-14, atol=0.51 * 10.0**-scale + 1e-14 * end)


def test_what_a_float_cannot_hold_becomes_its_largest_value():
    array = Numbers(np.array([1e300, -1e300, 1.5])).to_arrow("float").to_numpy()
    np.testing.assert_array_equal(array, [np.finfo(np.float32).max, np.finfo(np.float32).min, 1.5])
