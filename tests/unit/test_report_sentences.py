"""What strangers read in the reports: short sentences, no markup of ours, no value that nobody explains."""

import re
from html.parser import HTMLParser

import pytest
from report_pages import internal, public, statement

from threea_spark.privacy.large_delta import advice as large_delta_advice
from threea_spark.privacy.terms import Accounting
from threea_spark.report.settings import settings_in_words

MAX_WORDS = 30
BLOCKS = {
    "p", "li", "dd", "dt", "td", "th", "caption", "figcaption", "h1", "h2", "h3", "footer", "summary", "title", "desc",
    "text", "div", "section", "header",
}  # fmt: skip
DATA = {"values", "name"}
"""Classes of what lists columns and values: no sentences."""
DIAGNOSTICS = (
    "3.2 % of the rows hold a value of 'sex' that is not listed: list it, or expect it as null",
    "86.0 % of 'zip3' became 'other': 3 values were found, each needs about 90 rows. To keep more, list the values, "
    "raise epsilon, or use a coarser column",
    "rules: 3 of 40 values that decide 'city' have no pair that stands out from noise, and may be given a wrong value: "
    "give a public `mapping`, or raise epsilon",
    *large_delta_advice(0.02, 4, 400.0),
    "unit: rows without a value in 'patient_id', if any, count as one unit together",
)
RESOLVED = {
    "recipe": "draw-pairs", "n_cells": 32, "clip_norm": 8.396, "per_class": True, "components_per_class": 3,
    "min_cluster_size": 4048, "n_groups": 8, "n_tables": 20, "second_share": 0.4, "labels": "learned",
    "labels_learned": "died", "labels_kept": "none", "support_size": 40, "mix_size": 10, "mix_clip_norm": 2.0,
}  # fmt: skip
FIT = {
    "not in the domain": {"age": {"standard error": 0.004, "below": 0.0, "above": 0.01, "null": 0.0}},
    "bounds found": {"cost": [0, 65536.0], "admitted": ["2016-01-01", "2032-01-01"]},
    "open columns": {"ward": {"values found": 3, "other": 0.83}},
}


class Blocks(HTMLParser):
    """Collects the text of each block, without style sheets and without lists of columns and values."""

    def __init__(self, html):
        super().__init__()
        self.found, self.open = [""], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        classes = set((dict(attributes).get("class") or "").split())
        self.open.append((tag, bool(classes & DATA) or tag == "style"))
        if tag in BLOCKS:
            self.found.append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass
        if tag in BLOCKS:
            self.found.append("")

    def handle_data(self, data):
        self.found[-1] += "..." if any(is_data for _, is_data in self.open) else data


def sentences(html):
    return [
        sentence.strip()
        for block in Blocks(html).found
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(block.split()))
        if sentence.strip()
    ]


def words(sentence):
    return [word for word in sentence.split() if re.search(r"\w", word)]


@pytest.fixture(scope="module")
def pages():
    told = {"diagnostics": DIAGNOSTICS, "resolved": RESOLVED, "domain_fit": FIT}
    return {
        "public": public(n_more=3, names=("ward",), **told),
        "wide": public(n_more=60),
        "row": public(privacy=statement(sampled=True), ledger=None, at=None, by=None, n_units=None, config=None),
        "conditional": public(privacy=statement(accounting=Accounting.CONDITIONAL), resolved={"recipe": "mix"}),
        "internal": internal(n_more=2, names=("ward",)),
    }


@pytest.mark.parametrize("kind", ["public", "wide", "row", "conditional", "internal"])
def test_no_sentence_is_longer_than_thirty_words(pages, kind):
    found = sentences(pages[kind])
    assert len(found) > 100
    assert [sentence for sentence in found if len(words(sentence)) > MAX_WORDS] == []


def test_a_long_sentence_is_seen_wherever_it_stands():
    long = "word " * (MAX_WORDS + 1)
    for html in (f"<p>Short. {long}</p>", f"<ul><li>{long}.</li></ul>", f"<dl><dd>{long}</dd></dl>"):
        assert max(len(words(sentence)) for sentence in sentences(html)) == MAX_WORDS + 1
    assert max(len(words(own)) for own in sentences(f'<p class="values">{long}</p><p>Short.</p>')) == 1


@pytest.mark.parametrize("kind", ["public", "wide", "row", "conditional", "internal"])
def test_nothing_is_said_that_no_reader_understands(pages, kind):
    text = " ".join(sentences(pages[kind]))
    for unwanted in ("`", "Protected is", "per_class True", "never looked at", "all that read a row", "1 sums", "None"):
        assert unwanted not in text, unwanted


def test_every_setting_of_every_recipe_is_explained():
    from threea_spark.recipes.recipe import Clusters, Draw, DrawPairs, DrawWide, LabelFunctions, Mix

    functions, clusters = LabelFunctions(("died",), ("ward",), 0.25), Clusters(True, 3, 50, 4, "diagonal")
    recipes = (
        Draw(32, 8.0, True, clusters, "learned", functions, 40, ()),
        Draw(32, 8.0, True, None, "posterior", functions, 40, ()),
        DrawPairs(32, 8.0, 8, 20, 0.4, "component", functions, 40),
        DrawWide(32, 8.0),
        Mix(32, 8.0, clusters, False, 10, 2.0),
    )
    for recipe in recipes:
        for setting in settings_in_words(recipe.values):
            assert setting.meaning, setting.name
            if isinstance(recipe.values[setting.name], bool):
                assert setting.value in ("yes", "no")
            assert setting.value not in (recipe.values.get("recipe"), "True"), setting
