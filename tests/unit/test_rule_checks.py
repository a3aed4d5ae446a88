"""Rules that contradict each other, the bounds or the types are refused in one line that names both columns."""

import pytest
from ruled_tables import CONTENT

from threea_spark import ReleaseConfig
from threea_spark.config.domain import Domain
from threea_spark.errors import ConfigError, SchemaError
from threea_spark.source.draft import domain_text
from threea_spark.source.schema import check_schema, left_out

NUMBER = {"type": "float", "lower": 0, "upper": 10}
COLUMNS = {
    "city": {"type": "categorical", "values": ["Boston", "Austin"]},
    "state": {"type": "categorical", "values": ["MA", "TX"]},
    "names": {"type": "categorical", "values": "open"},
    "start": {"type": "timestamp", "lower": "2019-01-01", "upper": "2023-01-01"},
    "end": {"type": "timestamp", "lower": "2019-01-01", "upper": "2023-01-01", "nullable": True},
    "a": NUMBER, "b": NUMBER, "t": {**NUMBER, "upper": 15}, "high": {**NUMBER, "lower": 30, "upper": 50},
    "u": {**NUMBER, "nullable": True}, "v": {**NUMBER, "nullable": True},
    "n": {"type": "integer", "lower": 0, "upper": 9},
    "y": {"type": "categorical", "values": ["no", "yes"]},
}  # fmt: skip


def refused(*rules, **columns):
    with pytest.raises(ConfigError) as caught:
        Domain.from_dict({"label": "y", "columns": {**COLUMNS, **columns}, "rules": list(rules)})
    return str(caught.value).splitlines()[1:]


ORDER = {"order": {"low": "a", "high": "b"}}
SUM = {"sum": {"parts": ["a", "b"], "total": "t"}}
STATE = {"functional": {"from": "city", "to": "state"}}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{"functional": {"from": "City", "to": "state"}}], ["'City'", "did you mean 'city'"]),
        ([ORDER, SUM], ["'b'", "order of a, b", "sum of a, b, t", "drop it from one"]),
        ([STATE, {"functional": {"from": "n", "to": "state"}}], ["'state'", "functional of city", "functional of n"]),
        ([STATE, {"functional": {"from": "state", "to": "city"}}], ["'state'", "'city'", "follow from each other"]),
        ([{"functional": {"from": "city", "to": "y"}}], ["label 'y'", "city"]),
        ([{"functional": {"from": "city", "to": "a"}}], ["city, a", "'a' is float"]),
        ([{"functional": {"from": "city", "to": "state", "mapping": {"Boston": "ME"}}}], ["'ME'", "'state'"]),
        ([{"functional": {"from": "city", "to": "state", "mapping": {"Boston": "MA"}}}], ["'Austin'", "'state'"]),
        ([{"order": {"low": "start", "high": "a"}}], ["'start' is timestamp", "'a' is float"]),
        ([{"order": {"low": "city", "high": "a"}}], ["'city' is categorical", "city, a"]),
        ([{"order": {"low": "high", "high": "a"}}], ["'high' <= 'a'", "no room"]),
        ([{"sum": {"parts": ["a", "b"], "total": "high"}}], ["'a'", "'high'", "bounds"]),
        ([{"sum": {"parts": ["a", "b"], "total": "n"}}], ["'n' is integer", "'a' is float"]),
        ([{"sum": {"parts": ["u", "b"], "total": "t"}}], ["'u'", "'t'", "nullable: true"]),
        ([{"sum": {"parts": ["a", "b"], "total": "start"}}], ["'start' is timestamp", "a, b"]),
        ([{"together": ["a", "u"]}], ["'a' is not nullable", "'u'"]),
        ([{"exactly_one": ["a", "u"]}], ["'a' is not nullable", "'u'"]),
        ([{"together": ["u", "v"]}, {"exactly_one": ["u", "v"]}], ["'u'", "together of u, v", "exactly_one of u, v"]),
        ([{"allowed": {"columns": ["city", "state"], "combinations": [["Boston", "ME"]]}}], ["'ME'", "city, state"]),
        ([{"allowed": {"columns": ["city", "names"], "combinations": [["Boston", "x"]]}}], ["'names'", "listed"]),
        ([{"unique": "y"}], ["unique", "label 'y'"]),
        ([{"unique": "a"}], ["'a' is float"]),
        ([ORDER, {"order": {"low": "b", "high": "a"}}], ["'b'", "'a'", "follow from each other"]),
        ([ORDER, {"order": {"low": "t", "high": "b"}}], ["'b'", "order of a, b", "order of t, b"]),
        ([SUM, {"order": {"low": "t", "high": "u"}}], ["another rule governs 't'", "'u'"]),
        ([{"order": {"low": "a"}}], ["rules.0.order"]),
        ([{"sorted": ["a", "b"]}], ["rules.0", "functional, order, sum"]),
    ],
)
def test_a_rule_that_cannot_hold_is_refused_in_one_line_with_both_names(rules, words):
    lines = refused(*rules)
    assert any(all(word in line for word in words) for line in lines), lines
    assert len(lines) == 1 or "rules.0.order" in lines[0]


