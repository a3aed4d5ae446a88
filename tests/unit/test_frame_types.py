"""Frames of any labels and dtypes go through `Synthesizer`, or are refused in one line before a row is read."""

import datetime as dt
import json
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from threea_spark import Synthesizer
from threea_spark.config.domain import Domain
from threea_spark.errors import SchemaError
from threea_spark.source.dtypes import declared_dtypes, with_dtypes
from threea_spark.source.pandas import arrow_table

N = 400
TEXT = str(pd.Series(["a"]).dtype)  # object in pandas 2, str in pandas 3
WHEN = {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"}
LIGHT = {"adapt": {"method": "none"}, "approximate": {"components": 1}}


def categorical(*values, **more):
    return {"type": "categorical", "values": list(values) or "open", **more}


def number(lower=0, upper=10, kind="float", **more):
    return {"type": kind, "lower": lower, "upper": upper, **more}


def synthesizer(columns):
    domain = {"task": "none", "columns": columns}
    return Synthesizer(epsilon=20.0, delta=1e-6, domain=domain, unit="row", sections=LIGHT)


def sampled(columns, cells, n_rows=N):
    return synthesizer(columns).fit(pd.DataFrame(cells)).sample(n_rows)


def test_whole_numbers_that_a_missing_cell_made_floats_are_the_listed_ones():
    zone = np.where(np.arange(N) % 8 == 0, np.nan, np.arange(N) % 3 + 1.0)
    halves = [Decimal(n % 3) / 2 for n in range(N)]
    cells = {"zone": zone, "half": halves, "flag": np.arange(N) % 4 == 0, "stars": np.arange(N) % 5 + 1.0}
    rows = sampled(
        {
            "zone": categorical(1, 2, 3, nullable=True), "half": categorical("0.0", "0.50", 1),
            "flag": categorical("True", "False"), "stars": categorical("1.0", "02", 3, 4, 5),
        },
        cells,
    )  # fmt: skip
    assert {value: 80 < count < 150 for value, count in rows["zone"].value_counts().items()} == dict.fromkeys(
        "123", True
    )
    assert 20 < rows["zone"].isna().sum() < 80
    assert rows["half"].value_counts().between(90, 180).all()
    assert 60 < (rows["flag"] == "True").sum() < 140
    assert rows["stars"].value_counts().reindex(["1.0", "02", "3", "4", "5"]).between(50, 110).all()


def test_columns_that_are_numbered_keep_their_labels():
    cells = pd.DataFrame({0: np.arange(N) % 7, 1: ["a", "b"] * (N // 2), "2": 0.5})
    fitted = synthesizer({"0": number(kind="integer"), "1": categorical("a", "b"), "2": number()}).fit(cells)
    assert list(fitted.sample(5).columns) == [0, 1, "2"]


def test_names_that_differ_in_case_are_two_columns():
    rows = sampled(
        {"Age": number(0, 100, "integer"), "age": number(-5, 5)}, {"Age": np.full(N, 50), "age": np.full(N, 4.0)}
    )
    assert rows["Age"].between(45, 55).mean() > 0.9
    assert rows["age"].between(3, 5).mean() > 0.9


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, "0"], r"'0': appears twice in the frame"),
        (["0", "0"], r"'0': appears twice in the frame"),
        (["x", "y"], r"'0': is not a column of the frame; add it, or correct the domain"),
    ],
)
def test_a_label_that_is_there_twice_or_not_at_all_is_named(labels, words):
    with pytest.raises(SchemaError, match=words):
        arrow_table(pd.DataFrame(np.zeros((3, 2)), columns=labels), Domain.from_dict(domain_of("0", number())), None)


def test_a_column_or_unit_in_another_case_is_proposed():
    domain = Domain.from_dict(domain_of("age", number()))
    with pytest.raises(SchemaError) as caught:
        arrow_table(pd.DataFrame({"Age": [1.0], " id": ["a"]}), domain, "ID")
    assert "'age': is not a column of the frame; did you mean 'Age'?" in str(caught.value)
    assert "'ID': is not a column of the frame; did you mean ' id'?" in str(caught.value)


def domain_of(name, column):
    return {"task": "none", "columns": {name: column}}


