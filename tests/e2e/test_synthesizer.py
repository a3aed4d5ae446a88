"""A pandas frame in, rows and pairs for scikit-learn out; Spark is started where none is active."""

import datetime as dt
import subprocess
import sys
import textwrap
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from tables import COLUMNS, QUICK, clinic

from threea_spark import Domain, Synthesizer
from threea_spark.errors import ConfigError, SchemaError, SourceError
from threea_spark.source.pandas import arrow_table

TEXT = str(pd.Series(["a"]).dtype)  # object in pandas 2, str in pandas 3
DOMAIN = {"columns": COLUMNS, "label": "died"}
CLAIM = {"epsilon": 3.0, "delta": 1e-5}


@pytest.fixture(scope="module")
def fitted(spark):
    return Synthesizer(**CLAIM, domain=DOMAIN, unit="row", sections=QUICK).fit(clinic())


TYPES = {"age": "bigint", "cost.usd": "double", "ward name": "string", "admitted": "timestamp", "died": "string"}


def test_rows_have_the_domain_s_columns_types_and_bounds(fitted):
    rows = fitted.sample(700)
    assert len(rows) == 700
    assert fitted.model_.types == TYPES
    assert rows.dtypes.astype(str).to_dict() == {
        "age": "int32",  # as in the frame: pandas never infers it
        "cost.usd": "float64",
        "ward name": TEXT,
        "admitted": "datetime64[us, UTC]",
        "died": TEXT,
    }
    assert rows["age"].between(18, 100).all()
    assert set(rows["ward name"].dropna()) <= {"CCU", "MICU", "SICU"}
    assert rows["cost.usd"].isna().any()
    assert fitted.privacy_.epsilon == 3.0


def test_rows_are_those_that_spark_draws(fitted, spark):
    here = fitted.model_.sample_local(9_000, seed=3, where={"age": (30, 60)})
    there = fitted.model_.sample(spark, 9_000, seed=3, where={"age": (30, 60)}).toPandas()
    columns = list(here.columns)
    there["admitted"] = there["admitted"].dt.tz_localize("UTC")  # the session's zone, in which Spark gives moments
    there = there.astype({"admitted": here["admitted"].dtype})
    pd.testing.assert_frame_equal(*[rows.sort_values(columns, ignore_index=True) for rows in (here, there)])
    assert not fitted.model_.sample_local(9_000, seed=4).equals(here)


def test_pairs_train_and_test_a_model_of_scikit_learn(fitted):
    x, y = fitted.model_.sample_xy(3_000, class_shares={"yes": 0.5, "no": 0.5})
    assert list(x.columns) == ["age", "cost.usd", "ward name", "admitted"]
    assert 1_350 < (y == "yes").sum() < 1_650
    model = HistGradientBoostingClassifier(categorical_features="from_dtype").fit(x, y)
    x_real, y_real = fitted.model_.as_xy(clinic(seed=6))
    assert x_real.dtypes.equals(x.dtypes)
    assert model.score(x_real, y_real) > 0.75
    assert model.score(x_real, np.where(y_real == "yes", "no", "yes")) < 0.25


def test_rows_without_a_label_are_left_out_and_missing_columns_named(fitted):
    real = clinic(10)
    real.loc[3, "died"] = None
    x, y = fitted.model_.as_xy(real)
    assert len(x) == len(y) == 9
    with pytest.raises(SourceError, match="age"):
        fitted.model_.as_xy(real.drop(columns="age"))


def test_labels_may_come_apart_and_units_have_many_rows(spark):
    frame = clinic(900)
    unit = {"column": "patient", "max_rows": 3}
    own = Synthesizer(**CLAIM, domain=Domain.from_dict(DOMAIN), unit=unit, sections={"adapt": {"method": "none"}})
    own.fit(frame.drop(columns="died"), frame["died"])
    assert "patient" in str(own.privacy_)
    assert set(own.sample(200)["died"]) == {"yes", "no"}


def test_it_is_an_estimator_like_others(fitted):
    copy = clone(fitted)
    assert copy.get_params()["epsilon"] == 3.0
    with pytest.raises(ConfigError, match="fit"):
        copy.sample(5)
    with pytest.raises(ConfigError, match="sample\\(spark"):
        fitted.sample(10**9)


