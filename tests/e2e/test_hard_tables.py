"""Nothing a row holds, and no shape of a table, may stop a release once rows are read."""

import numpy as np
import pandas as pd
import pytest
from tables import config_of, write_delta

from threea_spark import ReleaseConfig, release

pytestmark = pytest.mark.usefixtures("no_staging_left")

NUMBER = {"type": "float", "lower": -10, "upper": 10, "nullable": True}
TIGHT = {"type": "float", "lower": -10, "upper": 10}
LABEL = {"type": "categorical", "values": ["no", "yes"]}
COLOUR = {"type": "categorical", "values": ["red", "blue"]}


def mixed(n_rows, **extra):
    rng = np.random.default_rng(1)
    base = {"x": rng.normal(size=n_rows), "colour": rng.choice(["red", "blue"], n_rows)}
    return pd.DataFrame({**base, **extra, "y": rng.choice(["no", "yes"], n_rows)})


HARD_VALUES = mixed(300)
HARD_VALUES["x"] = [None, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, -0.0] * 37 + [1.0] * 4
HARD_VALUES["colour"] = ["red", "", None, "violet", "x", "\x00", "naïve ☃", "RED"] * 37 + ["blue"] * 4
HARD_VALUES.loc[7, "colour"] = "x" * 1_000_000
HARD_VALUES.loc[:20, "y"] = None
HARD_VALUES.loc[21:40, "y"] = "perhaps"

NAMES = ["dotted.name", "two words", 'quo"te', "back`tick", "größe", "semi;colon", "a(b)", "c0", "unit"]

CASES = {
    "hard values": (HARD_VALUES, {"x": NUMBER, "colour": {**COLOUR, "nullable": True}, "y": LABEL}, None),
    "hard values where null is not allowed": (HARD_VALUES, {"x": TIGHT, "colour": COLOUR, "y": LABEL}, None),
    "no row": (mixed(0), {"x": NUMBER, "colour": COLOUR, "y": LABEL}, "x double, colour string, y string"),
    "one row": (mixed(1), {"x": NUMBER, "colour": COLOUR, "y": LABEL}, None),
    "a single class": (mixed(200).assign(y="yes"), {"x": NUMBER, "colour": COLOUR, "y": LABEL}, None),
    "a constant column": (mixed(200).assign(x=0.0), {"x": NUMBER, "colour": COLOUR, "y": LABEL}, None),
    "a column of nulls": (
        mixed(200).assign(x=None), {"x": NUMBER, "colour": COLOUR, "y": LABEL}, "x double, colour string, y string",
    ),
    "no numeric column": (mixed(200), {"colour": COLOUR, "y": LABEL}, None),
    "no categorical column": (mixed(200), {"x": NUMBER, "y": LABEL}, None),
    "the label alone": (mixed(200), {"y": LABEL}, None),
    "strange names": (
        mixed(200, **{name: np.arange(200.0) % 7 for name in NAMES}),
        {"x": NUMBER, **{name: NUMBER for name in NAMES}, "y": LABEL},
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_passes_through_to_a_valid_release(spark, tmp_path, case):
    frame, columns, schema = CASES[case]
    source = write_delta(spark, frame, tmp_path / "source", schema)
    config = config_of(source, tmp_path / "out", columns=columns, label="y", anonymize={"rows": 50})
    receipt = release(spark, ReleaseConfig.from_dict(config))
    rows = spark.read.format("delta").load(str(tmp_path / "out")).toPandas()
    assert len(rows) == 50
    assert list(rows.columns) == [name for name in frame.columns if name in columns]
    assert set(rows["y"]) <= {"no", "yes"}
    for name in set(columns) - {"y", "colour"}:
        assert rows[name].dropna().between(-10, 10).all()
        assert columns[name].get("nullable") or rows[name].notna().all()
    if "colour" in columns:
        assert set(rows["colour"].dropna()) <= {"red", "blue"}
    assert receipt.privacy.epsilon_spent <= 3.0


def test_mixing_passes_hard_values_too(spark, tmp_path):
    frame, columns, _ = CASES["hard values"]
    source = write_delta(spark, frame, tmp_path / "source")
    config = config_of(
        source, tmp_path / "out", columns=columns, label="y", anonymize={"generator": "mix", "mix_size": 5}
    )
    receipt = release(spark, ReleaseConfig.from_dict(config))
    assert spark.read.format("delta").load(str(tmp_path / "out")).count() == receipt.n_released


def test_every_plain_type_comes_back_as_it_was(spark, tmp_path):
    values = spark.sql(
        "select cast(id % 100 as tinyint) t, cast(id as smallint) s, cast(id as int) i, id l, cast(id / 7 as float) f, "
        "cast(id / 7 as decimal(10,2)) d, id % 2 = 0 b, date'2020-01-01' + cast(id as int) day, "
        "timestamp'2020-01-01 00:00:00' + make_interval(0,0,0,0,cast(id as int)) ts, "
        "cast(id % 3 as int) code, if(id % 2 = 0, 'yes', 'no') y from range(300)"
    )
    values.write.format("delta").save(str(tmp_path / "source"))
    time = {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"}
    whole = {"type": "integer", "lower": 0, "upper": 300}
    columns = {
        "t": {**whole, "upper": 100}, "s": whole, "i": whole, "l": whole, "f": {**TIGHT, "lower": 0, "upper": 50},
        "d": {**TIGHT, "lower": 0, "upper": 50}, "b": {"type": "categorical", "values": [True, False]}, "day": time,
        "ts": {**time, "parts": ["hour", "weekday", "month"]},
        "code": {"type": "categorical", "values": [0, 1, 2]}, "y": LABEL,
    }  # fmt: skip
    release(
        spark, ReleaseConfig.from_dict(config_of(tmp_path / "source", tmp_path / "out", columns=columns, label="y"))
    )
    released = spark.read.format("delta").load(str(tmp_path / "out"))
    assert released.dtypes == values.dtypes
    table = released.toPandas()
    assert table["t"].between(0, 100).all()
    assert set(table["code"]) <= {0, 1, 2}
    assert not table.isna().any().any()
