"""Rules between columns on Spark: releases in a table's own types, appended ones, mixed ones, and sampled models."""

import pandas as pd
import pytest
from pyspark.sql import functions as F

from threea_spark import ReleaseConfig, fit, release
from threea_spark.errors import SchemaError

TIMES = {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-12-31"}
DOMAIN = {
    "label": "late",
    "columns": {
        "city": {"type": "categorical", "values": "open"},
        "state": {"type": "categorical", "values": ["MA", "TX", "FL"]},
        "arrival": TIMES,
        "departure": {**TIMES, "nullable": True},
        "room": {"type": "float", "lower": 0, "upper": 500},
        "extras": {"type": "float", "lower": 0, "upper": 200},
        "cost": {"type": "float", "lower": 10, "upper": 600},
        "phone": {"type": "float", "lower": 0, "upper": 9, "nullable": True},
        "mail": {"type": "integer", "lower": 0, "upper": 9, "nullable": True},
        "late": {"type": "categorical", "values": ["no", "yes"]},
    },
    "rules": [
        {"functional": {"from": "city", "to": "state"}},
        {"order": {"low": "arrival", "high": "departure"}},
        {"sum": {"parts": ["room", "extras"], "total": "cost"}},
        {"exactly_one": ["phone", "mail"]},
        {"unique": "stay"},
        {"unique": "booking"},
    ],
}
FAST = {"adapt": {"method": "none"}, "approximate": {"components": 1}}
CITIES = "CASE id % 4 WHEN 0 THEN 'Boston' WHEN 1 THEN 'Austin' WHEN 2 THEN 'Miami' ELSE 'Salem' END"
STAYS = "id % 500 + id % 7 - IF(id % 50 = 1, 30, 0)"
STATES = "CASE id % 4 WHEN 0 THEN 'MA' WHEN 1 THEN 'TX' WHEN 2 THEN 'FL' ELSE 'MA' END"


@pytest.fixture(scope="module")
def stays(spark):
    """Rows that keep the rules, but one in fifty that breaks several."""
    columns = {
        "stay": "id + 7000",
        "booking": "concat('secret booking ', id)",
        "city": CITIES,
        "state": f"CASE WHEN id % 50 = 0 THEN 'FL' ELSE {STATES} END",
        "arrival": "date_add(DATE'2020-02-01', CAST(id % 500 AS INT))",
        "departure": f"IF(id % 5 = 0, NULL, date_add(DATE'2020-02-01', CAST({STAYS} AS INT)))",
        "room": "CAST(100 + id % 90 AS DECIMAL(10,2)) / 2",
        "extras": "CAST(id % 40 AS DECIMAL(10,2))",
        "cost": "CAST(50 + id % 130 AS DECIMAL(10,2))",
        "phone": "IF(id % 3 = 0 OR id % 50 = 2, CAST(id % 9 AS DOUBLE), NULL)",
        "mail": "IF(id % 3 = 0, NULL, CAST(id % 9 AS INT))",
        "late": "IF(id % 7 > 3, 'yes', 'no')",
    }
    made = spark.range(3_000).selectExpr(*[f"{own} AS {name}" for name, own in columns.items()])
    return made.withColumn("room", F.col("room").cast("decimal(10,2)"))


def config(tmp_path, **sections):
    base = {
        "source": {"path": str(tmp_path / "source")},
        "target": {"path": str(tmp_path / "target")},
        "privacy": {"epsilon": 8.0, "delta": 1e-5, "unit": "row"},
        "domain": DOMAIN,
        **FAST,
    }
    return ReleaseConfig.from_dict({**base, **sections})


def broken(rows):
    """Rules that some row breaks."""
    one = rows[["phone", "mail"]].notna().sum(axis=1) == 1
    arrival, departure = pd.to_datetime(rows["arrival"]), pd.to_datetime(rows["departure"])
    kept = {
        "city": rows.groupby("city")["state"].nunique().max() == 1,
        "order": (departure.isna() | (departure >= arrival)).all(),
        "sum": (rows["room"] + rows["extras"] == rows["cost"]).all(),
        "bounds": rows["cost"].astype(float).between(10, 600).all(),
        "one": one.all(),
        "numbers": rows["stay"].is_unique and rows["booking"].is_unique,
        "no value of the source": not rows["booking"].str.contains("secret").any(),
    }
    return [name for name, own in kept.items() if not own]


def test_releases_appended_ones_and_samples_keep_every_rule(spark, stays, tmp_path):
    stays.write.format("delta").save(str(tmp_path / "source"))
    assert set(broken(stays.toPandas())) >= {"city", "order", "sum", "one", "no value of the source"}
    receipt = release(spark, config(tmp_path))
    assert receipt.rules[0] == "city decides state (found by noisy counts)"
    read = spark.read.format("delta").load(str(tmp_path / "target"))
    assert dict(read.dtypes) == dict(stays.dtypes)
    first = read.toPandas()
    assert broken(first) == []
    assert sorted(first["stay"]) == list(range(1, len(first) + 1))
    assert first["departure"].notna().mean() == pytest.approx(0.8, abs=0.05)
    more = config(
        tmp_path, target={"path": str(tmp_path / "target"), "mode": "append"},
        privacy={"epsilon": 7.0, "delta": 1e-5, "unit": "row"}, anonymize={"generator": "mix", "mix_size": 20},
    )  # fmt: skip
    release(spark, more)
    both = read.sparkSession.read.format("delta").load(str(tmp_path / "target")).toPandas()
    assert len(both) > len(first)
    assert [name for name in broken(both) if name != "city"] == []  # two releases count pairs apart
    model = fit(spark.read.format("delta").load(str(tmp_path / "source")), config(tmp_path))
    on_spark = model.sample(spark, 9_000, seed=4).toPandas()
    assert broken(on_spark) == []
    here = model.sample_local(9_000, seed=4)
    assert on_spark.sort_values("stay")["booking"].tolist() == here["booking"].tolist()


def test_a_key_of_a_type_that_holds_no_numbers_is_refused_before_a_row_is_read(spark, stays, tmp_path):
    stays.withColumn("stay", F.col("stay").cast("double")).write.format("delta").save(str(tmp_path / "source"))
    with pytest.raises(SchemaError, match="'stay': rules: unique numbers rows in columns of int, bigint or string"):
        release(spark, config(tmp_path))
