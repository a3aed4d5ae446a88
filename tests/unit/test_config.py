import copy

import pytest

from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import ConfigError
from threea_spark.privacy.terms import Accounting, Relation

NAN, INF = float("nan"), float("inf")
GIVEN = {
    "source": {"path": "/lake/stays"},
    "target": {"path": "/lake/released"},
    "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": "row"},
    "domain": {
        "label": "died",
        "columns": {
            "age": {"type": "integer", "lower": 0, "upper": 120},
            "died": {"type": "categorical", "values": ["no", "yes"]},
        },
    },
}
JARGON = (
    "constrained-",
    "valid tuple",
    "UnitConfig",
    "valid dictionary",
    "instance of",
    "Traceback",
    "pydantic",
    "input should",
    "Input should",
    "literal[",
    "function-",
    "union",
)


def config_with(**changes):
    """The given configuration with fields set (or, with `...`, dropped) at dotted places, dots written as __."""
    content = copy.deepcopy(GIVEN)
    for place, value in changes.items():
        *folders, last = place.split("__")
        here = content
        for folder in folders:
            here = here.setdefault(folder, {})
        if value is ...:
            here.pop(last)
        else:
            here[last] = value
    return content


def refusal(**changes):
    with pytest.raises(ConfigError) as caught:
        ReleaseConfig.from_dict(config_with(**changes))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    text = str(caught.value)
    assert not [word for word in JARGON if word in text], text
    first, *lines = text.splitlines()
    assert first == f"config: {len(lines)} problem{'s' * (len(lines) > 1)} to fix"
    return lines


def test_the_given_configuration_is_sound():
    config = ReleaseConfig.from_dict(GIVEN)
    assert config.privacy.accounting_mode is Accounting.END_TO_END
    assert config.privacy.neighboring_relation is Relation.ADD_OR_REMOVE_ONE
    assert not config.selects_categories


