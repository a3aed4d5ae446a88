"""Frames of pandas become Arrow tables that Spark takes; an error names the column and tells no cell."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from threea_spark.errors import SchemaError
from threea_spark.table.frames import arrow_table

KINDS = {
    "int": (pd.Series([1, 2, 3]), pa.int64()),
    "int with nulls": (pd.Series([1, None, 3], dtype="Int32"), pa.int32()),
    "unsigned": (pd.Series([1, 2, 255], dtype="uint8"), pa.int16()),
    "large unsigned": (pd.Series([1, 2, 3], dtype="uint64"), pa.int64()),
    "half": (pd.Series([1, 2, 3], dtype="float16"), pa.float32()),
    "float": (pd.Series([1.0, np.nan, 3.0]), pa.float64()),
    "text": (pd.Series(["a", None, "b"]), pa.string()),
    "string": (pd.Series(["a", pd.NA, "b"], dtype="string"), pa.string()),
    "category": (pd.Series(["a", None, "b"], dtype="category"), pa.string()),
    "bool": (pd.Series([True, False, True]), pa.bool_()),
    "nothing": (pd.Series([None, None, None], dtype=object), pa.string()),
    "moment": (pd.Series(pd.to_datetime(["2020-01-01 01:02:03.123456789", None])), pa.timestamp("us", tz="UTC")),
    "zoned": (pd.Series(pd.to_datetime(["2020-01-01"] * 3, utc=True)), pa.timestamp("us", tz="UTC")),
    "day": (pd.Series([dt.date(2020, 1, 1)] * 3), pa.date32()),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_type_becomes_one_that_spark_has(kind):
    cells, wanted = KINDS[kind]
    found = arrow_table(pd.DataFrame({"x": cells, "unused": object()}), ["x"])
    assert found.schema == pa.schema({"x": wanted})
    assert found["x"].null_count == cells.isna().sum()


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ([1, "secret-ward", 3.5], "several types"),
        ([1j, 2j], "several types"),
        (np.array([1, 2, 2**64 - 1], dtype="uint64"), "several types"),
        (["secret-ward", 3, None], "several types"),
    ],
)
def test_cells_that_have_no_type_are_one_line_that_tells_none(cells, rule):
    with pytest.raises(SchemaError, match=f"'x': .*{rule}") as caught:
        arrow_table(pd.DataFrame({"x": pd.Series(cells)}), ["x"])
    assert "secret" not in str(caught.value)
    assert str(2**64 - 1) not in str(caught.value)


def test_missing_and_doubled_columns_are_named_at_once():
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "b"])
    with pytest.raises(SchemaError, match=r"(?s)'b': stands twice.*'c': is not a column"):
        arrow_table(frame, ["a", "b", "c"])
