"""Nothing a row holds, and no shape of a table, may stop a release once rows are read."""

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
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


SLOW = {
    "hard values where null is not allowed",
    "a constant column",
    "no categorical column",
    "one row",
    "a single class",
}


@pytest.mark.parametrize(
    "case", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in CASES]
)
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


N_CLASSES, N_NUMBERS, N_TELLING = 12, 120, 50
N_ROWS = 640
"""Below the 807 rows from which this table has histograms, by ten times the noise on the number of rows."""
KINDS = ["red", "green", "blue"]


def wide_rows(n_rows, seed):
    """Few rows of many columns: fifty numbers tell twelve classes apart, five categories stand beside them."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(11).normal(size=(N_CLASSES, N_TELLING))
    classes = rng.integers(0, N_CLASSES, n_rows)
    numbers = rng.normal(size=(n_rows, N_NUMBERS))
    numbers[:, :N_TELLING] = 0.7 * numbers[:, :N_TELLING] + centres[classes]
    columns = {f"x{i}": 2.0 * numbers[:, i] for i in range(N_NUMBERS)}
    for i in range(0, N_NUMBERS, 10):
        columns[f"x{i}"] = np.rint(columns[f"x{i}"]).astype("int32")
    for i in range(5, N_NUMBERS, 10):
        columns[f"x{i}"] = np.where(rng.random(n_rows) < 0.2, np.nan, columns[f"x{i}"])
    for i in range(5):
        columns[f"c{i}"] = rng.choice(KINDS, n_rows, p=[0.6, 0.3, 0.1])
    columns["c1"] = np.where(rng.random(n_rows) < 0.3, None, columns["c1"])
    columns["y"] = [f"k{c}" for c in classes]
    return pd.DataFrame(columns)


WIDE_COLUMNS = {
    **{
        f"x{i}": {"type": "integer" if i % 10 == 0 else "float", "lower": -12, "upper": 12, "nullable": i % 10 == 5}
        for i in range(N_NUMBERS)
    },
    **{f"c{i}": {"type": "categorical", "values": KINDS, "nullable": i == 1} for i in range(5)},
    "c2": {"type": "categorical", "values": "open"},
    "y": {"type": "categorical", "values": [f"k{i}" for i in range(N_CLASSES)]},
}


@pytest.fixture(scope="module")
def wide_source(spark, tmp_path_factory):
    return write_delta(spark, wide_rows(N_ROWS, seed=1), tmp_path_factory.mktemp("wide") / "source")


def accuracy(train):
    """Accuracy on fresh real rows of a model trained on `train`."""
    test = wide_rows(1_500, seed=2)
    numbers = [f"x{i}" for i in range(N_NUMBERS)]
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=200))
    return model.fit(train[numbers], train["y"]).score(test[numbers], test["y"])


@pytest.mark.parametrize("method", ["kip", "none"])
def test_few_rows_of_many_columns_teach_a_model(spark, tmp_path, wide_source, method):
    given = {"columns": WIDE_COLUMNS, "label": "y", "privacy": {"epsilon": 10.0}, "adapt": {"method": method}}
    receipt = release(spark, ReleaseConfig.from_dict(config_of(wide_source, tmp_path / "out", **given)))
    released, source = (spark.read.format("delta").load(str(p)) for p in (tmp_path / "out", wide_source))
    assert released.dtypes == source.dtypes
    table = released.toPandas()
    assert len(table) == receipt.n_released == pytest.approx(N_ROWS, abs=100)
    for name, column in WIDE_COLUMNS.items():
        known = table[name].dropna()
        assert column.get("nullable") or len(known) == len(table)
        if name.startswith("x"):
            assert known.between(-12, 12).all()
    assert 0.0 < table["c1"].isna().mean() < 0.7
    assert set(table["c0"]) <= set(KINDS)
    assert set(table["c2"]) <= {*KINDS, "other"}
    assert set(table["y"]) == {f"k{i}" for i in range(N_CLASSES)}
    assert 9.9 <= receipt.privacy.epsilon_spent <= 10.0
    told = [text for text in receipt.diagnostics if "64 of 125 columns tell the classes apart" in text]
    assert len(told) == (method == "kip")
    stages = {stage.stage for stage in receipt.privacy.stages}
    assert stages == {"encode", "approximate", *(["adapt"] if method == "kip" else [])}
    shuffled = table.assign(y=np.random.default_rng(3).permutation(table["y"]))
    assert accuracy(table) > 0.7 > 0.25 > accuracy(shuffled)  # guessing is right once in twelve
