"""Sound configurations, and what careless or hostile hands make of them."""

import copy
import datetime as dt
import math
from decimal import Decimal

import yaml
from hypothesis import strategies as st

NUMBER = {"type": "float", "lower": -10.0, "upper": 10.0, "nullable": True}
COLUMNS = {
    "age": {"type": "integer", "lower": 0, "upper": 120},
    "cost.usd": NUMBER,
    "ward name": {"type": "categorical", "values": ["CCU", "MICU", 3, True], "nullable": True},
    "place": {"type": "categorical", "values": "open", "max_values": 50, "min_units": 5},
    "admitted": {"type": "timestamp", "lower": "2010-01-01", "upper": "2030-01-01", "parts": ["hour", "month"]},
    "died": {"type": "categorical", "values": ["no", "yes"]},
}


def config_of(privacy=None, *, label="died", task="classification", **sections):
    """The plain values of one configuration."""
    plain = {
        "source": {"path": "/lake/stays"},
        "target": {"path": "/lake/out"},
        "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": "row", **(privacy or {})},
        "domain": {"label": label, "task": task, "columns": COLUMNS},
    }
    return copy.deepcopy({**plain, **sections})


LEDGER = {"table": "gov.ledger", "budget": {"epsilon": 3.0, "delta": 1e-5}}
EVERY_FIELD = {
    "source": {"table": "main.ehr.stays", "version": 3, "staging_schema": "main.private"},
    "target": {"table": "main.out.stays", "mode": "append"},
    "encode": {"numeric": "quantile", "cells": 16, "clip_norm": 2.0},
    "approximate": {"components": 2, "per_class": True, "covariance": "diagonal", "min_cluster_size": 50},
    "adapt": {"method": "kip", "support_size": 20, "alpha": 0.5, "steps": 3, "depth": 1, "ridge": 0.01},
    "anonymize": {"generator": "sample", "rows": 100},
}
SHARES = {"encode": 0.1, "approximate": 0.2, "adapt": 0.6, "anonymize": 0.1}
SOUND = [
    config_of(),
    config_of(
        {
            "unit": {"column": "p", "max_rows": 4, "missing": "drop"},
            "ledger": LEDGER,
            "shares": SHARES,
            "allow_large_delta": True,
        },
        **EVERY_FIELD,
    ),
    config_of({"relation": "replace_one"}, label="age", task="regression", anonymize={"generator": "mix"}),
    config_of({"accounting": "conditional"}, adapt={"targets": "plain"}, anonymize={"generator": "mix"}),
    config_of(label=None, task="none", anonymize={"generator": "random", "mix_size": 5}),
]


def nested(depth):
    """A list within a list, and so on."""
    found = []
    for _ in range(depth):
        found = [found]
    return found


def hostile():
    """Values that no field wants, each time anew: what is put into one configuration must not change another."""
    return [
        None, True, False, 0, 1, -1, 2, 7, 1.5, -0.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 1e-300,
        1e300,
        10**6, 10**18, 2**63, -(2**63), 10**400, -(10**400), 10**5000, "", " ", "auto", "open", "row", "match", "nan",
        "1e5",
        "\x00", "\n", "line\nbreak", "\x1b[31m", "\u202e", "\ud800", "größe ☃ 🦊", "`", "'; drop table x", "${HOME}",
        "{tag!r}", "%s", "x" * 20_000, [], {}, [[]], [None], ["a", "a"], [1, 1.0, True, "1"], {"a": {}},
        {"file": "x\0y"},
        {"file": 3}, {1: 2}, {None: None}, {("a", 1): 2}, nested(200), nested(3_000), dt.date(2020, 1, 31), dt.date.max,
        dt.datetime.min, dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc), dt.timedelta(1), b"\xff\x00", Decimal("NaN"),
        Decimal("1e999"), {1, 2}, frozenset("ab"), 3 + 4j, object(), range(3), [{}], {"type": "float"},
        {"type": "integer", "lower": 5, "upper": 1}, {"type": "blob"}, {"type": []}, {"type": "categorical",
        "values": []},
    ]  # fmt: skip


ANYTHING = st.one_of(
    st.integers(0, len(hostile()) - 1).map(lambda place: hostile()[place]),
    st.text(max_size=20), st.integers(), st.floats(), st.binary(max_size=4),
    st.lists(st.text(max_size=3), max_size=3), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)  # fmt: skip


def places(content, path=()):
    """The path of everything inside nested mappings and lists, as deep as a configuration goes."""
    if len(path) > 8:
        return
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items):
        yield (*path, key)
        yield from places(value, (*path, key))


def holder(content, path):
    """The mapping or list that holds what lies at a path."""
    for key in path[:-1]:
        content = content[key]
    return content


