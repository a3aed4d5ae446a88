import datetime as dt

import pytest

from threea_spark.config.category_text import value_text
from threea_spark.config.domain import Domain
from threea_spark.errors import ConfigError

NAN, INF = float("nan"), float("inf")
LABEL = {"type": "categorical", "values": ["no", "yes"]}


def domain_with(column=None, **fields):
    columns = {"y": LABEL} | ({} if column is None else {"x": column})
    return {"columns": columns, "label": "y"} | fields


RULES = [
    ({"type": "integer", "lower": 5, "upper": 5}, "columns.x: lower must be below upper, got 5 and 5; widen"),
    ({"type": "integer", "lower": 5, "upper": 1}, "columns.x: lower must be below upper, got 5 and 1; widen"),
    ({"type": "integer", "lower": 0, "upper": NAN}, "columns.x.upper: bounds must be finite, got nan; state"),
    ({"type": "integer", "lower": -INF, "upper": 1}, "columns.x.lower: bounds must be finite, got -inf; state"),
    ({"type": "integer", "lower": 0.5, "upper": 1}, "columns.x.lower: bounds of an integer column are whole numbers"),
    ({"type": "integer", "lower": 0, "upper": 2**54}, "columns.x: integer bounds must lie within 2^53"),
    ({"type": "integer", "lower": "low", "upper": 1}, "columns.x.lower: must be a whole number or 'auto', got 'low'"),
    ({"type": "integer", "upper": 1}, "columns.x.lower: is missing; add it"),
    ({"type": "float", "lower": 0.0, "upper": INF}, "columns.x.upper: must be a finite number, got inf"),
    ({"type": "float", "lower": NAN, "upper": 1.0}, "columns.x.lower: must be a finite number, got nan"),
    ({"type": "float", "lower": 1.0, "upper": 1.0}, "columns.x: lower must be below upper"),
    ({"type": "float", "lower": -1e308, "upper": 1e308}, "columns.x: float bounds must lie within 1e+300"),
    (
        {"type": "float", "lower": 0.0, "upper": 5e-324},
        "columns.x: float bounds must lie within 1e+300 and be at least 1e-300 apart",
    ),
    ({"type": "float", "lower": 0, "upper": 1, "values": ["a"]}, "columns.x.values: is not a known field; drop it"),
    ({"type": "number", "lower": 0, "upper": 1}, "columns.x: must be of a `type` among 'integer', 'float'"),
    ({"lower": 0, "upper": 1}, "columns.x: needs a `type`; add one of integer, float, categorical, timestamp"),
    (7, "columns.x: must be a mapping of fields, got 7"),
    ({"type": "categorical", "values": []}, "columns.x: values is empty; list the categories"),
    ({"type": "categorical", "values": ["a", "a"]}, "columns.x: values contains ['a'] twice; list each"),
    ({"type": "categorical", "values": ["a", None]}, "columns.x.values: a category cannot be null; write"),
    ({"type": "categorical", "values": "opne"}, "columns.x.values: must be a list or 'open', got 'opne'"),
    ({"type": "categorical", "values": ["a"], "max_values": 0}, "columns.x.max_values: must be at least 1, got 0"),
    ({"type": "timestamp", "lower": "soon", "upper": "2030-01-01"}, "columns.x.lower: must be a date or a time"),
    ({"type": "timestamp", "lower": "2030-01-01", "upper": "2020-01-01"}, "columns.x: lower must be below upper"),
    (
        {"type": "timestamp", "lower": "2020-01-01T00:00:00.2", "upper": "2020-01-01T00:00:00.7"},
        "columns.x: no whole second lies between lower and upper; widen",
    ),
    ({"type": "categorical", "values": ["a", ["b"]]}, "columns.x.values: a category must be text, a number, a date"),
    ({"type": "categorical", "values": ["a", "\ud800"]}, "columns.x.values: a category cannot be written as text"),
    (
        {"type": "timestamp", "lower": "2020-01-01", "upper": "2030-01-01", "parts": ["minute"]},
        "columns.x.parts.0: must be 'hour', 'weekday' or 'month', got 'minute'",
    ),
    ({"type": "float", "lower": "auto", "upper": "AUTO"}, "columns.x.upper: must be a number"),
    ({"type": "timestamp", "lower": "auto", "upper": "soon"}, "columns.x.upper: must be a date or a time such as"),
    ({"type": "integer", "lower": "auto", "upper": 2**60}, "columns.x: integer bounds must lie within 2^53"),
    ({"type": "integer", "lower": 0, "upper": 1, "nullable": "perhaps"}, "columns.x.nullable: must be true or false"),
]


