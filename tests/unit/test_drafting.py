"""Drafts from a schema, and what is said of the fields that nobody has filled in."""

import json

import pytest
import yaml

from threea_spark import ReleaseConfig
from threea_spark.errors import ConfigError
from threea_spark.source.draft import domain_text, release_text

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


IDENTIFIERS = [
    "id", "ID", "patient_id", "PATIENT_ID", "patientId", "patientID", "PatientID", "patientid", "stay id", "hadm-id",
    "uuid", "rowUuid", "guid", "surrogate_key", "ssn", "SSN", "mrn", "patient_mrn", "phone", "home_phone",
    "phone_number", "account_no", "id2",
]  # fmt: skip
NAMES = [
    "name",
    "last_name",
    "lastName",
    "LASTNAME",
    "surname",
    "user_name",
    "email",
    "workEmail",
    "address",
    "ip_address",
]
TEXTS = ["note", "notes", "discharge_notes", "freeText", "comment", "Comments", "description", "product_description"]
PLAIN = [
    "age",
    "ward",
    "paid",
    "valid",
    "grid",
    "humid",
    "note_count",
    "id_type",
    "named",
    "monkey",
    "keyword",
    "phones_ok",
    "zip3",
    "unit",
]


def commented(name, simple):
    """The line that a draft has for a column, and whether it is a comment."""
    lines = domain_text("t", {name: simple, "last": "double"}).splitlines()
    (line,) = (own for own in lines if f"{json.dumps(name)}: {{" in own)
    return line, line.startswith("  # ")


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_an_identifier_is_left_out_as_text_and_as_a_whole_number(name):
    for simple in ("string", "varchar(10)", "int", "bigint", "decimal(38,0)"):
        line, is_comment = commented(name, simple)
        assert is_comment
        assert line.endswith("# looks like an identifier: left out")
        assert name in yaml.safe_load(line.replace("# ", "", 1))  # and it can be taken back
    for simple in ("double", "timestamp", "boolean", "decimal(10,2)"):
        assert not commented(name, simple)[1]


@pytest.mark.parametrize(("names", "looks"), [(NAMES, "an identifier"), (TEXTS, "free text")])
def test_names_and_free_text_are_left_out_as_text_alone(names, looks):
    for name in names:
        line, is_comment = commented(name, "string")
        assert is_comment, name
        assert line.endswith(f"# looks like {looks}: left out")
        assert not commented(name, "int")[1]


@pytest.mark.parametrize("name", PLAIN)
def test_a_column_that_only_looks_alike_is_drafted(name):
    assert not commented(name, "string")[1]
    assert not commented(name, "bigint")[1]


def test_a_draft_proposes_no_column_that_looks_like_an_identifier():
    schema = {**SCHEMA, "stay_id": "string", "note": "string", "patientId": "bigint"}
    drafted = yaml.safe_load(release_text("stays", schema))
    assert list(drafted["domain"]["columns"]) == ["age", "cost", "at", "ward", "died", "x: y"]


def test_each_field_left_is_one_line_with_its_rule_and_its_fix():
    first, *lines = refused(yaml.safe_load(release_text("stays", SCHEMA)))
    assert first == "release.yaml: 8 problems to fix"
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


@pytest.mark.parametrize(
    "name", ["fan?\x8c", "a\x7fb", "a\x85b", "a\u2028b", "new\nline", 'a"b\\c', "\U0001f600", "x: #y"]
)
def test_a_draft_with_any_column_name_is_read_back_as_it_is(tmp_path, name):
    text = release_text(f"./{name}", {name: "double", "y": "boolean", f"{name}s": f"struct<{name}:int>"})
    for field, value in {"epsilon": "1.0", "delta": "1e-6", "unit": "row", "label": "y"}.items():
        text = text.replace(f"{field}: TODO", f"{field}: {value}")
    (tmp_path / "release.yaml").write_text(text.replace("lower: TODO, upper: TODO", "lower: 0, upper: 1"))
    config = ReleaseConfig.from_yaml(tmp_path / "release.yaml")
    assert list(config.domain.columns) == [name, "y"]
    assert config.source.path == f"./{name}"
