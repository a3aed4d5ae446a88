"""Every mode of a release, whole, on rows in memory; tests/e2e runs the usual ones on Spark."""

import numpy as np
import pandas as pd
import pytest
from in_memory import run_in_memory
from tables import COLUMNS, clinic, config_of

FRAME = clinic()


def run(frame=FRAME, **overrides):
    fitted, statement, rows = run_in_memory(frame, config_of("source", "target", **overrides))
    assert statement.epsilon_spent <= statement.epsilon == overrides.get("privacy", {}).get("epsilon", 3.0)
    return fitted, statement, rows


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal", "full"])
def test_more_components_of_each_covariance(covariance):
    approximate = {"components": 3, "covariance": covariance, "iterations": 2, "min_cluster_size": 20}
    fitted, _, rows = run(approximate=approximate)
    assert fitted.recipe.values["components_per_class"] == 3
    assert len(rows) > 1_000
    assert rows["age"].between(18, 100).all()


@pytest.mark.parametrize("adapt", [{"method": "none"}, {"support_size": 8, "steps": 2}])
def test_components_of_all_classes_are_labelled_too(adapt):
    approximate = {"components": 2, "per_class": False, "iterations": 2, "min_cluster_size": 20}
    _, _, rows = run(approximate=approximate, adapt=adapt)
    assert 0.2 < (rows["died"] == "yes").mean() < 0.8
    assert rows[rows["died"] == "yes"]["age"].mean() > rows[rows["died"] == "no"]["age"].mean() + 10


def test_random_mixing_has_one_cluster():
    fitted, _, rows = run(anonymize={"generator": "random", "mix_size": 5})
    assert fitted.recipe.values["components_per_class"] == 1
    assert len(rows) == fitted.outcome.mixer.n_groups > 100


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal", "full"])
def test_mixed_rows_stay_within_bounds_and_near_the_means(covariance):
    _, _, rows = run(
        anonymize={"generator": "mix", "mix_size": 5}, approximate={"covariance": covariance}, privacy={"epsilon": 9.0}
    )
    assert len(rows) > 100
    assert rows["age"].between(18, 100).all()
    assert rows["age"].mean() == pytest.approx(FRAME["age"].mean(), abs=8)


def test_conditional_mode_says_what_is_not_covered():
    fitted, statement, _ = run(
        privacy={"accounting": "conditional"}, anonymize={"generator": "mix", "mix_size": 10},
        approximate={"components": 4, "min_cluster_size": 50}, adapt={"targets": "plain", "steps": 2},
    )  # fmt: skip
    assert statement.accounting == "conditional"
    assert any("sqrt(p)" in text for text in fitted.advice)
    assert min(np.bincount(fitted.outcome.mixer.mixture.class_of)) >= 1
    assert (fitted.outcome.mixer.mixture.sizes >= 50).all()


def test_replace_one_and_a_sampled_adaptation_are_priced_as_one_sample():
    content = config_of("source", "target", privacy={"relation": "replace_one"})
    content["source"]["rows"] = 1_500
    content["adapt"] = {"support_size": 8, "steps": 2, "rows": "sample", "max_rows": 300}
    _, statement, _ = run_in_memory(FRAME, content)
    adapt = next(stage for stage in statement.stages if stage.stage == "adapt")
    assert adapt.sampling_probability == pytest.approx(0.2)


def test_numbers_coded_by_moments_keep_bounds():
    _, _, rows = run(encode={"numeric": "affine"})
    assert rows["age"].between(18, 100).all()
    assert 40 < rows["age"].mean() < 75


@pytest.mark.parametrize("task", ["regression", "none"])
def test_other_tasks(task):
    _, _, rows = run(task=task, label="age" if task == "regression" else None)
    assert rows["age"].between(18, 100).all()
    assert rows["age"].nunique() > 20


@pytest.mark.parametrize("adapt", [{"method": "none"}, {"targets": "released", "support_size": 8, "steps": 2}])
def test_adaptation_on_released_rows_or_none_costs_nothing(adapt):
    _, statement, _ = run(adapt=adapt)
    assert "adapt" not in [stage.stage for stage in statement.stages]


def test_a_share_of_anonymize_counts_the_components_again():
    shares = {"encode": 0.1, "approximate": 0.3, "adapt": 0.3, "anonymize": 0.3}
    fitted, statement, _ = run(privacy={"shares": shares})
    assert fitted.recipe.counts_again
    assert next(stage for stage in statement.stages if stage.stage == "anonymize").mechanisms == 1


def test_open_categories_are_found_and_rare_ones_stay_hidden():
    frame = FRAME.copy()
    frame.loc[3, "ward name"] = "secret-ward-of-one"
    columns = {**COLUMNS, "ward name": {"type": "categorical", "values": "open", "nullable": True}}
    _, _, rows = run(frame, columns=columns)
    assert {"CCU", "MICU"} <= set(rows["ward name"].dropna()) <= {"CCU", "MICU", "SICU", "other"}


@pytest.mark.parametrize("min_units", [2, 200])
def test_a_name_of_fewer_units_than_the_domain_asks_for_stays_hidden_at_any_epsilon(min_units):
    frame = clinic(900)
    frame["ward name"] = ["few"] * 100 + ["many"] * 800
    ward = {"type": "categorical", "values": "open", "min_units": min_units}
    columns = {"ward name": ward, "died": COLUMNS["died"]}
    _, _, rows = run(frame, columns=columns, privacy={"epsilon": 100.0})
    found = set(rows["ward name"])
    assert "many" in found
    assert ("few" in found) == (min_units == 2)


def test_rows_of_dropped_clusters_are_mixed_into_those_that_stay():
    fitted, _, rows = run(
        clinic(3_000), privacy={"epsilon": 10.0}, anonymize={"generator": "mix", "mix_size": 20},
        approximate={"components": 8, "min_cluster_size": 400},
    )  # fmt: skip
    assert fitted.recipe.values["components_per_class"] == 8  # of 16 clusters at most 7 can hold 400 rows
    assert len(rows) * 20 == pytest.approx(3_000, rel=0.15)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_covariances_of_wide_tables_stay_within_bounds(covariance):
    frame = pd.DataFrame(np.random.default_rng(2).normal(size=(600, 60)), columns=[f"x{i}" for i in range(60)])
    columns = {name: {"type": "float", "lower": -5, "upper": 5} for name in frame}
    approximate = {"covariance": covariance, "components": 4}
    _, _, rows = run(
        frame, columns=columns, label=None, task="none", anonymize={"generator": "mix"}, approximate=approximate
    )
    assert len(rows) > 10
    assert rows.stack().between(-5, 5).all()
