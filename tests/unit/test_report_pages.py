import dataclasses
import math
import re
from html.parser import HTMLParser

import pytest
from report_pages import HOSTILE, internal, public, receipt, statement, table

from threea_spark.privacy.terms import Accounting
from threea_spark.publish.held import Held
from threea_spark.publish.standing import standing_of
from threea_spark.report.charts.svg import clipped, inert, templates
from threea_spark.report.pair_tables import MAX_TABLES
from threea_spark.report.public import MAX_CHARTS, OPEN_CHARTS, public_page
from threea_spark.report.summary import summary_of

VOID = {"meta", "br", "img", "hr", "input", "link", "path", "rect", "circle"}
HARMLESS = {
    "html", "head", "meta", "title", "style", "body", "div", "main", "header", "footer", "section", "h1", "h2", "h3",
    "p", "ul", "li", "b", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure",
    "figcaption", "details", "summary", "code", "span", "strong", "svg", "desc", "g", "path", "rect", "text",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "role", "viewbox", "d", "x", "y", "dy", "width",
    "height", "transform", "scope", "style", "aria-hidden", "data-label",
}  # fmt: skip


class Page(HTMLParser):
    """Reads a page strictly: every tag is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text, self.problems, self.charts, self.styles = [], [], [], [], [], []
        self.feed(html)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "svg" and "aria-hidden" not in dict(attributes):
            self.charts.append({"role": dict(attributes).get("role"), "inside": []})
        elif "svg" in self.open and self.charts:
            self.charts[-1]["inside"].append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes something else")

    def handle_data(self, data):
        (self.styles if "style" in self.open else self.text).append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def pages():
    return {
        "public": public(n_more=3, names=HOSTILE),
        "wide": public(n_more=60),
        "conditional": public(privacy=statement(accounting=Accounting.CONDITIONAL)),
        "internal": internal(n_more=2, names=HOSTILE),
    }


KINDS = ("public", "wide", "conditional", "internal")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_balanced_and_holds_harmless_tags_and_attributes_only(pages, kind):
    page = Page(pages[kind])
    assert page.problems == []
    assert {tag for tag, _ in page.tags} <= HARMLESS
    assert {name for _, attributes in page.tags for name in attributes} <= ATTRIBUTES
    assert pages[kind].startswith("<!DOCTYPE html>")


def test_the_parser_sees_what_is_not_closed_or_not_harmless():
    assert Page("<p><b>x</p></b>").problems
    assert Page("<div>").problems
    assert not {tag for tag, _ in Page("<p onclick='x'><script></script></p>").tags} <= HARMLESS


@pytest.mark.parametrize("kind", ["public", "internal"])
def test_hostile_names_and_values_are_shown_and_inert(pages, kind):
    page = Page(pages[kind])
    text = "".join(page.text)
    for name in HOSTILE[:6]:
        assert name in text, name
    for attributes in (attributes for tag, attributes in page.tags if tag != "meta"):
        assert not any("alert" in (value or "") for value in attributes.values())
    assert "\u202e" not in pages[kind]
    assert "\x00" not in pages[kind]


@pytest.mark.parametrize("field", ["source", "target", "release_id", "generator"])
def test_every_text_of_a_receipt_is_escaped(field):
    for hostile in HOSTILE:
        page = Page(public(**{field: hostile}))
        assert page.problems == []
        assert {tag for tag, _ in page.tags} <= HARMLESS
    assert {tag for tag, _ in Page(public(diagnostics=HOSTILE, left_out=HOSTILE)).tags} <= HARMLESS
    odd = {hostile: hostile for hostile in HOSTILE}
    assert {tag for tag, _ in Page(public(resolved=odd, versions=odd)).tags} <= HARMLESS


def test_the_title_of_an_internal_page_is_escaped():
    assert "<script>" not in internal(title=HOSTILE[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_loads_nothing_from_anywhere(pages, kind):
    page = Page(pages[kind])
    assert not re.search(r"url|import|http|//|expression", "".join(page.styles))
    for tag, attributes in page.tags:  # none of the tags and attributes that load; none of the rest holds an address
        assert tag == "meta" or not re.search(r"http|//|url|data:|javascript", " ".join(map(str, attributes.values())))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', pages[kind]).group(1)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_can_be_read_without_seeing_it(pages, kind):
    page = Page(pages[kind])
    assert ("html", {"lang": "en"}) in page.tags
    assert len(page.charts) > 5
    for chart in page.charts:
        assert chart["role"] == "img"
        assert chart["inside"][:2] == ["title", "desc"]
    names = [tag for tag, _ in page.tags]
    assert names.count("table") == names.count("caption")
    assert names.count("h1") == 1
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")


def test_six_hundred_columns_stay_small_and_are_folded_away():
    frame, domain = table(n_rows=60, n_more=900)
    html = public_page(receipt(domain), summary_of(frame, domain, len(frame)), domain)
    assert len(html.encode()) < 2_000_000
    page = Page(html)
    assert page.problems == []
    assert len(page.charts) == MAX_CHARTS + 4 + MAX_TABLES
    open_part = html.split("Columns 25 to 72")[0]
    assert len(Page(open_part).charts) == OPEN_CHARTS + 3
    assert f"{len(domain.columns) - MAX_CHARTS} more columns have no chart" in html
    assert f"{len(domain.columns) - 40} of {len(domain.columns)} columns are left out" in html


def test_an_internal_page_of_six_hundred_columns_stays_small():
    frames = [table(60, 600, seed=seed)[0] for seed in (1, 2, 3)]
    from threea_spark.evaluation.evaluate import JudgedRows
    from threea_spark.report.comparison import compare
    from threea_spark.report.internal import internal_page

    domain = table(4, 600)[1].model_copy(update={"task": "none", "label": None})
    html = internal_page("x", compare(JudgedRows(*frames), domain))
    assert len(html.encode()) < 2_000_000
    assert "no model to compare" in html


def test_the_public_page_says_what_was_released_and_under_which_guarantee(pages):
    text = Page(pages["wide"]).words
    for words in (
        "main.ehr.stays, version 3", "main.released.stays", "400, drawn from noisy statistics", "Left out patient_id",
        "epsilon 1, delta 1e-05", "all rows with the same 'patient_id'", "everything that read a row",
        "add_or_remove_one", "label function is nearly constant", "entry 0, abab", "Dong, Roth and Su (2022)",
        "components_per_class 3",
    ):  # fmt: skip
        assert words in text, words
    assert "INTERNAL" not in text


def test_a_page_shows_how_the_domain_meets_the_source_whatever_columns_are_called():
    shares = {"standard error": 0.004, "not listed": 0.61, "null": 0.0}
    found = {
        "not in the domain": {name: shares for name in ("sex", *HOSTILE)},
        "bounds found": {"cost": [0, 65536.0], "admitted": ["2016-01-01", "2032-01-01"]},
        "open columns": {"zone": {"values found": 3, "other": 0.83}},
    }
    html = public(domain_fit=found)
    page = Page(html)
    assert page.problems == []
    assert {tag for tag, _ in page.tags} <= HARMLESS
    assert "\u202e" not in html
    for words in ("How the domain meets the source", "0 to 65,536", "2016-01-01 to 2032-01-01", "3 values were found"):
        assert words in page.words
    assert "61" in page.words
    assert "How the domain meets" not in Page(public()).words
    _, domain = table()
    assert "bounds      of 'cost' were found: 0 to 65,536" in receipt(domain, domain_fit=found).in_words()


def test_a_conditional_release_is_never_shown_as_covered(pages):
    text = Page(pages["conditional"]).words
    assert "Not all of this release is covered." in text
    assert "NOT COVERED: clusters" in text
    assert "They do not bound the release as a whole." in text
    assert "no noise: not covered" in text
    assert "best attacker the guarantee allows, of the mixing step alone" in text
    assert "all that read a row is covered" not in text
    assert "Not all of this release is covered." not in "".join(Page(pages["public"]).text)


def test_an_internal_page_says_so_in_title_banner_and_print(pages):
    page = Page(pages["internal"])
    assert re.search(r"<title>INTERNAL", pages["internal"])
    banner = next(number for number, (_, attributes) in enumerate(page.tags) if attributes.get("class") == "banner")
    assert [tag for tag, _ in page.tags[:banner]].count("h1") == 0  # it comes before everything else
    assert "INTERNAL: computed from real rows" in "".join(page.text)
    printed = pages["internal"].split("@media print")[1]
    assert re.search(r"\.banner \{[^}]*table-header-group[^}]*break-inside: avoid", printed)


def test_an_internal_page_compares_models_columns_and_clouds(pages):
    text = Page(pages["internal"]).words
    for words in ("LightGBM on real rows", "linear on released rows", "95 % interval", "Two clouds", "distance"):
        assert words in text, words


def test_an_appended_table_says_how_many_rows_it_holds():
    frame, domain = table()
    html = public_page(receipt(domain), summary_of(frame, domain, 1234), domain)
    assert "the table now holds 1,234 rows, which this release did not write alone" in html
    assert "a random sample of 400 released rows of 1,234" in html


def held(release_id, epsilon, accounting="end_to_end", **more):
    return Held(release_id, epsilon, 1e-5, accounting, "add_or_remove_one", "u", **more)


def page_of(*releases):
    frame, domain = table()
    return Page(public_page(receipt(domain), summary_of(frame, domain, 1234), domain, standing_of(releases))).words


def test_rows_of_several_releases_are_not_presented_as_one_s():
    own, other = held("0123456789abcdef-v3", 1.0), held("fedcba-v4", 8.0)
    text = page_of(own, other)
    for words in (
        "The table holds rows of 2 releases.", "The claim for the table as a whole: epsilon 9, delta 2e-05.",
        "releases 0123456789abcdef-v3, fedcba-v4", "of release 0123456789abcdef-v3 alone",
        "of 1,234, of 2 releases together",
    ):  # fmt: skip
        assert words in text, words
    assert "releases." not in page_of(own)
    assert "releases together" not in page_of(own)
    assert "The claim for the table as a whole:" in page_of(other)  # none of its rows are this receipt's


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (held("b", 8.0, "conditional"), "delta 2e-05, for the mixing steps alone"),
        (held("b", float("inf")), "no epsilon bounds all of them together"),
        (held("b", 8.0, is_written=False), "b (announced)"),
    ],
)
def test_what_holds_for_all_releases_is_said_with_its_limits(other, words):
    assert words in page_of(held("0123456789abcdef-v3", 1.0), other)


@pytest.mark.parametrize(
    ("recipe", "n_rows", "said"),
    [
        ("draw", 400, ".01 to .05"),
        ("draw", 40_000, ".003 to .014"),
        ("draw-wide", 400, "did not help"),
        ("mix", 400, None),
        (None, 400, None),
    ],
)
def test_the_page_says_what_more_rows_would_give_where_rows_are_drawn(recipe, n_rows, said):
    resolved = {} if recipe is None else {"recipe": recipe}
    page = public(resolved=resolved, n_released=n_rows)
    assert ("More rows" in page) == (said is not None)
    assert said is None or said in page


def test_a_release_without_ledger_advice_or_left_out_columns_is_said_plainly():
    text = Page(public(ledger=None, diagnostics=(), left_out=())).words
    assert "Ledger" not in text
    assert "No advice." in text
    assert "no column of the source" in text


def test_a_statement_of_an_older_receipt_is_drawn_too():
    old = dataclasses.replace(statement(), curve=((0.1, 0.07), (0.5, 0.01), (1.0, 1e-5), (4.0, 1e-8)))
    assert Page(public(privacy=old)).problems == []


def test_what_a_page_must_not_hold_is_replaced():
    assert inert("a\x00b\ud800c\u202ed\x85\n") == "a\ufffdb\ufffdc\ufffdd\ufffd\n"
    assert inert("größe ☃") == "größe ☃"
    assert clipped("x" * 1000) == "x" * 199 + "…"
    assert templates().autoescape is True


def test_a_page_rounds_costs_up_and_never_down(pages):
    stated = statement()
    text = Page(pages["public"]).words
    spent = float(re.search(r"epsilon ([0-9.]+) at that delta, as planned", text).group(1))
    assert stated.epsilon_spent - 1e-9 <= spent <= stated.epsilon_spent + 1e-4
    mu = float(re.search(r"noisy sums are mu ([0-9.]+)", text).group(1))
    assert stated.mu - 1e-9 <= mu <= stated.mu + 1e-4
    assert all(f"{math.ceil(spend.mu * 1e4 - 1e-8) / 1e4:.4f}" in text for spend in stated.stages)
