"""Noisy statistics as Delta tables, at a path and in a catalog; the queries of docs/statistics.md run."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from threea_spark import ReleaseConfig, export_statistics, fit
from threea_spark.errors import TargetExistsError
from threea_spark.model.statistics import statistics_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame(
        {
            "days": rng.integers(0, 60, 2_000),
            "seen": pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.integers(0, 2e7, 2_000), unit="s"),
            "ward": rng.choice(["north", "south"], 2_000),
            "readmitted": np.where(rng.random(2_000) < 0.3, "yes", "no"),
        }
    )
    columns = {
        "days": {"type": "integer", "lower": 0, "upper": 90},
        "seen": {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"},
        "ward": {"type": "categorical", "values": ["north", "south"]},
        "readmitted": {"type": "categorical", "values": ["no", "yes"]},
    }
    content = {
        "source": {"path": "nowhere"},
        "target": {"path": "nowhere either"},
        "privacy": {"epsilon": 4.0, "delta": 1e-6, "unit": "row"},
        "domain": {"columns": columns, "label": "readmitted"},
        "approximate": {"components": 1},
        "adapt": {"method": "none"},
    }
    return fit(rows, ReleaseConfig.from_dict(content))


@pytest.fixture(scope="module")
def target(spark, model, tmp_path_factory):
    """A folder that holds the tables."""
    target = str(tmp_path_factory.mktemp("export") / "stats")
    assert export_statistics(spark, model, target) == tuple(f"{target}/{name}" for name in statistics_of(model))
    return target


def test_tables_at_a_path_hold_the_statistics_and_are_not_overwritten(spark, model, target):
    for name, table in statistics_of(model).items():
        written = spark.read.format("delta").load(f"{target}/{name}")
        found = written.toPandas().sort_values(list(written.columns[:-1]), ignore_index=True, key=str_of)
        wanted = table.to_pandas().sort_values(list(written.columns[:-1]), ignore_index=True, key=str_of)
        for column in written.columns:
            own, other = found[column], wanted[column]
            if column.endswith("time") or "_time_" in column:
                own, other = own.dt.tz_localize(None), other.dt.tz_localize(None)
            assert [str(cell) for cell in own.where(own.notna(), None)] == [
                str(cell) for cell in other.where(other.notna(), None)
            ], (name, column)
    with pytest.raises(TargetExistsError, match="release exists and is never overwritten"):
        export_statistics(spark, model, target)


def str_of(column):
    return column.astype(str)


def check_queries(spark, name_of):
    """Runs the page's queries, on tables of other names."""
    queries = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    stays, share = (re.sub(r"main\.stats\.stays_(\w+)", lambda own: name_of(own[1]), query) for query in queries)
    length = spark.sql(stays).collect()
    assert [row["cell"] for row in length][:2] == ["0 to 15", "16 to 31"]
    assert all(row["low"] <= row["stays"] <= row["high"] for row in length)
    rates = {row["ward"]: row for row in spark.sql(share).collect()}
    assert set(rates) == {"north", "south"}
    assert all(abs(row["share"] - 0.3) < 0.1 for row in rates.values())


def test_the_queries_of_the_page_run(spark, target):
    check_queries(spark, lambda name: f"delta.`{target}/{name}`")


@pytest.mark.slow
def test_catalog_tables_are_written_under_one_beginning(spark, model):
    export_statistics(spark, model, "default.stays")
    try:
        check_queries(spark, lambda name: f"default.stays_{name}")
        properties = spark.sql("SHOW TBLPROPERTIES default.stays_pairs").collect()
        assert {row["key"]: row["value"] for row in properties}["threea.epsilon"] == "4"
    finally:
        for name in statistics_of(model):
            spark.sql(f"DROP TABLE IF EXISTS default.stays_{name}")
