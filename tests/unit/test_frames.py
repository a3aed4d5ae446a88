"""Cells of a pandas frame are read one by one: neither the column's dtype nor another row has a part in it."""

import datetime as dt
import decimal
import uuid
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threea_spark.config.domain import Domain
from threea_spark.errors import SchemaError
from threea_spark.source.pandas import arrow_table, read_cells, released_types

BERLIN = ZoneInfo("Europe/Berlin")
DOMAIN = Domain.from_dict(
    {
        "task": "none",
        "columns": {
            "whole": {"type": "integer", "lower": 0, "upper": 10},
            "real": {"type": "float", "lower": 0, "upper": 10},
            "open": {"type": "categorical", "values": "open"},
            "listed": {
                "type": "categorical",
                "values": [
                    "1",
                    "1.0",
                    "2.0",
                    "1.50",
                    "0.00001",
                    "a",
                    True,
                    "007",
                    "2021-05-01",
                    "2021-06-01T00:00:00Z",
                ],
            },
            "when": {"type": "timestamp", "lower": "2020-01-01", "upper": "2022-01-01"},
        },
    }
)
HALF_PAIR = "\ud800"


def micros(*parts, zone=dt.timezone.utc):
    return (dt.datetime(*parts, tzinfo=zone) - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(
        microseconds=1
    )


def as_objects(cells):
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return pd.Series(column, dtype=object)


def read(cells, name):
    """Plain values of one column's cells; moments as whole numbers, for Python's have fewer years."""
    cells = cells if isinstance(cells, pd.Series) else as_objects(cells)
    found = read_cells(cells, DOMAIN.columns[name])
    return (found.cast(pa.int64()) if pa.types.is_timestamp(found.type) else found).to_pylist()


NULLS = [None, np.nan, pd.NA, pd.NaT, Decimal("NaN"), Decimal("sNaN"), np.datetime64("NaT", "ns"), np.float32("nan")]
NOTHING = [b"a", [1], {"a": 1}, {1}, (1, 2), object(), 1j, np.array([1, 2]), np.timedelta64("NaT", "ns")]


@pytest.mark.parametrize("name", list(DOMAIN.columns))
def test_null_and_what_no_rule_reads_is_null(name):
    cells = [*NULLS, *NOTHING, HALF_PAIR]
    if not DOMAIN.columns[name].is_categorical:
        cells += [dt.time(1), dt.timedelta(1), np.timedelta64(1, "D"), pd.Interval(0, 1), uuid.UUID(int=5)]
    assert read(cells, name) == [None] * len(cells)


class Odd(int):
    def __float__(self):
        raise RuntimeError("secret")


NUMBERS = [
    (1, 1.0),
    (True, 1.0),
    (np.bool_(False), 0.0),
    (np.int8(-3), -3.0),
    (np.uint64(2**64 - 1), 2.0**64),
    (np.float16(0.5), 0.5),
    (Decimal("1.25"), 1.25),
    (Decimal("1e9999"), np.inf),
    (Fraction(1, 4), 0.25),
    (10**400, np.inf),
    (-(10**400), -np.inf),
    (" 1.5\n", 1.5),
    ("-.5", -0.5),
    ("1.", 1.0),
    ("+1e3", 1000.0),
    ("Infinity", np.inf),
    ("-inf", -np.inf),
    ("nan", None),
    ("1_000", None),
    ("1,5", None),
    ("\u0661", None),
    ("true", None),
    ("", None),
    ("1" * 200_000 + "x", None),
    (dt.date(2020, 1, 1), None),
    (np.datetime64("2020-01-01"), None),
    (Odd(3), None),
]
OPEN = [
    (True, "true"),
    (np.bool_(False), "false"),
    (1.0, "1"),
    (-0.0, "0"),
    (np.int16(7), "7"),
    (2**70, str(2**70)),
    (1e22, str(10**22)),
    (0.1, "0.1"),
    (np.float32(0.1), repr(float(np.float32(0.1)))),
    (1e-05, "1e-05"),
    (Decimal("2.00"), "2"),
    (Decimal("2.50"), "2.5"),
    (Decimal("-1E+3"), "-1000"),
    (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
    (Decimal("Infinity"), "inf"),
    (Decimal("1e999999"), None),
    (10**5000, None),
    (np.inf, "inf"),
    (Fraction(3, 2), "1.5"),
    ("1.0", "1.0"),
    (" A ", " A "),
    ("", ""),
    (np.str_("b"), "b"),
    ("nan", "nan"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (dt.date(2020, 1, 31), "2020-01-31"),
    (dt.datetime(2020, 1, 31, 12), "2020-01-31 12:00:00"),
    (dt.datetime(2020, 1, 31, 12, tzinfo=BERLIN), "2020-01-31 11:00:00"),
    (pd.Timestamp("2020-01-31 12:00:00.500000999"), "2020-01-31 12:00:00.5"),
    (np.datetime64("2020-01-31"), "2020-01-31 00:00:00"),
    (dt.time(1, 30), "01:30:00"),
    (dt.timedelta(days=1, hours=2), "1 days 02:00:00"),
    (np.timedelta64(90, "s"), "0 days 00:01:30"),
    (np.timedelta64(2**62, "D"), None),
    (pd.Period("2020-01", "M"), "2020-01"),
    (pd.Interval(0, 1), "(0, 1]"),
]
LISTED = [
    (1, "1"),
    (1.0, "1"),
    ("1.0", "1.0"),
    (2, "2.0"),
    (2.0, "2.0"),
    (Decimal("2.00"), "2.0"),
    ("2", "2"),
    (1.5, "1.50"),
    (Decimal("1.5"), "1.50"),
    (1e-05, "0.00001"),
    (7, "007"),
    (True, "true"),
    ("True", "True"),
    (dt.date(2021, 5, 1), "2021-05-01"),
    (dt.datetime(2021, 5, 1), "2021-05-01"),
    (pd.Timestamp("2021-06-01"), "2021-06-01T00:00:00Z"),
    (dt.datetime(2021, 5, 1, 1), "2021-05-01 01:00:00"),
]
WHEN = [
    (dt.date(2020, 1, 31), micros(2020, 1, 31)),
    (dt.datetime(2020, 1, 31, 12), micros(2020, 1, 31, 12)),
    (dt.datetime(2020, 1, 31, 12, tzinfo=BERLIN), micros(2020, 1, 31, 11)),
    (dt.datetime(1, 1, 1), micros(1, 1, 1)),
    (dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), None),
    (dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(dt.timedelta(hours=-2))), None),
    (pd.Timestamp("1960-01-01 00:00:00.000000999"), micros(1960, 1, 1)),
    (pd.Timestamp("1959-12-31 23:59:59.999999999", tz="Asia/Tokyo"), micros(1959, 12, 31, 14, 59, 59, 999_999)),
    (np.datetime64("2020-02"), micros(2020, 2, 1)),
    (pd.Period("2020-02", "M"), micros(2020, 2, 1)),
    (np.datetime64("12020-01-01"), None),
    ("2020-01-31", micros(2020, 1, 31)),
    (" 2020-01-31T12:30 ", micros(2020, 1, 31, 12, 30)),
    ("2020-01-31 12:30:01.25", micros(2020, 1, 31, 12, 30, 1, 250_000)),
    ("2020-01-31T12:30:01.123456789Z", micros(2020, 1, 31, 12, 30, 1, 123_456)),
    ("2020-01-31T12:30:00+01:30", micros(2020, 1, 31, 11)),
    ("2020-01-31T12:30:00-0130", micros(2020, 1, 31, 14)),
    ("2020-01-31 12:30:00 +02", micros(2020, 1, 31, 10, 30)),
    ("2020-02-30", None),
    ("0000-01-01", None),
    ("0001-01-01T00:00+01:00", None),
    ("2020-01-31T25:00", None),
    ("2020-01-31T12:30+99:00", None),
    ("31.01.2020", None),
    ("01/02/2020", None),
    ("2020", None),
    ("secret", None),
    (5, None),
    (5.0, None),
    (True, None),
]


@pytest.mark.parametrize(
    ("name", "rule"), [("whole", NUMBERS), ("real", NUMBERS), ("open", OPEN), ("listed", LISTED), ("when", WHEN)]
)
def test_each_cell_is_read_by_its_rule(name, rule):
    assert read([cell for cell, _ in rule], name) == [wanted for _, wanted in rule]


def test_true_and_one_are_told_apart_though_python_takes_them_for_equal():
    assert read([1, True, 1.0, Decimal(1), "1", np.bool_(True)], "open") == ["1", "true", "1", "1", "1", "true"]


def test_the_two_moments_of_a_repeated_hour_are_told_apart_though_python_takes_them_for_equal():
    first = dt.datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN)
    again = first.replace(fold=1)
    assert read([first, again], "when") == [micros(2020, 10, 25, 0, 30), micros(2020, 10, 25, 1, 30)]