UNIT = "row, or a mapping such as {column: patient_id, max_rows: 1}"
RULES = [
    ({"privacy__epsilon": ...}, "privacy.epsilon: is missing; add it"),
    ({"privacy__delta": ...}, "privacy.delta: is missing; add it"),
    ({"privacy__unit": ...}, "privacy.unit: is missing; add it"),
    ({"privacy__epsilon": 0}, "privacy.epsilon: must be above 0.0, got 0"),
    ({"privacy__epsilon": -1.0}, "privacy.epsilon: must be above 0.0, got -1.0"),
    ({"privacy__epsilon": NAN}, "privacy.epsilon: must be a finite number, got nan"),
    ({"privacy__epsilon": INF}, "privacy.epsilon: must be a finite number, got inf"),
    ({"privacy__epsilon": 1001}, "privacy.epsilon: must be at most 1000.0, got 1001"),
    ({"privacy__epsilon": "one"}, "privacy.epsilon: must be a number, got 'one'"),
    ({"privacy__delta": 0}, "privacy.delta: must be above 0.0, got 0"),
    ({"privacy__delta": 1}, "privacy.delta: must be below 1.0, got 1"),
    ({"privacy__delta": NAN}, "privacy.delta: must be a finite number, got nan"),
    (
        {"privacy__unit": "person"},
        "privacy.unit: must be row, or a mapping such as {column: patient_id, max_rows: 1}, got 'person'",
    ),
    (
        {"privacy__unit": None},
        "privacy.unit: must be row, or a mapping such as {column: patient_id, max_rows: 1}, got None",
    ),
    ({"privacy__unit": {"column": "p"}}, "privacy.unit.max_rows: is missing; add it"),
    ({"privacy__unit": {"column": "p", "max_rows": 0}}, "privacy.unit.max_rows: must be at least 1, got 0"),
    ({"privacy__unit": {"column": "p", "max_rows": 1.5}}, "privacy.unit.max_rows: must be a whole number, got 1.5"),
    ({"privacy__unit": {"column": "", "max_rows": 1}}, "privacy.unit.column: must be nonempty text, got ''"),
    (
        {"privacy__unit": {"column": "p", "max_rows": 1, "missing": "keep"}},
        "privacy.unit.missing: must be 'together', 'drop' or 'refuse', got 'keep'",
    ),
    ({"privacy__unit": {"columm": "p", "max_rows": 1, "column": "p"}}, "privacy.unit.columm: is not a known field"),
    ({"privacy__accounting": "partial"}, "privacy.accounting: must be 'end_to_end' or 'conditional', got 'partial'"),
    ({"privacy__relation": "swap"}, "privacy.relation: must be 'add_or_remove_one' or 'replace_one', got 'swap'"),
    ({"privacy__shares": "even"}, "privacy.shares: must be a mapping of fields or 'auto', got 'even'"),
    ({"privacy__shares": {"encode": 1.0}}, "privacy.shares: shares must name every stage; add approximate"),
    ({"privacy__shares": {"encoding": 1.0}}, "privacy.shares.encoding: must be 'encode'"),
    (
        {"privacy__shares": {"encode": 0.5, "approximate": 0.1, "adapt": 0.1, "anonymize": 0.1}},
        "privacy.shares: shares must sum to 1, got 0.8; scale them",
    ),
    (
        {"privacy__shares": {"encode": -0.5, "approximate": 0.5, "adapt": 0.5, "anonymize": 0.5}},
        "privacy.shares: shares must be non-negative; fix encode",
    ),
    (
        {"privacy__shares": {"encode": NAN, "approximate": 0.5, "adapt": 0.5, "anonymize": 0.5}},
        "privacy.shares.encode: must be a finite number, got nan",
    ),
    ({"privacy__ledger": {"table": "l", "budget": {"epsilon": 1}}}, "privacy.ledger.budget.delta: is missing; add it"),
    ({"privacy__partition": "public_or_disjoint"}, "privacy.partition: was removed in 0.2.0: the partition is always"),
    ({"privacy__partition": "private"}, "privacy.partition: was removed in 0.2.0: the partition is always"),
    ({"source": {}}, "source: names no place; write `table: main.ehr.stays` or `path: ./stays`"),
    ({"source": {"table": "a", "path": "b"}}, "source: names both a table and a path; keep"),
    ({"source__version": -1}, "source.version: must be at least 0, got -1"),
    (
        {"source__staging_schema": "main..x"},
        "source.staging_schema: staging_schema names a schema, such as main.private",
    ),
    (
        {"source__staging_schema": "a; DROP"},
        "source.staging_schema: staging_schema names a schema, such as main.private",
    ),
    ({"source__staging_schema": ""}, "source.staging_schema: staging_schema names a schema, such as main.private"),
    ({"source__rows": 0}, "source.rows: must be at least 1, got 0"),
    ({"target__mode": "overwrite"}, "target.mode: must be 'create' or 'append', got 'overwrite'"),
    ({"encode__cells": 1}, "encode.cells: must be at least 2 or 'auto', got 1"),
    ({"encode__clip_norm": -1}, "encode.clip_norm: must be at least 0.001 or 'auto', got -1"),
    ({"encode__clip_norm": INF}, "encode.clip_norm: must be a finite number or 'auto', got inf"),
    ({"approximate__components": 0}, "approximate.components: must be at least 1 or 'auto', got 0"),
    ({"approximate__components": "many"}, "approximate.components: must be a whole number or 'auto', got 'many'"),
    ({"approximate__per_class": "x"}, "approximate.per_class: must be true or false or 'auto', got 'x'"),
    ({"approximate__min_cluster_size": 0}, "approximate.min_cluster_size: must be at least 1 or 'auto', got 0"),
    ({"approximate__iterations": 0}, "approximate.iterations: must be at least 1, got 0"),
    ({"adapt__alpha": 1.5}, "adapt.alpha: must be at most 1.0, got 1.5"),
    ({"adapt__ridge": NAN}, "adapt.ridge: must be a finite number, got nan"),
    ({"adapt__support_size": 1}, "adapt.support_size: must be at least 2 or 'auto', got 1"),
    ({"anonymize__rows": 0}, "anonymize.rows: must be at least 1 or 'match', got 0"),
    ({"anonymize__rows": "all"}, "anonymize.rows: must be a whole number or 'match', got 'all'"),
    ({"anonymize__mix_size": 0}, "anonymize.mix_size: must be at least 1 or 'auto', got 0"),
    ({"adapt__targets": "plain"}, "(whole file): adapt.targets: plain reads rows without noise"),
    ({"privacy__accounting": "conditional"}, "(whole file): accounting: conditional prices mixing"),
    (
        {"privacy__accounting": "conditional", "anonymize__generator": "mix"},
        "(whole file): adapt.targets: private has no budget",
    ),
    ({"anonymize__generator": "mix", "anonymize__rows": 10}, "(whole file): anonymize.rows: mix and random release"),
    ({"privacy__unit": {"column": "age", "max_rows": 2}}, "(whole file): privacy.unit: 'age' is also in the domain"),
    ({"target": {"path": "/lake/stays"}}, "(whole file): target: is the private source; choose another target"),
    ({"target": {"path": "file:/lake/x/../stays/"}}, "(whole file): target: is the private source; choose another"),
    (
        {"source": {"table": "main.ehr.stays"}, "target": {"table": "main.EHR.`stays`", "mode": "append"}},
        "(whole file): target: is the private source; choose another target",
    ),
    ({"target": {"path": "/lake/stays/out"}}, "(whole file): target: lies inside the folder of the private source"),
    ({"target": {"path": "/lake"}}, "(whole file): target: is a folder that holds the private source; choose another"),
    (
        {"privacy__ledger": {"path": "/lake/stays"}},
        "(whole file): privacy.ledger: is the private source; choose another place for the ledger",
    ),
    (
        {"privacy__ledger": {"path": "/lake/released/ledger"}},
        "(whole file): privacy.ledger: lies inside the folder of the target; choose another place",
    ),
    (
        {"privacy__ledger": {"table": "gov.ledger", "grants": "GOV.`ledger`"}},
        "(whole file): privacy.ledger.grants: is the ledger; choose another place for the ledger",
    ),
    (
        {"privacy__ledger": {"table": "gov.ledger", "grants": "/lake/stays/grants"}},
        "(whole file): privacy.ledger.grants: lies inside the folder of the private source; choose another place",
    ),
    ({"epsilon": 1.0}, "epsilon: is not a known field; drop it or correct its spelling"),
    ({"domain": ...}, "domain: is missing; add it"),
    ({"domain": 3}, "domain: must be a mapping of fields, got 3"),
]