@st.composite
def mutated(draw):
    """A sound configuration with up to four things changed."""
    content = copy.deepcopy(draw(st.sampled_from(SOUND)))
    for _ in range(draw(st.integers(0, 4))):
        found = list(places(content))
        if not found:
            break
        path = draw(st.sampled_from(found))
        _change(draw, holder(content, path), path[-1])
    return content


def _change(draw, held, key):
    way = draw(st.sampled_from(["put", "put", "put", "drop", "rename", "add", "swap", "copy"]))
    if way == "put" or not isinstance(held, dict):
        held[key] = draw(ANYTHING)
    elif way == "drop":
        held.pop(key)
    elif way == "rename":
        held[draw(st.sampled_from([f"{key}s", str(key).upper(), f" {key}", str(key)[:-1]]))] = held.pop(key)
    elif way == "add":
        held[draw(st.one_of(st.text(max_size=8), st.sampled_from(["a\nb", "\ud800", "x" * 9_000, 1, None])))] = 1
    elif way == "swap" and "lower" in held and "upper" in held:
        held["lower"], held["upper"] = held["upper"], held["lower"]
    else:
        held[key] = copy.deepcopy(draw(st.sampled_from(list(SOUND[1].values()))))


LAUGHS = "a0: &a0 [x, x, x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
ODD_SCALARS = [
    "2020-13-45", "2020-01-01T25:00:00Z", "2020-01-01 00:00:00 +99:99", "!!int abc", "!!float x", "!!bool x",
    "!!int ''",
    "!!timestamp x", "!!binary '###'", "!!binary é", "!!set {a, b}", "!!omap [a: 1]",
    "!!python/object/apply:os.system [ls]",
    "!!python/name:os.system", "!foo 1", "!!map 3", "!!seq 3", "!!str {a: 1}", "!!null x", "*nowhere", "&a [*a]",
    "&b {c: *b}", "<<", "=", "~", "0b_", "0x_", "0x" + "f" * 5_000, "9" * 5_000, "1:61", "190:20:30.15", ".inf",
    ".nan",
    "1e999", "1_000", "no", "[", "{", "}", "'", '"\\ud800"', '"\\x00"', "\x07", "\t", "|", ">", "- a", "? [a]",
    "@", "`",
    "%", "[" * 1_500, "[" * 1_500 + "]" * 1_500, "{a: " * 500, "x" * 30_000, "# gone", "\ufeff", "\u2028",
    "{a: 1, a: 2}",
    "NaN", "Infinity", "{? [a] : 1}", "---", "...", "&" + "a" * 3_000 + " 1", "*" + "a" * 3_000,
    "!" + "a" * 3_000 + " 1",
]  # fmt: skip
ODD_LINES = [
    "%YAML 9.9", "---", "...", "<<: 3", "<<: {adapt: {steps: 3}}", "privacy: {}", "? a", "- a", "\t", "\x00",
    "a: b: c",
    LAUGHS, f"{LAUGHS}domain: {{columns: {{a: {{type: categorical, values: [*a9]}}}}}}", "1: 2", "null: 1",
    "\ufeff",
    "? {a: 1}\n: 2", "'a\\nb': 1", '"a\\nb": 1', '"\\ud800": 1', "x" * 5_000 + ": 1", "domain: {file: /}",
    'domain: {file: "a\\0b"}', "domain: {file: [1]}", "domain: {file: nowhere.yaml}", "domain: {file: .}",
]  # fmt: skip


@st.composite
def texts(draw):
    """YAML (or its JSON form) of a sound configuration, with up to three places of the text changed; as bytes."""
    flow = draw(st.sampled_from([None, True, False]))
    lines = yaml.safe_dump(draw(st.sampled_from(SOUND)), default_flow_style=flow, width=60).splitlines()
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, max(0, len(lines) - 1)))
        way = draw(st.sampled_from(["scalar", "scalar", "line", "twice", "cut", "drop", "indent", "noise"]))
        line = lines[place] if lines else ""
        changed = {
            "scalar": [line.rpartition(":")[0] + ": " + draw(st.sampled_from(ODD_SCALARS))],
            "line": [line, draw(st.sampled_from(ODD_LINES))],
            "twice": [line, line],
            "cut": [line[: len(line) // 2]],
            "drop": [],
            "indent": [" " * draw(st.integers(1, 5)) + line],
            "noise": [line + draw(st.text(max_size=5))],
        }
        lines[place : place + 1] = changed[way]
    return "\n".join(lines).encode("utf-8", "surrogatepass") + draw(st.sampled_from([b"", b"", b"\xff\xfe", b"\x00"]))