WORKS = {
    "period": pd.period_range("2000-01", periods=4, freq="M"), "time of day": [dt.time(hour) for hour in range(4)],
    "uuid": [uuid.UUID(int=n) for n in range(4)], "interval": pd.interval_range(0, 4),
    "duration": pd.to_timedelta(range(4), "h"),
    "date": [dt.date(2020, 1, 1 + n) for n in range(4)], "decimal": [Decimal(n) / 4 for n in range(4)],
    "sparse": pd.arrays.SparseArray([0, 0, 1, 2]), "arrow text": pd.array(list("abcd"), "string[pyarrow]"),
    "arrow time of day": pd.array([dt.time(hour) for hour in range(4)], pd.ArrowDtype(pa.time64("us"))),
    "dictionary": pd.array(list("abca"), pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))),
}  # fmt: skip


@pytest.mark.parametrize("kind", WORKS)
def test_any_plain_value_may_be_a_category(kind):
    cells = pd.Series(WORKS[kind])
    found = arrow_table(pd.DataFrame({"x": cells}), Domain.from_dict(domain_of("x", categorical())), None)[
        "x"
    ].to_pylist()
    assert None not in found
    assert [found.index(text) for text in found] == [cells.tolist().index(cell) for cell in cells]
    listed = Domain.from_dict(domain_of("x", categorical(*dict.fromkeys(found))))
    assert arrow_table(pd.DataFrame({"x": cells}), listed, None)["x"].to_pylist() == found