@pytest.mark.parametrize(("changes", "expected"), RULES, ids=[rule[1] for rule in RULES])
def test_a_broken_rule_gives_one_line_with_field_rule_and_fix(changes, expected):
    lines = refusal(**changes)
    assert len(lines) == 1
    assert lines[0].startswith(f"  {expected}")


def test_every_broken_rule_is_named_at_once():
    lines = refusal(privacy__epsilon=-1, privacy__delta=2, adapt__alpha=3, colour="red")
    assert len(lines) == 4


def test_conditional_mixing_as_in_the_paper_is_allowed():
    config = ReleaseConfig.from_dict(
        config_with(privacy__accounting="conditional", anonymize__generator="mix", adapt__targets="plain")
    )
    assert config.privacy.accounting_mode is Accounting.CONDITIONAL


def test_a_configuration_cannot_be_changed_once_read():
    config = ReleaseConfig.from_dict(GIVEN)
    with pytest.raises(ValueError, match="frozen"):
        config.privacy.epsilon = 9.0


def test_the_digest_names_the_content():
    one, same = ReleaseConfig.from_dict(GIVEN), ReleaseConfig.from_dict(copy.deepcopy(GIVEN))
    other = ReleaseConfig.from_dict(config_with(privacy__epsilon=1.1))
    assert one.digest == same.digest != other.digest