@pytest.mark.parametrize(
    ("changes", "frame", "error", "words"),
    [
        ({"epsilon": -1}, clinic(20), ConfigError, "epsilon"),
        ({"sections": {"privacy": {}}}, clinic(20), ConfigError, "privacy"),
        ({}, clinic(20).drop(columns="age"), SchemaError, "'age'"),
        ({"unit": {"column": "who", "max_rows": 1}}, clinic(20), SchemaError, "'who'"),
    ],
)
def test_what_does_not_fit_is_one_error_before_a_row_is_read(spark, changes, frame, error, words):
    with pytest.raises(error, match=words) as caught:
        Synthesizer(**{**CLAIM, "domain": DOMAIN, "unit": "row", **changes}).fit(frame)
    assert "p1" not in str(caught.value)


SEEN = pd.Timestamp("2020-01-31")
PEOPLE = pd.DataFrame({"age": np.arange(500) % 60 + 20, "smokes": np.arange(500) % 3 == 0, "seen": SEEN})
ODD = {
    "unknown": {"age": np.nan, "smokes": True, "seen": SEEN},
    "text": {"age": "secret", "smokes": "secret", "seen": "secret"},
    "decimal": {"age": Decimal("1.23456789"), "smokes": 1.0, "seen": dt.date(2020, 1, 31)},
    "nested": {"age": [1], "smokes": b"secret", "seen": SEEN.tz_localize("Europe/Berlin")},
}


@pytest.fixture(scope="module")
def among_people(spark):
    domain = {
        "task": "none",
        "columns": {
            "age": {"type": "integer", "lower": 0, "upper": 120},
            "smokes": {"type": "categorical", "values": [True, False]},
            "seen": {"type": "timestamp", "lower": "2020-01-01", "upper": "2022-01-01"},
        },
    }

    def fit(*rows):
        people = pd.concat([PEOPLE, *rows], ignore_index=True)
        return Synthesizer(**CLAIM, domain=domain, unit="row").fit(people), people

    return fit


@pytest.fixture(scope="module")
def without(among_people):
    return among_people()


@pytest.mark.parametrize("kind", list(ODD))
def test_one_person_more_changes_no_type_and_is_no_error(among_people, without, kind):
    others, before = without
    everyone, after = among_people(as_row(ODD[kind]))
    assert not after.dtypes.equals(before.dtypes)  # of the frame: so its types must not decide
    assert everyone.model_.types == others.model_.types
    assert list(everyone.model_.types.values()) == ["bigint", "string", "timestamp"]
    assert everyone.sample(200).dtypes.equals(others.sample(200).dtypes)


def as_row(cells):
    return pd.DataFrame({name: pd.Series([cell]) for name, cell in cells.items()})


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns"])
def test_moments_reach_spark_as_they_are_whatever_its_session_s_zone(spark, zone):
    texts = ["0001-01-01T00:00:00Z", "1890-01-01T00:00:00Z", "2020-10-25T00:30:00.000001Z", "9999-12-31T23:59:59Z"]
    domain = Domain.from_dict({"task": "none", "columns": {"seen": COLUMNS["admitted"]}})
    table = arrow_table(pd.DataFrame({"seen": texts}), domain, None)
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        found = spark.createDataFrame(table).selectExpr("unix_micros(seen) AS micros").toPandas()["micros"]
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)
    assert sorted(found) == sorted(table["seen"].cast("int64").to_pylist())


@pytest.mark.slow
def test_a_script_without_a_session_starts_spark_itself(tmp_path):
    script = textwrap.dedent("""
        import pandas as pd
        from threea_spark import Synthesizer
        frame = pd.DataFrame({"x": [0.1, 0.5, 0.9] * 300, "y": ["a", "b", "b"] * 300})
        columns = {"x": {"type": "float", "lower": 0, "upper": 1}, "y": {"type": "categorical", "values": ["a", "b"]}}
        made = Synthesizer(epsilon=2.0, delta=1e-5, unit="row", domain={"columns": columns, "label": "y"}).fit(frame)
        assert made.sample(50)["x"].between(0, 1).all()
    """)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
