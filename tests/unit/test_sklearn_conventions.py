"""`Synthesizer` keeps scikit-learn's conventions, by its own checks, and models of scikit-learn take its rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import exceptions
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted
from test_fit_in_memory import DOMAIN, frame

from threea_spark import ReleaseModel, Synthesizer
from threea_spark.errors import ConfigError, ModelError, SchemaError, ThreeAError

PLAIN = {"adapt": {"method": "none"}}
ONE_NUMBER = {"task": "none", "columns": {"x0": {"type": "float", "lower": -10, "upper": 10}}}
NOT_HELD = {
    "check_estimators_empty_data_messages": "an empty table is a neighbour of one with a row: it may not be told by an "
    "error",
}
SKIPPED = {"check_pipeline_consistency", "check_array_api_input"}  # by scikit-learn: noise has no seed; no array API
FITS = {
    "check_dict_unchanged", "check_dont_overwrite_parameters", "check_dtype_object", "check_estimators_dtypes",
    "check_estimators_fit_returns_self", "check_estimators_overwrite_params", "check_f_contiguous_array_estimator",
    "check_fit2d_1feature", "check_fit2d_predict1d", "check_fit_idempotent", "check_fit_score_takes_y",
    "check_n_features_in_after_fitting", "check_positive_only_tag_during_fit", "check_readonly_memmap_input",
}  # fmt: skip
"""Checks that fit once or more and find little that the others do not; all of them are run by `-m slow`."""


def plain(**changes):
    return Synthesizer(
        **{"epsilon": 1.0, "delta": 1e-6, "unit": "row", "domain": ONE_NUMBER, "sections": PLAIN} | changes
    )


def generic():
    checks = getattr(estimator_checks, "estimator_checks_generator", None)  # since scikit-learn 1.6
    for _, check in checks(plain()) if checks else ():
        name = getattr(check, "func", check).__name__
        if name not in NOT_HELD and name not in SKIPPED:
            yield pytest.param(check, id=name, marks=[pytest.mark.slow] if name in FITS else [])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", list(generic()))
def test_a_generic_check_of_scikit_learn_holds(check):
    check(plain())


def test_no_number_of_rows_is_an_error():
    """The one generic check that cannot hold, and why: `NOT_HELD`."""
    assert len(plain().fit(np.empty((0, 1))).sample(5)) == 5


@pytest.fixture(scope="module")
def people():
    rows = frame(2_500).drop(columns="who")
    rows["seen"] = rows["seen"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    rows["ward"] = pd.Categorical(rows["ward"], categories=["south", "north"], ordered=True)
    return rows.astype({"sick": "int64", "city": "string"})


@pytest.fixture(scope="module")
def fitted(people):
    return plain(epsilon=8.0, domain=DOMAIN).fit(people.drop(columns="sick"), people["sick"])


def test_what_fit_learns_of_x_has_scikit_learn_s_names(fitted, people):
    check_is_fitted(fitted)
    assert fitted.n_features_in_ == 5
    assert fitted.feature_names_in_.tolist() == list(people.columns[:-1])
    assert fitted.get_feature_names_out().tolist() == list(people.columns) == list(fitted.sample(3).columns)


def test_before_fit_the_error_is_scikit_learn_s_and_ours(fitted):
    for use in (lambda one: one.sample(5), lambda one: one.privacy_, lambda one: one.save("nowhere")):
        for kind in (exceptions.NotFittedError, ConfigError):
            with pytest.raises(kind, match="not fitted yet; call fit"):
                use(clone(fitted))


def test_a_saved_estimator_draws_the_same_rows_with_the_same_dtypes(fitted, tmp_path):
    fitted.save(tmp_path / "own")
    loaded = Synthesizer.load(tmp_path / "own")
    drawn = fitted.sample(300, seed=4)
    pd.testing.assert_frame_equal(loaded.sample(300, seed=4), drawn)
    assert drawn.dtypes.astype(str).to_dict() | {"sick": "", "seen": ""} == {
        "age": "Int64", "dose": "float64", "ward": "category", "city": "string", "seen": "", "sick": "",
    }  # fmt: skip
    assert drawn["ward"].cat.ordered
    assert drawn["ward"].cat.categories.tolist() == ["south", "north"]
    assert str(drawn["seen"].dt.tz) == "Europe/Berlin"
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(fitted)).sample(300, seed=4), drawn)
    assert loaded.feature_names_in_.tolist() == fitted.feature_names_in_.tolist()
    assert loaded.get_params()["epsilon"] == 8.0
    assert ReleaseModel.load(tmp_path / "own").privacy == fitted.privacy_
    with pytest.raises(ModelError, match="not empty"):
        fitted.save(tmp_path / "own")
    (tmp_path / "own" / "synthesizer.json").unlink()
    with pytest.raises(ModelError, match="not a saved Synthesizer"):
        Synthesizer.load(tmp_path / "own")


def test_labels_that_are_numbers_are_saved_as_numbers(tmp_path):
    rows = pd.DataFrame({0: [0.5] * 50})
    domain = {"task": "none", "columns": {"0": {"type": "float", "lower": 0, "upper": 1}}}
    plain(domain=domain).fit(rows).save(tmp_path)
    assert Synthesizer.load(tmp_path).sample(3).columns.tolist() == [0]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros((9, 3)), "called x0 to x2, but the domain names 'age'.*pass a pandas frame"),
        (sparse.csr_matrix((9, 3)), "sparse data is not supported"),
        (np.zeros(9), "Expected 2D array, got 1D array"),
        (np.zeros((9, 1), dtype=complex), "Complex data not supported"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line_that_is_a_value_error_too(rows, words):
    for kind in (ValueError, SchemaError):
        with pytest.raises(kind, match=words) as caught:
            plain(domain=DOMAIN).fit(rows)
    assert isinstance(caught.value, ThreeAError)


def test_y_comes_in_the_order_of_its_rows_and_only_where_x_lacks_it(people):
    x = people.drop(columns="sick")
    own = plain(domain=DOMAIN)
    with pytest.raises(ConfigError, match="X has a column 'sick' too"):
        own.fit(people, people["sick"])
    with pytest.raises(ConfigError, match="'dose', which is not the domain's label 'sick'"):
        own.fit(x, people["dose"])
    with pytest.raises(ValueError, match="one value for each row"):
        own.fit(x, people["sick"].iloc[1:])
    shuffled = people["sick"].set_axis(people.index[::-1])  # an index means nothing, as in scikit-learn
    rows = plain(epsilon=20.0, domain=DOMAIN).fit(x, shuffled).sample(3_000)
    assert rows.loc[rows.age > 65, "sick"].eq("1").mean() > 0.8


def test_it_ends_a_pipeline(people):
    line = make_pipeline(FunctionTransformer(lambda rows: rows.drop(columns="dose")), plain(domain=without("dose")))
    assert "dose" not in line.fit(people)[-1].sample(3).columns


def without(name):
    return DOMAIN | {"columns": {own: rule for own, rule in DOMAIN["columns"].items() if own != name}}


@pytest.mark.parametrize("model", [LogisticRegression(), RandomForestClassifier(50, random_state=0)], ids=str)
def test_models_that_take_numbers_alone_take_encoded_pairs(fitted, people, model):
    x, y = fitted.model_.sample_xy(2_000, encoded=True)
    assert {str(dtype) for dtype in x.dtypes} == {"float64"}
    assert x.to_numpy().min() == 0.0
    assert x.to_numpy().max() == 1.0
    assert y.dtype == np.int64
    x_real, y_real = fitted.model_.as_xy(people, encoded=True)
    assert x_real.columns.equals(x.columns)
    assert x_real["age is null"].sum() == people["age"].isna().sum()
    assert x_real.loc[people["ward"] == "north", "ward=north"].eq(1.0).all()
    assert model.fit(x, y).score(x_real, y_real) > 0.75 > 0.25 > model.score(x_real, 1 - y_real)
    with pytest.raises(ValueError, match="could not convert string to float"):
        clone(model).fit(*fitted.model_.sample_xy(2_000))  # why `encoded` is there


def test_classes_that_are_numbers_may_be_asked_for_as_numbers(fitted):
    _, y = fitted.model_.sample_xy(2_000, class_shares={0: 0.8, 1: 0.2})
    assert y.dtype == np.int64
    assert 300 < (y == 1).sum() < 500
    assert fitted.sample(50, where={"sick": 1})["sick"].eq("1").all()


def test_a_value_that_nobody_has_is_named_with_the_one_that_was_meant(fitted):
    for where, words in (
        ({"ward": "North"}, "no category 'North'; did you mean 'north'"),
        ({"city": "bath"}, "no category 'bath'; did you mean 'Bath'"),  # of an open column, too
        ({"city": "Derry"}, "no category 'Derry'; choose one of .*Bath"),
    ):
        with pytest.raises(ConfigError, match=words):
            fitted.sample(5, where=where)
