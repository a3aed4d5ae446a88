import pytest

from threea_spark.config.domain import Domain
from threea_spark.errors import SchemaError
from threea_spark.source.schema import check_names, check_schema, left_out

NUMBER = {"type": "integer", "lower": 0, "upper": 9}


def checked(column, simple, unit=None):
    check_schema(
        {"x": simple, "y": "int"}, Domain.from_dict({"task": "none", "columns": {"x": column, "y": NUMBER}}), unit
    )


@pytest.mark.parametrize(
    ("column", "simple", "hint"),
    [
        (NUMBER, "string", "store it as a number"),
        (NUMBER, "struct<a:int>", "store it as a number"),
        ({"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"}, "bigint", "store it as a timestamp"),
        ({"type": "categorical", "values": ["a"]}, "array<string>", "store it as plain columns"),
        ({"type": "categorical", "values": ["1", "two"]}, "int", "cannot hold the listed ['two']"),
        ({"type": "categorical", "values": "open"}, "bigint", "list the values"),
        (
            {"type": "categorical", "values": ["no", "yes"]},
            "boolean",
            "cannot hold the listed ['no', 'yes'], which are true",
        ),
        ({"type": "categorical", "values": ["1", "0"]}, "boolean", "which are true and false"),
        ({"type": "categorical", "values": ["1", "1.0"]}, "double", "the listed '1' and '1.0' are equal"),
        ({"type": "categorical", "values": ["CA  "]}, "char(4)", "without the blanks at its end; list 'CA'"),
        ({"type": "categorical", "values": ["0.125"]}, "decimal(10,2)", "cannot hold the listed ['0.125']"),
    ],
)
def test_a_column_that_does_not_fit_is_named_with_its_fix(column, simple, hint):
    with pytest.raises(SchemaError) as caught:
        checked(column, simple)
    assert "'x'" in str(caught.value)
    assert hint in str(caught.value)
    assert "'y'" not in str(caught.value)


@pytest.mark.parametrize("simple", ["string", "int", "boolean", "date", "decimal(10,2)", "double"])
def test_what_the_type_holds_passes(simple):
    values = {"boolean": ["true", "false"], "date": ["2020-01-01"]}.get(simple, ["1", "2"])
    checked({"type": "categorical", "values": values}, simple)


def test_an_absent_unit_column_and_a_near_name_are_pointed_out():
    with pytest.raises(SchemaError, match=r"privacy\.unit\.column"):
        checked(NUMBER, "int", unit="person")
    with pytest.raises(SchemaError, match=r"did you mean 'X'\?"):
        check_schema({"X": "int", "y": "int"}, Domain.from_dict({"task": "none", "columns": {"x": NUMBER}}), None)
    with pytest.raises(
        SchemaError, match=r"'ID': the unit of privacy is not a column of the source; did you mean 'id'\?"
    ):
        check_schema({"id": "int", "y": "int"}, Domain.from_dict({"task": "none", "columns": {"y": NUMBER}}), "ID")


def test_names_that_spark_does_not_tell_apart_are_refused_where_they_are_read():
    check_names(["age", "Other", "other"], {"age"})
    for columns in (["Age", "x", "age"], ["age", "age"]):
        with pytest.raises(SchemaError, match=r"'.ge' and 'age', which Spark does not tell apart; rename one"):
            check_names(columns, {"age"})


@pytest.mark.parametrize(
    "simple",
    [
        "string", "varchar(20)", "char(5)", "tinyint", "smallint", "int", "bigint", "decimal(38,0)", "decimal(10,2)",
        "date", "boolean", "binary",
    ],
)  # fmt: skip
def test_a_unit_whose_values_are_equal_where_their_text_is_passes(simple):
    check_schema({"x": simple, "y": "int"}, Domain.from_dict({"task": "none", "columns": {"y": NUMBER}}), "x")


@pytest.mark.parametrize(
    "simple",
    [
        "string collate UTF8_LCASE", "string collate UNICODE_CI", "string collate UTF8_BINARY_RTRIM", "float", "double",
        "timestamp", "timestamp_ntz", "time(6)", "interval day to second", "interval year to month", "void",
        "struct<a:int>", "array<string>", "map<string,int>", "variant", "geometry(4326)", "a type of later years",
    ],
)  # fmt: skip
def test_a_unit_whose_text_does_not_tell_its_values_apart_is_refused_in_one_line(simple):
    with pytest.raises(SchemaError) as caught:
        check_schema({"x": simple, "y": "int"}, Domain.from_dict({"task": "none", "columns": {"y": NUMBER}}), "x")
    _, line = str(caught.value).splitlines()
    assert line.startswith("  'x': the unit of privacy")
    assert simple in line
    assert "privacy.unit.column" in line


def test_what_the_domain_does_not_name_is_left_out():
    assert left_out({"x": "int", "z": "int"}, Domain.from_dict({"task": "none", "columns": {"x": NUMBER}})) == ["z"]
