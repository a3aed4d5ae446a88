"""Rules between columns through whole releases in memory: every released row keeps every rule, and none is lost."""

import json

import numpy as np
import pandas as pd
import pytest
from in_memory import run_in_memory
from ruled_tables import COLUMNS, CONTENT, DOMAIN, STATES, broken, config, frame

from threea_spark import ReleaseModel, fit
from threea_spark.errors import ConfigError
from threea_spark.model.store import FORMAT
from threea_spark.publish.receipt import Receipt

DRAWN = {"adapt": {"method": "none"}, "approximate": {"components": 1}}


@pytest.fixture(scope="module")
def source():
    return frame(3_000)


@pytest.fixture(scope="module")
def model(source):
    return fit(source, config())


def test_every_drawn_row_keeps_every_rule_and_the_table_stays_what_it_was(model, source):
    rows = model.sample_local(9_000)
    assert broken(source.assign(id=np.arange(len(source)) + 1)) == {}
    assert broken(rows) == {}
    assert list(rows.columns) == ["id", *COLUMNS]
    for name in ("seen", "end", "sodium", "lab", "q1", "q2", "q3", "pregnant"):
        assert abs(rows[name].isna().mean() - source[name].isna().mean()) < 0.06, name
    assert (rows["city"].map(STATES) == rows["state"]).mean() > 0.95
    stay = (rows["end"] - rows["begin"]).dt.total_seconds() / 86_400
    assert abs(stay.mean() - 4.0) < 0.7
    long = rows["sick"].eq("yes").groupby(stay > 4.5).mean()
    assert long[True] > long[False] + 0.3


def test_without_rules_the_same_rows_break_nearly_all_of_them(source):
    plain = {name: own for name, own in CONTENT.items() if name != "rules"}
    rows = fit(source, config(domain=plain, **DRAWN)).sample_local(2_000)
    assert {"city", "order", "sum", "allowed", "together", "exactly one"} <= set(broken(rows))


@pytest.mark.parametrize(
    "where",
    [{"state": "TX"}, {"city": "Miami"}, {"region": 1}, {"guests": (4, 6)}, {"potassium": (3, 4)}, {"q2": "x"},
     {"end": (1.584e9, 1.594e9)}, {"sex": "M", "sick": "yes"}],
)  # fmt: skip
def test_rows_that_are_asked_for_keep_the_rules_as_well(model, where):
    rows = model.sample_local(400, where=where, class_shares={"no": 0.5, "yes": 0.5} if "sick" not in where else None)
    assert len(rows) == 400
    assert {name: share for name, share in broken(rows).items() if name not in ("city", "state")} == {}
    for name, wanted in where.items():
        cells = rows[name].astype("int64") / 1e6 if DOMAIN.columns[name].is_timestamp else rows[name]
        low, high = wanted if isinstance(wanted, tuple) else (wanted, wanted)
        assert cells.between(low, high).all()


def test_conditions_follow_the_law_of_the_rows(model):
    rows, texan = model.sample_local(20_000), model.sample_local(20_000, where={"state": "TX"})
    own = rows[rows["state"] == "TX"]
    assert abs(own["city"].eq("Austin").mean() - texan["city"].eq("Austin").mean()) < 0.04
    assert abs(own["sodium"].isna().mean() - texan["sodium"].isna().mean()) < 0.04


def test_values_whose_pairs_noise_hides_are_told(source):
    fitted, _, _ = run_in_memory(source.head(300), config(epsilon=0.2, **DRAWN).model_dump(mode="json"))
    assert any("values that decide 'state' have no pair" in line for line in fitted.advice)
    clear, _, _ = run_in_memory(source, config(epsilon=50.0, **DRAWN).model_dump(mode="json"))
    assert not any("have no pair" in line for line in clear.advice)


def test_row_numbers_cannot_be_asked_for(model):
    with pytest.raises(ConfigError, match="'id' numbers the rows"):
        model.sample_local(10, where={"id": 3})


def test_a_stored_model_keeps_the_rules_and_only_then_needs_a_newer_reader(model, source, tmp_path):
    model.save(tmp_path / "ruled")
    again = ReleaseModel.load(tmp_path / "ruled")
    pd.testing.assert_frame_equal(again.sample_local(2_000, seed=3), model.sample_local(2_000, seed=3))
    assert json.loads((tmp_path / "ruled" / "model.json").read_text())["readable_by"] == FORMAT == 3
    plain = {"label": "sick", "columns": {name: COLUMNS[name] for name in ("city", "adults", "sick")}}
    fit(source, config(domain=plain, **DRAWN)).save(tmp_path / "plain")
    stored = json.loads((tmp_path / "plain" / "model.json").read_text())
    assert stored["readable_by"] < 3
    assert "rules" not in stored["parts"]["domain"]["$domain"]


def test_real_rows_become_features_without_row_numbers(model, source):
    x, y = model.as_xy(source)
    assert list(x.columns) == [name for name in COLUMNS if name != "sick"]
    assert set(x["state"].cat.categories) == set(STATES.values())
    assert len(y) == len(source)


@pytest.mark.parametrize(
    "sections",
    [{"generator": "mix", "approximate": {"components": 2}}, {**DRAWN, "encode": {"numeric": "affine"}},
     {"epsilon": 0.3}],
    ids=["mixed", "moments", "few rows"],
)  # fmt: skip
def test_other_recipes_keep_the_rules(source, sections):
    _, statement, rows = run_in_memory(source.head(1_000), config(**sections).model_dump(mode="json"))
    assert len(rows) > 1
    assert broken(rows) == {}
    assert statement.epsilon_spent <= statement.epsilon


def test_a_receipt_names_the_rules_and_one_without_them_is_as_before(model):
    from report_pages import receipt

    plain = receipt(DOMAIN)
    assert "rules" not in json.loads(plain.to_json())
    ruled = receipt(DOMAIN, rules=DOMAIN.rules_in_words)
    assert Receipt.from_dict(json.loads(ruled.to_json())).rules == DOMAIN.rules_in_words
    assert "  rule        begin <= seen <= end" in ruled.in_words()