def test_a_step_has_no_parts_of_a_time():
    (line,) = refused({"order": {"low": "start", "high": "end"}}, end={**COLUMNS["end"], "parts": ["hour"]})
    assert "'end'" in line
    assert "'start'" in line


def test_row_numbers_are_no_unit():
    content = {
        "source": {"path": "a"}, "target": {"path": "b"}, "domain": CONTENT,
        "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": {"column": "id", "max_rows": 1}},
    }  # fmt: skip
    with pytest.raises(ConfigError, match="'id' is also in the domain"):
        ReleaseConfig.from_dict(content)


def test_a_domain_without_rules_is_its_own_coded_domain_and_says_nothing_of_rules():
    plain = Domain.from_dict({"label": "y", "columns": COLUMNS})
    assert plain.coded is plain
    assert "rules" not in plain.model_dump()
    ruled = Domain.from_dict({"label": "y", "columns": COLUMNS, "rules": [SUM, STATE]})
    assert Domain.model_validate(ruled.model_dump(mode="json")) == ruled
    assert set(plain.columns) - set(ruled.coded.columns) == {"t"}
    assert ruled.rules_in_words == ("a + b = t", "city decides state (found by noisy counts)")


TYPES = {"city": "string", "state": "string", "a": "decimal(10,2)", "b": "double", "t": "decimal(10,2)", "y": "string"}


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ({"id": "bigint"}, ["'t'", "'b' in double", "decimal(10,2)"]),
        ({"b": "int"}, ["'id'", "not a column"]),
        ({"b": "int", "id": "double"}, ["'id'", "double"]),
    ],
)
def test_types_that_cannot_keep_a_rule_are_refused(types, words):
    known = {name: COLUMNS[name] for name in TYPES}
    domain = Domain.from_dict({"label": "y", "columns": known, "rules": [SUM, {"unique": "id"}]})
    with pytest.raises(SchemaError) as caught:
        check_schema({**TYPES, **types}, domain, None)
    assert all(word in str(caught.value).splitlines()[1] for word in words), str(caught.value)
    check_schema({**TYPES, "b": "int", "id": "string"}, domain, None)
    assert left_out({"id": "string", "a": "double", "more": "int"}, domain) == ["more"]


def test_a_draft_proposes_rules_by_names_and_types_as_comments():
    found = {
        "order_id": "bigint", "trip_start": "timestamp", "trip_end": "timestamp", "city": "string", "state": "string",
        "cost_drugs": "double", "cost_care": "double", "cost_total": "double", "start": "string", "end": "string",
    }  # fmt: skip
    proposed = [
        line.removeprefix("#   - ") for line in domain_text("t", found).splitlines() if line.startswith("#   -")
    ]
    assert proposed == [
        'unique: "order_id"',
        'order: {low: "trip_start", high: "trip_end"}',
        'functional: {from: "city", to: "state"}',
        'sum: {parts: ["cost_drugs", "cost_care"], total: "cost_total"}',
    ]
    assert "rules" not in domain_text("t", {"age": "int"})
