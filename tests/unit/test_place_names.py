"""Which places are one, or one inside the other, as far as their names tell."""

import pytest

from threea_spark.config.table_names import PlaceKey, clash, parts_of, quoted_chain
from threea_spark.config.tables import PlaceConfig


def named(table):
    return PlaceKey.of(table, None)


def at(path):
    return PlaceKey.of(None, str(path))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a", ("a",)),
        ("a.b.c", ("a", "b", "c")),
        ("`a.b`.c", ("a.b", "c")),
        ("`a``b`.`c d`", ("a`b", "c d")),
        ("größe.☃", ("größe", "☃")),
        ("", None), ("a.", None), (".a", None), ("a..b", None), ("a b", None), ("`a", None), ("`a`b", None),
        ("a`b`", None),
    ],
)  # fmt: skip
def test_a_chain_of_identifiers_is_split_at_its_dots(name, parts):
    assert parts_of(name) == parts
    if parts is not None:
        assert parts_of(quoted_chain(parts)) == parts


SAME = [
    (named("main.ehr.stays"), named("`main`.`EHR`.Stays")),
    (named("stays"), named(" `STAYS` ")),
    (named("delta.`/lake/stays`"), at("/lake/stays/")),
    (at("/lake/stays"), at("file:///lake/stays")),
    (at("/lake/stays"), at("file:/lake/./x/../stays//")),
    (at("stays"), at("./stays/")),
    (at("s3://Bucket/stays"), at("s3a://bucket//stays/")),
    (at("s3://bucket/a/../stays"), at("s3n://bucket/stays")),
    (at("dbfs:/lake/stays"), at("/dbfs/lake/stays")),
]
APART = [
    (named("main.ehr.stays"), named("main.ehr.stays_released")),
    (named("main.ehr.stays"), named("other.ehr.stays")),
    (named("`main.ehr`.stays"), named("main.ehr.stays")),
    (named("lake"), at("lake")),
    (at("/lake/stays"), at("/lake/stays_released")),
    (at("/lake/stays#1"), at("/lake/stays#2")),
    (at("/lake/stays?1"), at("/lake/stays?2")),
    (at("/lake/Stays"), at("/lake/stays")),
    (at("s3://bucket/stays"), at("s3://other/stays")),
    (at("s3://bucket/stays"), at("gs://bucket/stays")),
    (at("s3://bucket/stays"), at("/bucket/stays")),
    (at("a\0b"), at("a\0c")),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_ways_to_write_a_place_are_one_place(one, other):
    assert clash(one, other) == clash(other, one) == "is"


@pytest.mark.parametrize(("one", "other"), APART)
def test_places_that_only_look_alike_are_apart(one, other):
    assert clash(one, other) is None
    assert clash(other, one) is None


@pytest.mark.parametrize("folder", ["/lake/stays", "file:/lake/stays/", "s3://bucket/stays", "stays"])
def test_a_place_inside_of_another_is_seen_from_both_sides(folder):
    inner = f"{folder.rstrip('/')}/year=2020/../out"
    assert clash(at(inner), at(folder)) == "lies inside"
    assert clash(at(folder), at(inner)) == "holds"


def test_a_symlink_is_the_folder_that_it_points_to(tmp_path):
    (tmp_path / "stays").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "stays")
    assert clash(at(tmp_path / "link"), at(tmp_path / "stays")) == "is"
    assert clash(at(tmp_path / "link" / "out"), at(tmp_path / "stays")) == "lies inside"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert clash(at(tmp_path / "loop"), at(tmp_path / "stays")) is None


def test_a_configured_place_has_the_key_of_its_name():
    assert PlaceConfig(table="a.B").key == named("A.b")
    assert PlaceConfig(path="/a/").key == at("/a")