@pytest.mark.parametrize(("column", "expected"), RULES, ids=[rule[1] for rule in RULES])
def test_a_broken_column_gives_one_line(column, expected):
    with pytest.raises(ConfigError) as caught:
        Domain.from_dict(domain_with(column))
    first, *lines = str(caught.value).splitlines()
    assert first == "domain: 1 problem to fix"
    assert len(lines) == 1
    assert lines[0].startswith(f"  {expected}")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"columns": {}}, "columns is empty; describe at least one column"),
        ({"columns": {"y": LABEL}}, "task classification needs `label`; name the column or write `task: none`"),
        (domain_with(label="z"), "label 'z' is not among the columns; add it there"),
        (domain_with(task="none"), "task none takes no label; drop `label`"),
        (domain_with(task="regression"), "label 'y': regression needs an integer or float label"),
        (
            {"columns": {"y": {"type": "integer", "lower": 0, "upper": 1}}, "label": "y"},
            "label 'y': classification needs a categorical label with listed values",
        ),
        (
            {"columns": {"y": {"type": "categorical", "values": "open"}}, "label": "y"},
            "label 'y': classification needs a categorical label with listed values",
        ),
        (
            {"columns": {"y": {"type": "categorical", "values": list(range(1_001))}}, "label": "y"},
            "label 'y': at most 1000 classes, got 1001",
        ),
        (domain_with(task="ranking"), "task: must be 'classification', 'regression' or 'none', got 'ranking'"),
        (domain_with(colums={}), "colums: is not a known field"),
    ],
)
def test_a_broken_domain_gives_one_line(content, expected):
    with pytest.raises(ConfigError) as caught:
        Domain.from_dict(content)
    assert len(str(caught.value).splitlines()) == 2
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["integer", "float", "categorical", "timestamp", "type", "0", "a.b", "literal['x']"])
def test_a_column_may_have_any_name_and_is_named_in_its_error(name):
    columns = {name: {"type": "integer", "lower": 3, "upper": 1}}
    with pytest.raises(ConfigError, match="lower must be below upper") as caught:
        Domain.from_dict({"columns": columns, "task": "none"})
    assert f"columns.{name}: lower" in str(caught.value)


def test_categories_are_text_as_spark_writes_them():
    domain = Domain.from_dict({"columns": {"x": {"type": "categorical", "values": [True, 1, "a"]}}, "task": "none"})
    assert domain.columns["x"].values == ("true", "1", "a")
    assert value_text(False) == "false"


def test_bounds_of_times_are_utc_seconds():
    column = {"type": "timestamp", "lower": dt.date(1970, 1, 2), "upper": "1970-01-03T00:00:00+02:00"}
    found = Domain.from_dict({"columns": {"x": column}, "task": "none"}).columns["x"]
    assert found.lower_number == 86_400.0
    assert found.upper_number == 2 * 86_400.0 - 7_200.0


def test_features_and_classes_leave_the_label_out_and_in():
    domain = Domain.from_dict(domain_with({"type": "integer", "lower": 0, "upper": 1}))
    assert list(domain.features) == ["x"]
    assert domain.classes == ("no", "yes")
    assert Domain.from_dict({"columns": {"y": LABEL}, "task": "none"}).classes == ()


def test_a_label_in_another_case_is_proposed():
    columns = {"y": {"type": "categorical", "values": ["no", "yes"]}}
    with pytest.raises(ConfigError, match=r"label 'Y' is not among the columns; did you mean 'y'\?"):
        Domain.from_dict({"label": "Y", "columns": columns})