NAMES_OF_0_1 = [
    ({}, "589cae157a0b1b9d"),
    ({"privacy__unit": {"column": "p", "max_rows": 4}}, "e4cc1288ddc42845"),
    ({"source": {"table": "main.ehr.stays", "since": 3}}, "183414e1f7de5151"),
    (
        {"privacy__accounting": "conditional", "anonymize__generator": "mix", "adapt__targets": "plain"},
        "b6a060927f2a1aa1",
    ),
]
"""What version 0.1.0 called each: releases that it made are found by these names."""


def of_0_1(**sections):
    """The plain values of a configuration of version 0.1.0, with every kind of column."""
    columns = {
        "age": {"type": "integer", "lower": 0, "upper": 120},
        "cost": {"type": "float", "lower": -10.0, "upper": 10.0, "nullable": True},
        "place": {"type": "categorical", "values": "open", "max_values": 50},
        "admitted": {"type": "timestamp", "lower": "2010-01-01", "upper": "2030-01-01", "parts": ["hour"]},
        "died": {"type": "categorical", "values": ["no", "yes"]},
    }
    return config_with(domain={"label": "died", "columns": columns}, **sections)


@pytest.mark.parametrize(("changes", "digest"), NAMES_OF_0_1)
def test_a_configuration_of_0_1_keeps_its_name(changes, digest):
    assert ReleaseConfig.from_dict(of_0_1(**changes)).digest == digest


def test_a_later_option_at_its_default_is_no_part_of_the_name_and_another_choice_is():
    units = [{"column": "p", "max_rows": 4, **more} for more in ({}, {"missing": "together"}, {"missing": "drop"})]
    plain, same, other = (ReleaseConfig.from_dict(config_with(privacy__unit=unit)).digest for unit in units)
    assert plain == same != other
    ward = {"type": "categorical", "values": "open"}
    names = [
        ReleaseConfig.from_dict(config_with(domain__columns__ward={**ward, **more})).digest
        for more in ({}, {"min_units": 10}, {"min_units": 11})
    ]
    assert names[0] == names[1] != names[2]


def test_depths_have_names_of_their_own_though_the_default_took_that_of_the_older_one():
    unset, *depths = (
        ReleaseConfig.from_dict(config_with(**({} if depth is None else {"adapt__depth": depth}))).digest
        for depth in (None, 1, 2, 3)
    )
    assert unset == depths[0]
    assert len(set(depths)) == 3


@pytest.mark.parametrize(
    ("source", "schema"),
    [
        ({"table": "main.ehr.stays"}, "`main`.`ehr`"),
        ({"table": "`odd.one`.stays"}, "`odd.one`"),
        ({"table": "stays"}, ""),
        ({"table": "delta.`/lake/stays`"}, ""),
        ({"path": "/lake/stays"}, ""),
        ({"path": "/lake/stays", "staging_schema": "main.private"}, "`main`.`private`"),
        ({"table": "main.ehr.stays", "staging_schema": "`a``b`.c-d"}, "`a``b`.`c-d`"),
    ],
)
def test_private_rows_are_staged_where_it_is_configured_or_beside_the_source(source, schema):
    for target in ({"table": "main.public.stays"}, {"path": "/lake/released"}):
        config = ReleaseConfig.from_dict(config_with(source=source, target=target))
        assert config.source.schema_of_staging == schema


def test_where_private_rows_are_staged_is_no_part_of_the_name():
    staged = ReleaseConfig.from_dict(config_with(source__staging_schema="main.private"))
    assert staged.digest == ReleaseConfig.from_dict(GIVEN).digest


def test_who_grants_is_no_part_of_the_name():
    own, apart = (config_with(privacy__ledger={"table": "l", **more}) for more in ({}, {"grants": "gov.grants"}))
    assert ReleaseConfig.from_dict(own).digest == ReleaseConfig.from_dict(apart).digest


def test_the_unit_carries_its_bound_to_the_accounting():
    config = ReleaseConfig.from_dict(config_with(privacy__unit={"column": "patient_id", "max_rows": 4}))
    assert config.privacy.privacy_unit.max_rows == 4
    assert ReleaseConfig.from_dict(GIVEN).privacy.privacy_unit.column is None