def test_decimals_are_read_alike_under_any_context_of_the_caller():
    with decimal.localcontext(decimal.Context(prec=2, traps=[decimal.Inexact, decimal.Rounded])):
        assert read([Decimal("1234.5000"), Decimal("1234567")], "open") == ["1234.5", "1234567"]


SAME = {
    "whole numbers": (
        [0, 1, 2, 7],
        [
            "int8",
            "uint16",
            "int64",
            "Int32",
            "Int64",
            "float32",
            "float64",
            "Float64",
            "object",
            "category",
            "Sparse[int64]",
        ],
        [pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.decimal128(5, 2), pa.dictionary(pa.int8(), pa.int64())],
    ),
    "numbers": (
        [0.5, -0.0, 1e-05, 1.5],
        ["float64", "Float64", "object", "category", "Sparse[float64]"],
        [pa.float64()],
    ),
    "decimals": (
        [Decimal("0.5"), Decimal("1.50"), Decimal("2"), Decimal("0.00001")],
        ["object", "category"],
        [pa.decimal128(6, 5), pa.decimal128(38, 20), pa.decimal256(50, 7)],
    ),
    "true and false": ([True, False], ["bool", "boolean", "object", "category", "Sparse[bool]"], [pa.bool_()]),
    "text": (
        ["a", "1", "1.0", "2020-01-31", "", "ü"],
        ["object", "string[python]", "string[pyarrow]", "category"],
        [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())],
    ),
    "moments": (
        [pd.Timestamp("2020-01-31 12:00:00"), pd.Timestamp("1960-01-01")],
        ["M8[ns]", "M8[us]", "M8[s]", "object", "category"],
        [pa.timestamp("s"), pa.timestamp("ns")],
    ),
    "moments with a zone": (
        [pd.Timestamp("2020-01-31 12:00:00", tz="Europe/Berlin"), pd.Timestamp("1960-01-01", tz="Europe/Berlin")],
        ["datetime64[ns, UTC]", "datetime64[us, Asia/Tokyo]", "object", "category"],
        [pa.timestamp("us", tz="UTC"), pa.timestamp("ms", tz="Asia/Tokyo")],
    ),
    "days": ([dt.date(2020, 1, 31), dt.date(1, 1, 1)], ["object", "category"], [pa.date32(), pa.date64()]),
    "nothing": ([None, None], ["object", "float64", "Int64", "M8[ns]", "string", "category"], [pa.null()]),
    "other": ([dt.timedelta(1), dt.timedelta(2)], ["m8[ns]", "object"], [pa.duration("ns")]),
    "lists": ([[1, 2], [3]], ["object"], [pa.list_(pa.int64())]),
}


