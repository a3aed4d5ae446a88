"""What a column's own type says of its cells: a number is its value, and CHAR(n) has no blanks at its end."""

from contextlib import contextmanager

import pyarrow as pa
import pytest
from tables import config_of

from threea_spark import ReleaseConfig
from threea_spark.config.domain import Domain
from threea_spark.encode.cells import levels_of
from threea_spark.engine.packed import column_name
from threea_spark.errors import SchemaError
from threea_spark.preflight import checked_types
from threea_spark.privacy.unit import PrivacyUnit
from threea_spark.source.rows import bound_rows, canonical, schema_of

LISTED = {
    "stars": ["1", "2.0", "03"], "half": [".5", "1", "1.50"], "code": ["7", "8.0", "9"], "ok": ["True", "false", "x"],
    "day": ["2020-01-01", "2020-01-02", "2020-01-03"], "at": ["2020-01-01", "2020-01-01 12:00:00", "2021-01-01"],
    "zip": ["02134", "2134", "1"],
}  # fmt: skip
ROWS = """
    SELECT CAST(id % 3 + 1 AS DOUBLE) stars, CAST((id % 3 + 1) / 2 AS DECIMAL(4, 2)) half, id % 3 + 7 code,
        IF(id % 3 = 2, null, id % 3 = 0) ok, DATE_ADD(DATE'2020-01-01', CAST(id % 3 AS INT)) day,
        ELEMENT_AT(ARRAY(TIMESTAMP'2020-01-01 00:00:00Z', TIMESTAMP'2020-01-01 12:00:00Z',
            TIMESTAMP'2021-01-01 00:00:00Z'), CAST(id % 3 + 1 AS INT)) at,
        ELEMENT_AT(ARRAY('02134', '2134', '1'), CAST(id % 3 + 1 AS INT)) zip
    FROM RANGE(6) ORDER BY id
"""


def domain_of(listed, **more):
    columns = {name: {"type": "categorical", "values": values, "nullable": True} for name, values in listed.items()}
    return Domain.from_dict({"task": "none", "columns": {**columns, **more}})


@contextmanager
def configured(spark, settings):
    before = {name: spark.conf.get(name) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_each_cell_is_the_listed_category_of_its_value(spark, zone):
    domain = domain_of(LISTED)
    with configured(spark, {"spark.sql.session.timeZone": zone}):
        rows = spark.sql(ROWS)
        cells = canonical(rows, domain, PrivacyUnit()).toArrow()
    for place, (name, values) in enumerate(LISTED.items()):
        column = cells.column(column_name(place)).combine_chunks()
        found = levels_of(column, tuple(values), unknown=-2, null=-1).tolist()
        assert found == ([0, 1, -1] if name == "ok" else [0, 1, 2]) * 2, name


def test_rows_of_any_type_are_bounded_by_unit(spark):
    rows = spark.sql(ROWS).selectExpr("*", "code % 2 AS who")
    kept = bound_rows(canonical(rows, domain_of(LISTED), PrivacyUnit("who", 2)), PrivacyUnit("who", 2), b"k" * 32)
    assert kept.count() == 4
    assert dict(kept.dtypes)["c1"] == "decimal(4,2)"


PADDING = [
    {"spark.sql.legacy.charVarcharAsString": "false", "spark.sql.readSideCharPadding": "true"},
    {"spark.sql.legacy.charVarcharAsString": "false", "spark.sql.readSideCharPadding": "false"},
    {"spark.sql.legacy.charVarcharAsString": "true", "spark.sql.readSideCharPadding": "true"},
]


@pytest.fixture(scope="module")
def padded(spark):
    """A table as a cluster writes it: CHAR(5) is stored with its blanks."""
    with configured(spark, PADDING[0]):
        spark.sql("CREATE TABLE threea_padded (st CHAR(5), town VARCHAR(9), n INT) USING delta")
        spark.sql("INSERT INTO threea_padded VALUES ('CA', 'Davis ', 1), ('NY', ' Rome', 2), (null, null, 3)")
    yield "threea_padded"
    spark.sql("DROP TABLE threea_padded")


@pytest.mark.parametrize("settings", PADDING, ids=["as on clusters", "without padding", "as text"])
@pytest.mark.parametrize("values", [["CA", "NY"], "open"])
def test_char_is_read_without_its_padding_however_the_session_reads_it(spark, padded, settings, values):
    domain = Domain.from_dict(
        {
            "task": "none",
            "columns": {
                "st": {"type": "categorical", "values": values},
                "town": {"type": "categorical", "values": "open"},
            },
        }
    )
    with configured(spark, settings):
        table = spark.table(padded)
        assert schema_of(table) == {"st": "char(5)", "town": "varchar(9)", "n": "int"}
        cells = canonical(table.orderBy("n"), domain, PrivacyUnit()).toArrow()
        columns = {name: domain.columns[name].model_dump() for name in domain.columns}
        plain = config_of("s", "t", columns=columns, label=None, task="none")
        types = checked_types(table, ReleaseConfig.from_dict(plain))
    assert cells.column("c0").to_pylist() == ["CA", "NY", None]
    assert cells.column("c1").to_pylist() == ["Davis ", " Rome", None]  # VARCHAR keeps what was written
    assert types == {"st": "string", "town": "string"}
    assert cells.column("c0").type == pa.string()


def test_a_listed_char_with_blanks_is_refused(spark, padded):
    plain = config_of("s", "t", columns={"st": {"type": "categorical", "values": ["CA   "]}}, label=None, task="none")
    with pytest.raises(SchemaError, match=r"'st': the source's char\(5\) is read without .* list 'CA'"):
        checked_types(spark.table(padded), ReleaseConfig.from_dict(plain))
