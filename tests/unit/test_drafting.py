"""Drafts from a schema, and what is said of the fields that nobody has filled in."""

import pytest
import yaml

from threea_spark import ReleaseConfig
from threea_spark.drafting import domain_text, release_text
from threea_spark.errors import ConfigError

SCHEMA = {
    "age": "int", "cost": "decimal(10,2)", "at": "date", "ward": "string", "died": "boolean", "x: y": "double",
    "tags": "array<string>",
}  # fmt: skip


def refused(content):
    with pytest.raises(ConfigError) as caught:
        ReleaseConfig.from_dict(content, where="release.yaml")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("place", "source", "target"),
    [
        ("main.ehr.stays", {"table": "main.ehr.stays"}, {"table": "main.ehr.stays_released"}),
        ("./stays/", {"path": "./stays/"}, {"path": "./stays_released"}),
        ("s3://bucket/stays", {"path": "s3://bucket/stays"}, {"path": "s3://bucket/stays_released"}),
    ],
)
def test_a_whole_release_is_drafted_beside_its_source(place, source, target):
    drafted = yaml.safe_load(release_text(place, SCHEMA))
    assert (drafted["source"], drafted["target"]) == (source, target)
    assert set(drafted["privacy"]) == {"epsilon", "delta", "unit"}
    assert drafted["domain"] == yaml.safe_load(domain_text(place, SCHEMA))
    assert list(drafted["domain"]["columns"]) == ["age", "cost", "at", "ward", "died", "x: y"]


def test_each_field_left_is_one_line_with_its_rule_and_its_mend():
    first, *lines = refused(yaml.safe_load(release_text("stays", SCHEMA)))
    assert first == "release.yaml: 8 field(s) to mend"
    assert [line.split(": ")[0].strip() for line in lines[:4]] == [
        "privacy.epsilon", "privacy.delta", "privacy.unit", "domain.label",
    ]  # fmt: skip
    assert all(" still TODO; " in line for line in lines)
    assert lines[4] == (
        "  domain.columns.age: lower and upper are still TODO; "
        "write what is publicly known, never what the rows hold, or drop the column"
    )


def test_what_is_wrong_besides_is_said_too():
    drafted = yaml.safe_load(release_text("stays", {"age": "int", "died": "boolean"}))
    drafted["privacy"] = {"epsilon": -1.0, "delta": 1e-6, "unit": "row"}
    drafted["domain"]["label"] = "died"
    drafted["domain"]["columns"]["age"]["lower"] = 0
    assert refused(drafted)[1:] == [
        "  domain.columns.age: upper is still TODO; write what is publicly known, never what the rows hold, "
        "or drop the column",
        "  privacy.epsilon: must be above 0.0, got -1.0; change it to that",
    ]


def test_a_label_that_is_left_is_not_called_missing():
    drafted = yaml.safe_load(release_text("stays", {"died": "boolean"}))
    drafted["privacy"] = {"epsilon": 1.0, "delta": 1e-6, "unit": "row"}
    (line,) = refused(drafted)[1:]
    assert line.startswith("  domain.label: is still TODO; name the column")


def test_names_and_values_may_be_that_word():
    drafted = yaml.safe_load(release_text("stays", {"TODO": "string"}))
    drafted["privacy"] = {"epsilon": 1.0, "delta": 1e-6, "unit": "row"}
    drafted["domain"]["columns"]["TODO"]["values"] = ["TODO", "done"]
    assert ReleaseConfig.from_dict(drafted).domain.label == "TODO"
