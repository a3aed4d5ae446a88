import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest
from small_tables import category, number

from threea_spark.config.domain import TimestampColumn
from threea_spark.encode.arrow import to_arrow
from threea_spark.encode.codes import quantile_code
from threea_spark.encode.decode import Levels, Numbers, draw_column, join_parts
from threea_spark.encode.grid import N_LEAVES, leaf_grid
from threea_spark.encode.raw import part_of
from threea_spark.engine.types import arrow_type, castable

NAN = float("nan")
RNG = np.random.default_rng(3)


def drawn(code, n=2_000, *, cells=None):
    cell = RNG.integers(0, cells or code.n_cells, n)
    return cell, draw_column(code, cell, np.random.default_rng(1))


def test_numbers_stay_within_their_bounds_and_nulls_are_nulls():
    code = number("x", -5.0, 12.5, nullable=True)
    cell, column = drawn(code, cells=code.n_cells + 1)
    assert np.array_equal(np.isnan(column.values), cell == code.n_cells)
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
    array = to_arrow(Numbers(np.array(values)), simple)
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
    array = to_arrow(Levels(np.array([1, -1, 0]), values), simple)
    assert array.to_pylist() == expected
    assert array.type == arrow_type(simple)


def test_categories_that_a_type_cannot_hold_are_listed():
    assert castable(("1", "2", "x"), "int") == ["x"]
    assert castable(("true", "maybe"), "boolean") == ["maybe"]
    assert castable(("anything", ""), "string") == []


@pytest.mark.parametrize("simple", ["string", "boolean"])
def test_numbers_never_become_text(simple):
    with pytest.raises(TypeError, match="holds no numbers"):
        to_arrow(Numbers(np.array([1.0])), simple)


TIME = TimestampColumn(type="timestamp", lower=dt.datetime(2020, 1, 1), upper=dt.datetime(2024, 1, 1))


def time_code(nullable=True):
    grid = leaf_grid(TIME.lower_seconds, TIME.upper_seconds, whole=True)
    return quantile_code("seen", "timestamp", nullable, grid, np.ones(N_LEAVES), cell_rows=16.0)


def joined(parts, seconds, levels):
    codes = [time_code()]
    columns = [Numbers(seconds)]
    for part, level in zip(parts, levels, strict=True):
        sizes = {"hour": 24, "weekday": 7, "month": 12}
        codes.append(category("seen", *map(str, range(sizes[part])), nullable=True, part=part))
        columns.append(Levels(level, codes[-1].values))
    return join_parts(codes, columns)["seen"].values


SECONDS = np.floor(TIME.lower_seconds + np.random.default_rng(8).random(3_000) * (4 * 365 * 86_400))


@pytest.mark.parametrize(("part", "size"), [("hour", 24), ("weekday", 7), ("month", 12)])
def test_a_time_is_moved_to_its_drawn_part_and_stays_within_bounds(part, size):
    level = RNG.integers(0, size, len(SECONDS))
    moved = joined([part], SECONDS, [level])
    assert moved.min() >= TIME.lower_seconds
    assert moved.max() <= TIME.upper_seconds
    inner = (SECONDS > TIME.lower_seconds + 200 * 86_400) & (SECONDS < TIME.upper_seconds - 200 * 86_400)
    assert inner.sum() > 1_000
    assert np.array_equal(part_of(moved[inner], part), level[inner])


def test_all_three_parts_hold_at_once():
    size = len(SECONDS)
    hour, weekday, month = RNG.integers(0, 24, size), RNG.integers(0, 7, size), RNG.integers(0, 12, size)
    moved = joined(["hour", "weekday", "month"], SECONDS, [hour, weekday, month])
    inner = (SECONDS > TIME.lower_seconds + 220 * 86_400) & (SECONDS < TIME.upper_seconds - 220 * 86_400)
    assert np.array_equal(part_of(moved[inner], "hour"), hour[inner])
    assert np.array_equal(part_of(moved[inner], "weekday"), weekday[inner])
    assert np.mean(part_of(moved[inner], "month") == month[inner]) > 0.8  # a weekday may lie across a month's end


def test_null_times_and_null_parts_move_nothing():
    seconds = np.array([NAN, SECONDS[0]])
    moved = joined(["hour"], seconds, [np.array([5, -1])])
    assert np.isnan(moved[0])
    assert moved[1] == SECONDS[0]


def test_parts_are_no_columns_of_their_own():
    hours = category("seen", *map(str, range(24)), part="hour")
    codes = [time_code(), hours, category("seen#hour", "1", "2"), category("seen#weekday", "7", "8")]
    of_hours, first, second = Levels(np.array([1, 2]), hours.values), *([Levels(np.array([0, 1]), ("1", "2"))] * 2)
    columns = join_parts(codes, [Numbers(SECONDS[:2]), of_hours, first, second])
    assert list(columns) == ["seen", "seen#hour", "seen#weekday"]
    assert columns["seen#hour"] is first  # a column's own name decides nothing
    assert part_of(columns["seen"].values, "hour").tolist() == [1, 2]


def test_dates_and_arrow_batches_can_hold_what_was_drawn():
    _, column = drawn(time_code(), cells=time_code().n_cells + 1)
    for simple in ("date", "timestamp", "timestamp_ntz"):
        array = to_arrow(column, simple)
        assert isinstance(array, pa.Array)
        assert array.null_count == int(np.isnan(column.values).sum())


@pytest.mark.parametrize(("precision", "scale"), [(1, 0), (10, 2), (15, 15), (17, 1), (18, 9), (38, 0), (38, 20)])
def test_what_a_decimal_cannot_hold_becomes_its_largest_value(precision, scale):
    rng = np.random.default_rng(precision)
    end = 10.0 ** (precision - scale)
    inside = rng.uniform(-0.8 * end, 0.8 * end, 500) * 10.0 ** -rng.integers(0, 6, 500)
    array = to_arrow(Numbers(np.array([1e300, -1e300, end, *inside])), f"decimal({precision},{scale})").to_pylist()
    assert array[0] == array[2] == array[1].copy_negate()
    assert float(array[0]) == pytest.approx(end, rel=1.01 * max(10.0 ** (scale % precision - precision), 1e-15))
    assert array[0] == int(array[0]) or precision == scale
    found = np.array([float(value) for value in array[3:]])
    np.testing.assert_allclose(found, inside, rtol=1e-14, atol=0.51 * 10.0**-scale + 1e-14 * end)


def test_what_a_float_cannot_hold_becomes_its_largest_value():
    array = to_arrow(Numbers(np.array([1e300, -1e300, 1.5])), "float").to_numpy()
    np.testing.assert_array_equal(array, [np.finfo(np.float32).max, np.finfo(np.float32).min, 1.5])