@pytest.mark.parametrize("name", list(DOMAIN.columns))
@pytest.mark.parametrize("kind", list(SAME))
def test_every_dtype_that_holds_a_cell_gives_the_same(kind, name):
    cells, dtypes, arrow_types = SAME[kind]
    wanted = read(cells, name)
    for dtype in dtypes:
        column = as_objects(cells).astype(dtype)
        assert read(column, name) == wanted, dtype
        assert read(column.iloc[::-1], name) == wanted[::-1], dtype
    for held in arrow_types:
        array = pa.array(cells, getattr(held, "value_type", held) if pa.types.is_dictionary(held) else held)
        array = array.dictionary_encode() if pa.types.is_dictionary(held) else array
        assert read(pd.Series(pd.arrays.ArrowExtensionArray(array)), name) == wanted, held
    for dtype in {"Int64", "Float64", "boolean", "string[pyarrow]", "object", "category", "M8[s]"} & set(dtypes):
        assert read(as_objects([*cells, None]).astype(dtype), name) == [*wanted, None], dtype


@pytest.mark.parametrize("name", list(DOMAIN.columns))
def test_arrow_may_hold_what_python_cannot(name):
    not_text = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], "int32").tobytes()), pa.py_buffer(b"\xff")]
    )
    late = 10**15
    for array in (not_text, pa.array([late], pa.timestamp("s", "UTC")), pa.array([2**31 - 1], pa.date32())):
        assert read(pd.Series(pd.arrays.ArrowExtensionArray(array)), name) == [None]
    assert read(pd.Series(np.array([late, -late], "M8[s]")), name) == [None, None]


