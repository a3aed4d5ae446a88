"""What `threea init` writes from a schema alone: a release that runs, or one sentence that says what to type."""

import numpy as np
import pandas as pd
import pytest
import yaml

from threea_spark import ReleaseConfig, fit
from threea_spark.cli.init import in_words
from threea_spark.encode.bounds import bounds_layout
from threea_spark.encode.fit import value_query
from threea_spark.encode.found import finding_bounds, finding_values
from threea_spark.encode.misfits import stands_out
from threea_spark.encode.outline import encode_prices
from threea_spark.errors import ConfigError
from threea_spark.planned import make_plan
from threea_spark.privacy.large_delta import one_in_units, proposed_delta
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.terms import Stage
from threea_spark.source.first_release import Choices, first_release_text

SCHEMA = {
    "patient_id": "bigint", "age": "int", "cost": "decimal(10,2)", "admitted": "timestamp", "ward": "varchar(9)",
    "urgent": "boolean", "note": "string", "tags": "array<string>", "died": "string", "grade": "int",
}  # fmt: skip
PLAIN = {
    "label": "died", "label_values": ("no", "yes"), "task": None, "unit": "patient_id", "max_rows": 1, "rows": None,
    "epsilon": 1.0, "delta": None, "target": None, "ledger": None,
}  # fmt: skip


def drafted(found=SCHEMA, place="./stays", **changes):
    return first_release_text(place, found, Choices(**{**PLAIN, **changes}))


def config_of(text):
    return ReleaseConfig.from_dict(yaml.safe_load(text))


def test_it_is_a_configuration_that_leaves_nothing_open_to_a_person():
    text = drafted()
    assert "TODO" not in text
    config = config_of(text)
    assert list(config.domain.columns) == ["age", "cost", "admitted", "ward", "urgent", "died", "grade"]
    assert set(config.domain.columns_without_bounds) == {"age", "cost", "admitted", "grade"}
    assert set(config.domain.open_columns) == {"ward"}
    assert config.domain.classes == ("no", "yes")
    assert (config.source.path, config.target.path) == ("./stays", "./stays_released")
    unit = config.privacy.privacy_unit
    assert (unit.column, unit.max_rows, config.privacy.epsilon, config.privacy.delta) == ("patient_id", 1, 1.0, 1e-6)


def test_what_is_left_out_is_a_comment_with_its_reason():
    lines = drafted().splitlines()
    assert '    # "patient_id" identifies people: never released' in lines
    assert any(line.startswith('    # "note": {') and line.endswith("looks like free text: left out") for line in lines)
    assert '    # "tags": array<string> cannot be released; store it as plain columns' in lines


def test_what_the_owner_says_is_written():
    config = config_of(
        drafted(place="main.ehr.stays", unit="row", rows=20_000_000, delta=None, target="s3://b/out", ledger="main.l")
    )
    assert (config.source.table, config.source.rows, config.target.path) == ("main.ehr.stays", 20_000_000, "s3://b/out")
    assert config.privacy.ledger is not None
    assert (config.privacy.ledger.table, config.privacy.unit, config.privacy.delta) == ("main.l", "row", 5e-9)


@pytest.mark.parametrize("rows", [1, 99_999, 100_001, 3_000_000, 7 * 10**9, 10**12])
def test_a_proposed_delta_is_far_below_one_in_as_many_people_as_there_are_rows(rows):
    assert 0.0 < proposed_delta(rows) <= min(1e-6, 0.1 * one_in_units(rows, 1))
    assert proposed_delta(rows) >= min(1e-6, 0.05 * one_in_units(rows, 1))


