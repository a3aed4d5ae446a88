"""The parts of the public report: the summary to sign, the dictionary, the tables of pairs, advice; and the receipt."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_pages import page_text, receipt, statement, table

from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import ConfigError
from threea_spark.model.released import ReleaseModel
from threea_spark.planned import make_plan, ways_through
from threea_spark.privacy.asked import NOTHING_ASKED, asked_in_words, words_of
from threea_spark.privacy.large_delta import fewest_units, in_people
from threea_spark.privacy.terms import Accounting
from threea_spark.privacy.wrapping import WIDTH, wrapped
from threea_spark.publish.receipt import Receipt, public_values
from threea_spark.report.bins import OTHER, OTHERS, Values
from threea_spark.report.charts.pair_map import pair_map
from threea_spark.report.dictionary import dictionary_of
from threea_spark.report.findings import advice_on
from threea_spark.report.model_page import model_report_html
from threea_spark.report.pair_tables import MAX_LEVELS, MAX_TABLES, grouped, pair_table, strongest_tables
from threea_spark.report.signing import signing_of
from threea_spark.report.spread import spread_in_words, spread_of
from threea_spark.report.summary import summary_of, values_of

NEW_FIELDS = {"at", "by", "config_digest", "config", "devices", "n_units"}


def words(cells, name="c"):
    found = np.empty(len(cells), dtype=object)
    found[:] = cells
    return Values(name, "category", found)


def numbers(cells, name="x"):
    return Values(name, "number", np.asarray(cells, dtype=np.float64))


def facts(**changes):
    return dict(signing_of(receipt(table(4)[1], **changes)).facts)


# The receipt


def test_a_receipt_of_an_older_version_is_read_and_shown(tmp_path):
    new = receipt(table(4)[1], devices=("gpu (NVIDIA H100)",))
    assert "  computed    on gpu (NVIDIA H100)\n" in new.in_words()
    assert Receipt.from_dict(json.loads(new.to_json())) == new
    content = json.loads(new.to_json())
    for name in NEW_FIELDS:
        del content[name]
    content["ledger"] = {"entry": 4, "hash": "cd"}
    old = Receipt.from_dict(content)
    assert (old.at, old.config, old.n_units) == (None, None, None)
    assert "made" not in old.in_words()
    assert "  ledger      entry 4, cd\n" in old.in_words() + "\n"
    assert "budget" not in old.in_words()
    assert not NEW_FIELDS & set(json.loads(old.to_json()))  # a reader of the version before meets no unknown field


def test_a_receipt_says_when_by_whom_and_what_is_left():
    text = " ".join(receipt(table(4)[1]).in_words().split())
    for said in (
        "made 2026-03-01T09:30:00+00:00 by ada@clinic.example", "digest 0123456789abcdef, of the configuration",
        "granted: epsilon 3; spent before: epsilon 0.5; spent with this release: epsilon 1.2; left: epsilon 1.8",
        "as many as were read, by a noisy count: at most 4 of each 'patient_id'", "below one over that number",
    ):  # fmt: skip
        assert said in text, said


def test_lines_of_a_receipt_wrap_between_words_under_their_text():
    lines = receipt(table(4)[1], left_out=tuple(f"column_{n}" for n in range(60))).in_words().split("\n")
    assert max(map(len, lines)) <= WIDTH
    assert sum(line.startswith(" " * 14) for line in lines) > 5
    long = "  source      " + "x" * 150
    assert wrapped(long).split()[-1] == "x" * 150  # no word is broken


def test_the_configuration_on_a_receipt_names_no_place():
    domain = {"columns": {"age": {"type": "integer", "lower": 0, "upper": 9}}, "task": "none"}
    config = ReleaseConfig.from_dict(
        {
            "source": {"path": "/secret/source"},
            "target": {"path": "/public/target"},
            "privacy": {"epsilon": 1, "delta": 1e-6, "unit": "row", "ledger": {"path": "/secret/ledger"}},
            "domain": domain,
        }
    )
    plain = public_values(config)
    assert "secret" not in json.dumps(plain)
    assert plain["privacy"]["epsilon"] == 1.0
    assert plain["domain"]["columns"]["age"]["upper"] == 9


def test_a_statement_names_what_ran_and_nothing_else():
    assert asked_in_words(["histograms", "values-of-ward", "values-of-zip"]) == (
        "row count and column histograms, category names found in the data"
    )
    assert "category" not in asked_in_words(["histograms", "classes"])
    assert asked_in_words(["labels-of-died-0", "labels-of-died-1", "labels-7"]) == "gradients of the label function"
    assert asked_in_words([]) == NOTHING_ASKED
    assert words_of("unheard-of") is None


NUMBER = {"type": "float", "lower": "auto", "upper": "auto"}
RELEASES = [
    {"label": "died"},
    {"label": ["died", "ward"]},
    {"label": "x1", "task": "regression"},
    {"label": "died", "approximate": {"components": 3}},
    {"label": "died", "anonymize": {"generator": "mix"}},
    {"label": "died", "adapt": {"rows": "sample"}},
]


@pytest.mark.parametrize("case", RELEASES, ids=str)
def test_every_sum_that_a_release_may_ask_for_has_words(case):
    """The receipt says what ran; a new sum without words would stand there by its name alone."""
    stages = {name: own for name, own in case.items() if name in ("approximate", "anonymize", "adapt")}
    columns = {
        "died": {"type": "categorical", "values": ["no", "yes"]},
        "ward": {"type": "categorical", "values": ["a", "b"]},
        "zip": {"type": "categorical", "values": "open"},
        **{f"x{place}": NUMBER for place in range(6)},
    }
    config = ReleaseConfig.from_dict(
        {
            "source": {"path": "a"},
            "target": {"path": "b"},
            "privacy": {"epsilon": 1, "delta": 1e-6, "unit": "row"},
            "domain": {"columns": columns, "label": case["label"], "task": case.get("task", "classification")},
            **stages,
        }
    )
    sums = [own for way in ways_through(config, make_plan(config)) for own in way]
    assert len(sums) > 5
    assert [own.name for own in sums if words_of(own.name) is None] == []


def test_delta_is_compared_with_people():
    assert fewest_units(1001.2, 4) == 251
    assert fewest_units(-3.0, 1) == 1
    assert "above one over that number" in in_people(0.1, 100)
    assert "below one over that number" in in_people(1e-3, 100)
    assert "one in 1,000; the number of units is not part" in in_people(1e-3, None)


# The summary to sign


def test_the_summary_holds_what_an_officer_needs():
    found = facts()
    assert found["Made"] == "2026-03-01 09:30:00 UTC, by ada@clinic.example"
    assert found["Configuration"] == "digest 0123456789abcdef"
    assert "Left: epsilon 1.8." in found["Budget"]
    assert "100 units at least" in found["Delta"]
    assert found["Protected"].startswith("Each unit is protected: all rows with the same 'patient_id'")
    older = facts(at=None, by=None, config_digest=None, config=None, n_units=None, ledger=None)
    assert older["Made"] == "date and author not recorded"
    assert "Rows" not in older
    assert "No ledger was kept" in older["Budget"]
    assert "by whom" in facts(by=None)["Made"]


def test_the_summary_of_a_partial_guarantee_says_so():
    covered = signing_of(receipt(table(4)[1])).covered
    assert covered[0].startswith("Everything that read a row")
    partial = signing_of(receipt(table(4)[1], privacy=statement(accounting=Accounting.CONDITIONAL)))
    assert partial.covered[0].startswith("The mixing step alone")
    assert partial.not_covered[0].startswith("NOT COVERED: clusters")


# What columns hold


def test_a_spread_counts_levels_and_other():
    found = spread_of(words(["a", "a", "b", OTHER, None]))
    assert found.levels == (("a", 0.5), ("b", 0.25), (OTHER, 0.25))
    assert (found.n_distinct, found.other_share, found.is_constant) == (3, 0.25, False)
    assert spread_in_words("category", found).replace("\u00a0", " ") == "a (50.0 %), b (25.0 %), other (25.0 %)"
    assert spread_in_words("number", spread_of(numbers([np.nan]))) == "null only"
    assert spread_in_words("number", spread_of(numbers([7.0, 7.0]))) == "always 7"


def test_a_far_tail_is_one_that_noise_makes_and_not_an_exponential_one():
    rng = np.random.default_rng(3)
    honest = rng.exponential(1.0, 100_000)
    assert not spread_of(numbers(honest)).has_far_tail()
    assert spread_of(numbers([*honest, 40.0])).has_far_tail()
    assert not spread_of(numbers([1.0] * 50)).has_far_tail()


def release_table(n=500):
    rng = np.random.default_rng(0)
    domain = Domain.from_dict(
        {
            "columns": {
                "died": {"type": "categorical", "values": ["no", "yes"]},
                "stay": {"type": "integer", "lower": 0, "upper": 365},
                "zip": {"type": "categorical", "values": "open", "nullable": True},
                "plan": {"type": "categorical", "values": ["public", "private"]},
            },
            "label": "died",
        }
    )
    died = rng.choice(["no", "yes"], n)
    frame = pd.DataFrame(
        {
            "died": died,
            "stay": np.where(died == "yes", 20, 3) + rng.integers(0, 5, n),
            "zip": [*["other"] * (n - 20), *["101"] * 10, *[None] * 10],
            "plan": "public",
        }
    )
    frame.loc[0, "stay"] = 300
    return frame, domain


def test_the_dictionary_says_what_each_column_may_hold_and_holds():
    frame, domain = release_table()
    found = receipt(domain, columns=(*domain.columns, "died_probability"), domain_fit={
        "bounds found": {"stay": [0, 512]}, "open columns": {"zip": {"values found": 1, "other": 0.9}},
    })  # fmt: skip
    entries = {entry.name: entry for entry in dictionary_of(found, domain, summary_of(frame, domain, 500))}
    assert list(entries) == [*domain.columns, "died_probability"]
    assert entries["died"].allowed == "listed: no, yes; no null; the label"
    assert entries["stay"].allowed == "0 to 512 (bounds found in the data); no null"
    assert entries["zip"].allowed.startswith("1 value found in the data")
    assert entries["zip"].other.replace("\u00a0", " ") == "98.0 %"
    assert entries["zip"].nulls.replace("\u00a0", " ") == "2.0 %"
    assert entries["plan"].other == entries["plan"].nulls == ""
    assert "probability" in entries["died_probability"].allowed


def test_a_rule_between_columns_stands_at_each_of_them():
    number = {"type": "integer", "lower": 0, "upper": 9}
    domain = Domain.from_dict(
        {
            "columns": {"low": number, "high": number, "other_one": number},
            "task": "none",
            "rules": [{"order": {"low": "low", "high": "high"}}],
        }
    )
    frame = pd.DataFrame({"low": [1, 2], "high": [3, 4], "other_one": [5, 6]})
    entries = dictionary_of(receipt(domain), domain, summary_of(frame, domain, 2))
    assert ["low <= high" in entry.allowed for entry in entries] == [True, True, False]


def test_advice_names_constant_lost_and_far_columns_once():
    frame, domain = release_table()
    summary = summary_of(frame, domain, 500)
    told = advice_on(receipt(domain, diagnostics=()), domain, summary)
    assert len(told) == 3
    assert "'plan'" in told[0]
    assert "mostly other: 'zip' (98.0\u00a0%)" in told[1]
    assert "'stay' (24 to 300)" in told[2]
    said = ("one value in all released rows: 'plan'. Check it", "98% of 'zip' became 'other': 1 values were found")
    again = advice_on(receipt(domain, diagnostics=said), domain, summary)
    assert again[:2] == list(said)
    assert len(again) == 3  # what the receipt says already is not said twice
    plain, names = table()
    assert advice_on(receipt(names, diagnostics=()), names, summary_of(plain, names, 400)) == []


# Tables of pairs


def test_a_pair_s_table_holds_shares_of_the_rows_on_its_left():
    found = pair_table(grouped(words(["a", "a", "b", "b"])), grouped(words(["x", "y", "x", None], "d")), 0.5)
    assert found.given_labels == ("a", "b")
    assert found.labels == ("x", "y", "null")
    assert found.shares.tolist() == [[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]]


def test_groups_are_few_and_hold_every_row():
    many = words([f"w{n}" for n in range(30) for _ in range(30 - n)] + [OTHER] * 100)
    found = grouped(many)
    assert found.labels == (*[f"w{n}" for n in range(MAX_LEVELS)], OTHERS, "null")
    assert np.bincount(found.group).sum() == len(many.cells)
    assert grouped(words(["a", OTHER, "a"])).labels == ("a", OTHER, "null")  # one row, not two that mean the same
    cut = grouped(numbers([*range(60), np.nan]))
    assert np.bincount(cut.group).tolist() == [10] * 6 + [1]
    like = grouped(words(["new", "a"]), words(["a", "a"]))
    assert [like.labels[place] for place in like.group] == [OTHER, "a"]
    for cells in ([], [np.nan], [3.0] * 9, [1e300, -1e300]):
        assert len(grouped(numbers(cells)).group) == len(cells)


def test_the_strongest_pairs_are_shown_with_the_label_as_what_is_told():
    frame, domain = release_table()
    columns = values_of(frame, domain)
    summary = summary_of(frame, domain, 500)
    assert [(own.given, own.name) for own in summary.tables] == [("stay", "died")]
    assert summary.tables[0].shares.sum(axis=1) == pytest.approx(1.0)
    assert strongest_tables(columns, [values.name for values in columns], np.eye(4), "died") == []
    wide, wide_domain = table(60, 30)
    assert len(summary_of(wide, wide_domain, 60).tables) == MAX_TABLES


def test_a_map_shows_each_share_and_says_the_largest():
    found = pair_table(grouped(words(["a"] * 3 + ["b"])), grouped(words(["x", "x", "y", "y"], "d")), 0.5)
    chart = pair_map(found)
    assert ">67<" in chart
    assert ">33<" in chart
    assert "a: 67 % x. b: 100 % y." in chart
    assert chart.count('class="tone ') == 4
    hostile = dataclasses.replace(found, labels=("<script>", "y"))
    assert "<script>" not in pair_map(hostile)


# The report of a model


def test_a_model_has_a_report_without_spark():
    model = ReleaseModel.load(Path(__file__).parent / "model_of_0_2_0")
    page = model_report_html(model, n_rows=300)
    text = page_text(page)
    for said in (
        "rows that were passed to fit", "300 artificial rows", "date and author not recorded", "Dictionary of the",
        "No ledger was kept", f"Epsilon {model.privacy.epsilon:g} at delta",
    ):  # fmt: skip
        assert said in text, said
    assert "version -1" not in text
    assert page == model_report_html(model, n_rows=300)
    assert page != model_report_html(model, n_rows=300, seed=1)
    with pytest.raises(ConfigError):
        model_report_html(model, n_rows=0)