ZONES = st.sampled_from([None, dt.timezone.utc, BERLIN, ZoneInfo("America/St_Johns")])
ORDINARY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),  # a float column holds no more: said in the docstring
    st.floats(),
    st.decimals(allow_nan=False),
    st.text(max_size=4),
    st.sampled_from(["1", "1.0", "007", "2020-01-31", "2020-01-31T12:00:00+02:00", "x", "nan", "true"]),
    st.datetimes(timezones=ZONES),
    st.dates(),
    st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1), timezones=ZONES).map(pd.Timestamp),
    st.sampled_from([np.float32(0.1), np.int8(1), np.datetime64("2020-01-31"), pd.NaT, np.nan, pd.NA]),
)
HOSTILE = st.one_of(ORDINARY, st.sampled_from([*NULLS, *NOTHING, HALF_PAIR, 10**400, Odd(3)]))


@pytest.mark.parametrize("name", list(DOMAIN.columns))
@settings(max_examples=150, deadline=None)
@given(cells=st.lists(ORDINARY, min_size=1, max_size=6), rows=st.randoms(use_true_random=False))
def test_a_cell_is_read_alike_alone_and_among_others_whatever_dtype_pandas_gives_them(name, cells, rows):
    alone = [read(pd.Series([cell]), name)[0] for cell in cells]
    order = list(range(len(cells)))
    rows.shuffle(order)
    assert read(pd.Series([cells[i] for i in order]), name) == [alone[i] for i in order]
    assert read(cells, name) == alone


@pytest.mark.parametrize("name", list(DOMAIN.columns))
@settings(max_examples=150, deadline=None)
@given(cells=st.lists(HOSTILE, min_size=1, max_size=6))
def test_no_value_raises_or_changes_how_another_is_read(name, cells):
    assert read(cells, name) == [read([cell], name)[0] for cell in cells]


@pytest.mark.parametrize("kind", list(SAME))
def test_the_table_s_types_are_the_domain_s(kind):
    wanted = {"whole": pa.float64(), "real": pa.float64(), "open": pa.string(), "listed": pa.string()}
    wanted |= {"when": pa.timestamp("us", tz="UTC"), "who": pa.string()}
    cells, dtypes, _ = SAME[kind]
    for dtype in set(dtypes) - {"m8[ns]"}:
        column = as_objects(cells).astype(dtype)
        frame = pd.DataFrame({name: column for name in [*reversed(wanted), "unused"]})
        assert arrow_table(frame, DOMAIN, "who").schema == pa.schema(wanted)
    assert released_types(DOMAIN) == dict(
        zip(DOMAIN.columns, ["bigint", "double", "string", "string", "timestamp"], strict=True)
    )


def test_identifiers_are_of_one_unit_if_their_texts_are_equal():
    units = [7, 7.0, "7", Decimal("7.0"), "7.0", " 7", "007", 2**63 + 1, str(2**63 + 1), None]
    frame = pd.DataFrame({"who": as_objects(units)} | {name: [0] * len(units) for name in DOMAIN.columns})
    found = arrow_table(frame, DOMAIN, "who")["who"].to_pylist()
    assert found == ["7", "7", "7", "7", "7.0", " 7", "007", str(2**63 + 1), str(2**63 + 1), None]


def test_missing_and_doubled_columns_are_named_at_once_and_nothing_else_is_an_error():
    frame = pd.DataFrame([["secret"] * 6], columns=["whole", "real", "real", "open", "listed", "when"])
    with pytest.raises(SchemaError, match=r"(?s)'real': appears twice.*'who': is not a column") as caught:
        arrow_table(frame, DOMAIN, "who")
    assert "secret" not in str(caught.value)
    assert arrow_table(frame.iloc[:, [0, 1, 3, 4, 5]], DOMAIN, None)["whole"].to_pylist() == [None]