REFUSED = {
    "period": (pd.period_range("2000-01", periods=2, freq="M"), number(), "to_timestamp"),
    "duration": (pd.to_timedelta([1, 2], "h"), number(), r"\.dt\.total_seconds"),
    "duration as time": (pd.to_timedelta([1, 2], "h"), WHEN, "seconds"),
    "interval": (pd.interval_range(0, 2), number(), "declare it categorical"),
    "complex": (np.array([1j, 2j]), number(), "complex numbers"),
    "list": (pd.array([[1], [2]], pd.ArrowDtype(pa.list_(pa.int64()))), categorical(), "plain columns"),
    "struct": (pd.array([{"a": 1}, None], pd.ArrowDtype(pa.struct({"a": pa.int64()}))), number(), "plain columns"),
    "bytes": (pd.array([b"a", b"b"], pd.ArrowDtype(pa.binary())), categorical(), "holds bytes"),
    "time of day": (pd.array([dt.time(1), None], pd.ArrowDtype(pa.time64("us"))), number(), "declare it categorical"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_dtype_that_no_rule_reads_is_one_line_before_a_row_is_read(kind):
    cells, column, words = REFUSED[kind]
    with pytest.raises(SchemaError, match=words) as caught:
        synthesizer({"odd": column, "x": number()}).fit(pd.DataFrame({"odd": cells, "x": 1.0}))
    _, line = str(caught.value).splitlines()
    assert line.startswith("  'odd': ")


def test_a_period_is_a_timestamp_at_its_start():
    cells = pd.DataFrame({"x": pd.period_range("2020-03", periods=2, freq="M")})
    found = arrow_table(cells, Domain.from_dict(domain_of("x", WHEN)), None)["x"].to_pylist()
    assert [moment.isoformat() for moment in found] == ["2020-03-01T00:00:00+00:00", "2020-04-01T00:00:00+00:00"]


@pytest.mark.parametrize("empty", [[None] * N, [np.nan] * N, [pd.NaT] * N])
def test_a_column_without_any_value_is_released_as_such(empty):
    rows = sampled({"x": number(nullable=True), "y": categorical("a", "b")}, {"x": empty, "y": ["a", "b"] * (N // 2)})
    assert rows["x"].isna().mean() > 0.95


ORDER = pd.CategoricalDtype(["low", "mid", "high", "never"], ordered=True)
BACK = {  # declared as, dtype of the frame, dtype of released rows
    "whole": (number(0, 300, "integer", nullable=True), "Int64", "Int64"),
    "narrow": (number(0, 300, "integer"), "uint8", "uint8"),
    "narrow with null": (number(0, 300, "integer", nullable=True), "uint8", "float64"),
    "wide": (number(0, 300, "integer"), "int64", "int64"),
    "short": (number(0, 300), "float32", "float32"),
    "arrow": (number(0, 300, "integer", nullable=True), "int32[pyarrow]", "int32[pyarrow]"),
    "text": (categorical("1", "2"), "string", "string"),
    "arrow text": (categorical("1", "2"), "string[pyarrow]", "string[pyarrow]"),
    "boolean": (categorical(True, False, nullable=True), "boolean", "boolean"),
    "numbers": (categorical(1, 2, 250), "Int16", "Int16"),
    "numbers in text": (categorical(1, 2, "x"), "Int16", TEXT),
    "inferred": (categorical(1, 2), "int64", TEXT),
    "New York": (WHEN, "datetime64[ns, America/New_York]", "datetime64[us, America/New_York]"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BACK)
def test_a_dtype_that_was_chosen_comes_back(kind):
    column, dtype, wanted = BACK[kind]
    domain = Domain.from_dict(domain_of("x", column))
    cells = pd.to_datetime(["2020-05-01"], utc=True) if "datetime" in dtype else [True if kind == "boolean" else 1]
    dtypes = declared_dtypes(pd.DataFrame({"x": pd.Series(cells).astype(dtype)}), domain)
    released = {
        "integer": [2, 200, np.nan] if column.get("nullable") else [2, 300], "float": [0.5, 300.0],
        "categorical": [str(value).lower() for value in column.get("values", [])],
        "timestamp": [pd.Timestamp("2020-06-01", tz="UTC")],
    }[column["type"]]  # fmt: skip
    rows = pd.DataFrame({"x": released})
    if column["type"] == "timestamp":
        rows["x"] = rows["x"].astype("datetime64[us, UTC]")
    found = with_dtypes(rows, dtypes, {})
    assert found["x"].dtype == wanted
    if kind == "narrow":
        assert found["x"].tolist() == [2, 255]
    if kind == "New York":
        assert found["x"][0] == pd.Timestamp("2020-06-01", tz="UTC")


def test_categories_come_back_as_the_domain_s_in_a_declared_order():
    columns = {"level": categorical("high", "low", "mid"), "stars": categorical(3, 1, 2), "town": categorical()}
    frame = pd.DataFrame(
        {
            "level": pd.Categorical(["low", "high"], dtype=ORDER),
            "stars": pd.Categorical([1, 9], dtype=pd.CategoricalDtype([1, 2, 3, 9], ordered=True)),
            "town": pd.Categorical(["secret", "Ayr"]),
        }
    )
    dtypes = declared_dtypes(frame, Domain.from_dict({"task": "none", "columns": columns}))
    released = pd.DataFrame({"level": ["high", "mid", None], "stars": ["1", "3", "2"], "town": ["other", "Ayr", "Ayr"]})
    rows = with_dtypes(released, dtypes, {})
    assert rows["level"].cat.ordered
    assert rows["level"].cat.categories.tolist() == ["low", "mid", "high"]
    assert rows["level"].tolist()[:2] == ["high", "mid"]
    assert rows["level"].isna().tolist() == [False, False, True]
    assert rows["stars"].tolist() == [1, 3, 2]
    assert rows["stars"].cat.categories.tolist() == [1, 2, 3]
    assert rows["town"].cat.categories.tolist() == ["Ayr", "other"]  # of what was released, not of the frame


def test_what_pandas_infers_from_rows_plays_no_part():
    domain = Domain.from_dict(
        {"task": "none", "columns": {"n": number(kind="integer"), "t": categorical("a"), "b": categorical(True)}}
    )
    inferred = pd.DataFrame({"n": [1], "t": ["a"], "b": [True]})
    assert declared_dtypes(inferred, domain) == {}
    fixed = pd.DataFrame({"w": pd.to_datetime(["2020-01-01T00:00:00+02:00"])})
    assert declared_dtypes(fixed, Domain.from_dict(domain_of("w", WHEN))) == {}


def test_char_in_an_arrow_table_has_no_padding():
    noted = pa.field("st", pa.string(), metadata={"__CHAR_VARCHAR_TYPE_STRING": "char(5)"})
    cells = {"st": ["CA   ", " NY  ", None], "city": ["a ", "b", "c"]}
    schema = pa.schema([noted, pa.field("city", pa.string())])
    domain = Domain.from_dict({"task": "none", "columns": {"st": categorical(), "city": categorical()}})
    found = arrow_table(pa.table(cells, schema), domain, None).to_pydict()
    assert found == {"st": ["CA", " NY", None], "city": ["a ", "b", "c"]}
    spark = {"fields": [{"name": "st", "type": "string", "metadata": {"__CHAR_VARCHAR_TYPE_STRING": "char(5)"}}]}
    footer = {b"org.apache.spark.sql.parquet.row.metadata": json.dumps(spark).encode()}
    from_file = pa.table(cells).replace_schema_metadata(footer)
    assert arrow_table(from_file, domain, None).to_pydict() == found
    broken = pa.table(cells).replace_schema_metadata({b"org.apache.spark.sql.parquet.row.metadata": b"{"})
    assert arrow_table(broken, domain, None)["st"].to_pylist() == cells["st"]
