"""The label's probability beside each drawn row: what the model knows, under a name that nothing else has."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from small_tables import mixed_encoding
from test_fit_in_memory import DOMAIN, config, frame
from test_sample import laws_of, sampler_of

from threea_spark import ReleaseConfig, ReleaseModel, Synthesizer, fit
from threea_spark.config.label_columns import names_for_label, names_taken
from threea_spark.errors import ConfigError, SchemaError
from threea_spark.model.label_columns import class_probabilities, draw_labelled_rows
from threea_spark.model.labels import KernelInput, LabelFunction
from threea_spark.model.ntk import Architecture
from threea_spark.model.sampler import draw_rows

ENCODING = mixed_encoding()
ASKED = {"anonymize": {"label_probability": True}}


@pytest.fixture(scope="module")
def fitted():
    return fit(frame(), config(**ASKED))


def log_loss(chances, classes):
    return float(-np.log(chances[np.arange(len(classes)), classes]).mean())


def is_calibrated(chance, outcome, n_groups=8, slack=0.0):
    """Whether rows of about equal probability have it as the share of outcomes, up to 5 standard errors and slack."""
    groups = np.array_split(np.argsort(chance, kind="stable"), n_groups)
    errors = [abs(outcome[own].mean() - chance[own].mean()) for own in groups]
    chances = [5.0 * np.sqrt(max(chance[own].mean() * (1.0 - chance[own].mean()), 1e-3) / len(own)) for own in groups]
    return all(error < most + slack for error, most in zip(errors, chances, strict=True))


def test_a_label_function_draws_labels_by_the_probability_it_states():
    rng = np.random.default_rng(0)
    n_cells = ENCODING.n_cells
    additive = rng.normal(0.0, 1.5, (n_cells, 2))
    labels = LabelFunction(
        np.zeros(2), additive, KernelInput(np.zeros(n_cells)), np.zeros((0, 4)), np.zeros((0, 2)), Architecture()
    )
    sampler = sampler_of(labels=labels)
    columns = draw_labelled_rows(sampler, ENCODING, "died", 40_000, np.random.default_rng(1))
    chance, died = columns["died_probability"].values, columns["died"].levels == 1
    assert is_calibrated(chance, died)
    assert not is_calibrated(0.5 + 0.8 * (chance - 0.5), died)


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_without_a_label_function_bayes_rule_knows_the_component(rho):
    correlation = np.eye(4) + rho * (np.ones((4, 4)) - np.eye(4))
    of = {"weights": (0.3, 0.5, 0.2), "class_of": (0, 1, 1), "laws": laws_of(3) ** 2.0}
    sampler, unbound = sampler_of(correlation, **of), sampler_of(**of)
    cells, classes = sampler.draw_cells(ENCODING, 40_000, np.random.default_rng(2))
    chances = class_probabilities(sampler, ENCODING, cells)
    assert chances.sum(axis=1) == pytest.approx(1.0)
    assert is_calibrated(chances[:, 1], classes == 1, slack=0.03)  # the copula is taken at the middle of a cell
    shares = np.tile(np.bincount(classes) / len(classes), (len(classes), 1))
    assert log_loss(chances, classes) < log_loss(shares, classes) - 0.02
    as_if_unbound = class_probabilities(unbound, ENCODING, cells)
    assert rho == 0.0 or log_loss(chances, classes) < log_loss(as_if_unbound, classes) - 0.01


def test_the_rows_are_those_that_are_drawn_without_it():
    plain, more = (
        draw(sampler_of(), ENCODING, "died", 500, np.random.default_rng(3)) for draw in (draw_rows, draw_labelled_rows)
    )
    assert [*more] == [*plain, "died_probability"]
    assert all(np.array_equal(more[name].cells, plain[name].cells, equal_nan=True) for name in plain)


def test_a_model_states_it_for_every_row_it_draws_also_after_it_was_saved(fitted, tmp_path):
    rows = fitted.sample_local(20_000)
    assert list(rows) == [*DOMAIN["columns"], "sick_probability"]
    assert rows["sick_probability"].between(0.0, 1.0).all()
    assert is_calibrated(rows["sick_probability"].to_numpy(), (rows["sick"] == "1").to_numpy())
    fitted.save(tmp_path / "model")
    pd.testing.assert_frame_equal(ReleaseModel.load(tmp_path / "model").sample_local(20_000), rows)
    plain = fit(frame(500), config(adapt={"method": "none"}))
    assert list(plain.sample_local(10)) == list(DOMAIN["columns"])


def test_conditions_choose_rows_and_leave_them_their_probability(fitted):
    rows = fitted.sample_local(3_000, where={"age": (60, 80)}, class_shares={"0": 0.5, "1": 0.5})
    assert rows["age"].between(60, 80).all()
    by_class = rows.groupby("sick")["sick_probability"].mean()
    assert by_class["1"] > by_class["0"]
    assert by_class["0"] > 0.5  # of old people that are well: the model would have thought them sick


def test_features_do_not_hold_it(fitted):
    rows = fitted.sample_local(200)
    x, _ = fitted.as_xy(rows)
    assert list(x) == [name for name in DOMAIN["columns"] if name != "sick"]


def test_each_of_many_classes_has_its_own():
    domain = {**DOMAIN, "label": "city", "columns": {**DOMAIN["columns"]}}
    domain["columns"]["city"] = {"type": "categorical", "values": ["Ayr", "Bath", "Cork"], "nullable": True}
    given = config(**ASKED, adapt={"method": "none"}).model_dump(mode="json", exclude={"domain"})
    rows = frame().assign(city=lambda rows: rows["city"].where(rows["age"] < 70))
    drawn = fit(rows, ReleaseConfig.from_dict({**given, "domain": domain})).sample_local(5_000)
    chances = drawn[[f"city_probability_{name}" for name in ("Ayr", "Bath", "Cork")]]
    left = 1.0 - chances.sum(axis=1)
    assert left.between(-1e-9, 1.0).all()
    assert left[drawn["age"] > 72].mean() > 0.7 > 0.3 > left[drawn["age"] < 65].mean()  # what is left is null's


def test_a_number_has_its_expected_value():
    domain = {**DOMAIN, "label": "dose", "task": "regression"}
    given = config(**ASKED, adapt={"method": "none"}).model_dump(mode="json", exclude={"domain"})
    rows = frame().assign(dose=lambda rows: rows["age"].fillna(50).astype(float) / 10.0)
    drawn = fit(rows, ReleaseConfig.from_dict({**given, "domain": domain})).sample_local(10_000)
    expected, dose = drawn["dose_expected"], drawn["dose"]
    assert expected.between(0.0, 10.0).all()
    assert expected.mean() == pytest.approx(dose.mean(), abs=0.1)
    assert np.corrcoef(expected, drawn["age"].fillna(50))[0, 1] > 0.8
    assert np.square(dose - expected).mean() < 0.6 * dose.var()


# names


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        ((), ("y_expected",)),
        (("no", "yes"), ("y_probability",)),
        (("a", "b", "c"), ("y_probability_a", "y_probability_b", "y_probability_c")),
        (("only",), ("y_probability_only",)),
    ],
)
def test_names_follow_the_classes(classes, names):
    assert names_for_label("y", classes) == names


def test_names_are_compared_as_spark_does():
    assert names_taken(["Sick_Probability"], ["age", "sick_probability"]) == ["Sick_Probability"]
    assert names_taken(["y_probability_a", "y_probability_A"], []) == ["y_probability_A"]
    assert names_taken(["sick_probability"], ["sick"]) == []


def refused(**sections):
    with pytest.raises(ConfigError) as caught:
        config(**ASKED, **sections)
    return str(caught.value)


def test_a_configuration_that_cannot_state_it_is_refused():
    domain = {**DOMAIN, "columns": {**DOMAIN["columns"], "Sick_probability": DOMAIN["columns"]["dose"]}}
    given = config().model_dump(mode="json", exclude={"domain", "anonymize"})
    make = ReleaseConfig.from_dict
    with pytest.raises(ConfigError, match="two columns 'sick_probability'"):
        make({**given, **ASKED, "domain": domain})
    with pytest.raises(ConfigError, match="label_probability: needs a label"):
        make({**given, **ASKED, "domain": {"task": "none", "columns": DOMAIN["columns"]}})
    with pytest.raises(ConfigError, match="generator: sample"):
        make({**given, "anonymize": {"label_probability": True, "generator": "mix"}, "domain": DOMAIN})
    assert "two columns" in refused(unit={"column": "sick_probability", "max_rows": 2})


def test_a_column_of_the_source_by_that_name_is_refused_before_a_row_is_read():
    rows = frame(300).assign(sick_Probability=0.5)
    with pytest.raises(SchemaError, match=r"sick_probability.*rename"):
        fit(rows, config(**ASKED))
    with pytest.raises(SchemaError, match=r"sick_probability.*rename"):
        Synthesizer(epsilon=1.0, delta=1e-6, domain=DOMAIN, unit="row", sections=ASKED).fit(rows)
    fit(rows, config(adapt={"method": "none"}))


def test_a_configuration_without_it_keeps_its_digest():
    plain = {"anonymize": {"generator": "sample"}}
    assert config(**plain).digest == config(anonymize={"generator": "sample", "label_probability": False}).digest
    assert config(**plain).digest != config(**ASKED).digest


# the worked example


def surgery(n_rows, seed):
    """One in twelve dies, by age, dose and ward."""
    rng = np.random.default_rng(seed)
    age, dose, pulse = rng.normal(60.0, 12.0, n_rows), rng.exponential(1.0, n_rows), rng.normal(70.0, 10.0, n_rows)
    ward = rng.choice(["a", "b", "c"], n_rows)
    logit = -4.2 + 0.06 * (age - 60.0) + 0.7 * dose + np.where(ward == "c", 1.0, 0.0)
    died = np.where(rng.random(n_rows) < 1.0 / (1.0 + np.exp(-logit)), "yes", "no")
    return pd.DataFrame({"age": age, "dose": dose, "pulse": pulse, "ward": ward, "died": died})


def test_the_example_of_the_docs_runs_and_its_models_beat_one_of_drawn_labels():
    page = (Path(__file__).resolve().parents[2] / "docs" / "tuning.md").read_text()
    example, weighted = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names = {
        "domain": {
            "label": "died",
            "columns": {
                "age": {"type": "float", "lower": 0, "upper": 120},
                "dose": {"type": "float", "lower": 0, "upper": 20},
                "pulse": {"type": "float", "lower": 0, "upper": 200},
                "ward": {"type": "categorical", "values": ["a", "b", "c"]},
                "died": {"type": "categorical", "values": ["no", "yes"]},
            },
        },
        "private_rows": surgery(6_000, seed=1),
        "real_rows": surgery(6_000, seed=2),
    }
    exec(example + weighted, names)
    naive = names["lightgbm"].LGBMClassifier().fit(names["features"], names["labels"])
    real, truth = names["real_features"], names["real_labels"] == "yes"
    by_chance, by_weight, by_label = (
        roc_auc_score(truth, predicted)
        for predicted in (
            names["predicted"],
            names["classifier"].predict_proba(real)[:, 1],
            naive.predict_proba(real)[:, 1],
        )
    )
    assert min(by_chance, by_weight) > by_label + 0.01