@pytest.mark.parametrize(
    ("changes", "task"),
    [
        ({"label": "urgent", "label_values": ()}, "classification"),
        ({"label": "grade", "label_values": ("0", "1")}, "classification"),
        ({"label": "grade", "label_values": (), "task": "regression"}, "regression"),
        ({"label": "cost", "label_values": ()}, "regression"),
        ({"label": None, "label_values": (), "task": "none"}, "none"),
    ],
)
def test_the_task_follows_from_the_label(changes, task):
    domain = config_of(drafted(**changes)).domain
    assert (domain.label, domain.task) == (changes["label"], task)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label_values": ()}, "--label-values: the values of 'died' must be public"),
        ({"label": "grade", "label_values": ()}, "add --label-values 0,1"),
        ({"found": {**SCHEMA, "died": "decimal(38,0)"}, "label_values": ()}, "add --label-values 0,1"),
        ({"label": "tags"}, "'tags' is array<string>, which cannot be released"),
        ({"label": "dyed"}, "--label: 'dyed' is not a column of the table; did you mean 'died'?"),
        ({"label": "outcome"}, "name the column that models predict; the columns are patient_id, age, cost"),
        ({"unit": "patientid"}, "--unit: 'patientid' is not a column of the table; did you mean 'patient_id'?"),
        ({"label": "patient_id"}, "is also the unit"),
        ({"label": "cost", "task": "regression"}, "--label-values: a number that is predicted"),
    ],
)
def test_what_does_not_fit_is_one_sentence_that_says_what_to_type(changes, words):
    with pytest.raises(ConfigError) as caught:
        drafted(**changes)
    assert words in str(caught.value)


def test_a_table_of_identifiers_alone_is_refused():
    with pytest.raises(ConfigError, match="no column is left"):
        drafted({"patient_id": "bigint", "email": "string"}, label=None, label_values=(), task="none")


@pytest.mark.parametrize("name", ["new\nline", 'a"b\\c', "x: #y", "fan\u2028cy"])
def test_any_column_name_is_read_back_as_it_is(tmp_path, name):
    path = tmp_path / "release.yaml"
    path.write_text(drafted({name: "double", "died": "string", "unit id": "string"}, f"./{name}", unit="unit id"))
    assert list(ReleaseConfig.from_yaml(path).domain.columns) == [name, "died"]


def test_what_finding_needs_is_what_the_search_goes_by():
    config = config_of(drafted())
    plan = make_plan(config)
    bounds, values = finding_bounds(config, plan), finding_values(config, plan)
    assert (bounds.n_columns, values.n_columns) == (4, 1)
    assert (bounds.share, values.share) == (pytest.approx(0.15 * 0.05, rel=1e-6), pytest.approx(0.3 * 0.05, rel=1e-6))
    layout = bounds_layout(config.domain)
    stddev = bounds.least_rows / stands_out(layout.size)
    for times, is_clear in ((0.99, False), (1.01, True)):
        counts = np.zeros(layout.size)
        counts[np.cumsum([0, *(own.n_bins for own in layout.columns[:-1])])] = times * bounds.least_rows
        assert {own.is_clear for own in layout.found(counts, stddev, config.domain).values()} == {is_clear}
    meter = PrivacyMeter(plan, KeyedNoise(new_key()), "r")
    price = encode_prices(config, plan.mu_of(Stage.ENCODE)).values
    assert values.least_rows == pytest.approx(meter.least_count(value_query("ward", config.domain), price))


def test_the_summary_warns_of_few_rows_only(tmp_path):
    for rows, warns in ((None, False), (500, True), (1_000_000, False)):
        words = in_words(tmp_path / "r.yaml", config_of(drafted(rows=rows)), has_default_delta=rows is None)
        assert ("warning  about 500 rows are few" in words) == warns
        assert ("more than 1,000,000 people" in words) == (rows is None)
    declared = config_of(drafted({"urgent": "boolean", "died": "string", "patient_id": "int"}))
    assert "bounds" not in in_words(tmp_path / "r.yaml", declared, has_default_delta=True)


def test_rows_follow_the_table_though_nothing_was_declared():
    rng = np.random.default_rng(5)
    n = 8_000
    age = rng.integers(20, 90, n)
    ward = rng.choice(["north", "south"], n, p=[0.7, 0.3])
    died = np.where(rng.random(n) < np.where(age > 60, 0.8, 0.1), "yes", "no")
    rows = pd.DataFrame({"age": age, "ward": ward, "died": died})
    text = drafted({"age": "int", "ward": "string", "died": "string"}, unit="row", epsilon=8.0)
    config = ReleaseConfig.from_dict({**yaml.safe_load(text), "adapt": {"method": "none"}})
    released = fit(rows, config).sample_local(4_000)
    assert released["age"].between(16, 128).mean() > 0.97  # the next power of two may be taken with them
    assert released["ward"].isin(["north", "south"]).mean() > 0.97  # `other` and null hold noise
    old = released["age"] > 60
    shares = [(released["died"] == "yes")[own].mean() for own in (old, ~old)]
    assert shares[0] - shares[1] > 0.5  # of .7 in the table; .0 if columns were released one by one
