"""What a released table says of itself: statements that hold whatever names hold, and tags that a catalog takes."""

from dataclasses import replace

import pytest
from report_pages import receipt, table

from threea_spark.engine.delta import Place
from threea_spark.publish.described import plain, table_comment, tagging, tags_of

HOSTILE = "all rows with the same 'it''s\\\n${env:HOME}\t', of which at most 2 are read"
PROPERTIES = {"threea.epsilon": "1.4", "threea.delta": "2e-06", "threea.releases": "r1,r2"}


def test_a_comment_says_what_the_table_is_and_stays_true_when_releases_are_appended():
    own = receipt(table(4)[1])
    said = table_comment(own)
    for words in (
        "Artificial rows",
        own.release_id,
        f"epsilon {own.privacy.epsilon:g}",
        f"delta {own.privacy.delta:g}",
    ):
        assert words in said
    assert plain(own.privacy.unit) in said
    assert "later add up: threea.epsilon and threea.delta" in said
    assert own.source not in said
    conditional = replace(own, privacy=replace(own.privacy, accounting="conditional"))
    assert "not all that read rows is covered" in table_comment(conditional)


@pytest.mark.parametrize("text", [HOSTILE, "'", "\\", "\\'", "${x}", "\x00\u2028"])
def test_no_text_ends_its_literal_or_is_substituted(text):
    found = plain(text)
    assert not set(found) & set("'\\\n\t\x00\u2028")
    assert "${" not in found


def test_tags_hold_for_the_whole_table_and_fit_a_catalog():
    place = Place.named("main.released.stays")
    assert tagging(place, tags_of(PROPERTIES, "one row")) == (
        "ALTER TABLE main.released.stays SET TAGS ('threea_epsilon' = '1.4', 'threea_delta' = '2e-06', "
        "'threea_unit' = 'one row', 'threea_receipt' = 'r1 r2')"
    )
    many = tags_of({**PROPERTIES, "threea.releases": ",".join(["0123456789abcdef-v3"] * 40)}, HOSTILE * 9)
    assert many["threea_receipt"] == "40 releases, see threea.releases in the table properties"
    assert all(len(value) < 256 and value == value.strip() for value in many.values())
