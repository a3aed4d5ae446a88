"""What is known of a table to append to is judged before a row is read: names, types, NOT NULL, CHECK."""

import itertools

import pytest

from threea_spark.config.domain import Domain
from threea_spark.errors import TargetExistsError
from threea_spark.publish.constraints import is_certain
from threea_spark.publish.fitting_target import TargetColumn, check_fits

DOMAIN = Domain.from_dict(
    {
        "task": "none",
        "columns": {
            "price": {"type": "float", "lower": 0, "upper": 99.5},
            "n": {"type": "integer", "lower": -5, "upper": 300, "nullable": True},
            "grp": {"type": "categorical", "values": ["a", "b", "it's"], "nullable": True},
            "code": {"type": "categorical", "values": ["1", "2.0", "300"]},
            "town": {"type": "categorical", "values": "open"},
            "at": {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"},
            "y": {"type": "categorical", "values": ["no", "yes"]},
        },
    }
)
TYPES = {"price": "double", "n": "int", "grp": "string", "code": "int", "town": "string", "at": "date", "y": "string"}


def checked(*, casts=True, properties=None, without=(), extra=(), **changed):
    """Checks a target like the release, but for what is changed: a type, or whether it may be null."""
    found = [
        TargetColumn(name.upper(), own if isinstance(own, str) else TYPES[name], own is not False, has_default=False)
        for name in TYPES
        if name not in without
        for own in [changed.get(name, TYPES[name])]
    ]
    check_fits("t", [*found, *extra], properties or {}, TYPES, DOMAIN, casts=casts)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"casts": False},
        {"y": False},
        {"price": "decimal(10,2)"},
        {"n": "bigint"},
        {"n": "smallint"},
        {"n": "double"},
        {"code": "string"},
        {"at": "timestamp"},
        {"grp": "varchar(4)", "y": "char(3)", "casts": False},
        {"extra": [TargetColumn("id", "bigint", True, False), TargetColumn("kind", "int", False, True)]},
        {"properties": {"delta.constraints.low": "price < 200", "threea.epsilon": "1"}},
    ],
)
def test_a_table_that_can_take_all_that_the_domain_allows_passes(changes):
    checked(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"without": ["grp"]}, r"'grp': not a column of the target; add it there \(string\)"),
        ({"grp": False}, "'grp': NOT NULL in the target, but the domain says nullable"),
        ({"n": "tinyint"}, "'n': tinyint in the target, but int in the release; it cannot hold 300"),
        ({"code": "tinyint"}, "it cannot hold 300"),
        ({"n": "decimal(3,1)"}, "it cannot hold 300"),
        ({"price": "decimal(4,3)"}, "it cannot hold 100"),
        ({"price": "int"}, "values would change"),
        ({"grp": "int"}, "values would change"),
        ({"n": "string", "casts": False}, "a table at a path takes the same type only"),
        ({"n": "bigint", "casts": False}, "a table at a path takes the same type only"),
        ({"grp": "varchar(3)"}, 'the listed "it\'s" is longer'),
        ({"town": "char(9)"}, "values that are found may be longer"),
        ({"extra": [TargetColumn("id", "bigint", False, False)]}, "'id': NOT NULL in the target without a default"),
        (
            {"properties": {"delta.constraints.low": "price < 50"}},
            r"CHECK low \(price < 50\): the domain does not rule",
        ),
    ],
)
def test_a_table_that_may_refuse_a_row_is_refused_with_the_column_or_constraint(changes, said):
    with pytest.raises(TargetExistsError, match=said) as caught:
        checked(**changes)
    assert str(caught.value).startswith("target: t cannot take the rows of this release:\n")


CERTAIN = [
    "price >= 0", "price < 99.6", "0 <= PRICE", "price <= 100 AND price > -1", "price BETWEEN -1 AND 100",
    "(price < 200) and (y is not null)", "y IN ('no', 'yes', 'perhaps')", "n IS NULL OR n <= 300",
    "(n is null) or (n between -5 and 300)", "price < 5 OR price >= 0", "`price` <> -3", "code in (1, 2, 300)",
    "code <= 300", "code IN ('1', '2.0', '300')", "grp IS NULL OR grp IN ('a', 'b', 'it''s')", "price != 1e3",
    "n IS NULL OR grp IS NULL OR (n < 301 AND grp IN ('a','b','it''s'))",
]  # fmt: skip
NOT_CERTAIN = [
    "price < 50", "price > 0", "price < 99.4", "n <= 300", "n IS NOT NULL", "n IS NULL", "n IS NULL OR n < 300",
    "y IN ('no')", "y = 'no'", "grp IN ('a', 'b', 'it''s')", "n IS NULL OR price < 50", "NOT price > 100",
    "price * 2 < 500", "price < 200 - 150",
    "length(y) < 9", "other < 5", "price < n", "at > '2019-01-01'", "town IN ('a')", "price <",
    "(price < 200", "price < 200)", "", "y", "y LIKE '%'", "price < 200 AND", "price <=> 5",
    "n IS NULL AND price < 200",     "grp IS NULL OR n IS NULL OR n < 5", "price IN (1)", "true", "y < 5",
]  # fmt: skip


@pytest.mark.parametrize("expression", CERTAIN)
def test_what_the_domain_proves_is_certain(expression):
    assert is_certain(expression, DOMAIN.columns)


def test_a_number_that_is_rounded_may_leave_its_bounds():
    assert not is_certain("price < 99.6", DOMAIN.columns, {"PRICE"})
    assert is_certain("price <= 100", DOMAIN.columns, {"price"})
    checked(properties={"delta.constraints.low": "price < 99.6"})
    with pytest.raises(TargetExistsError, match="CHECK low"):
        checked(price="decimal(10,2)", properties={"delta.constraints.low": "price < 99.6"})


@pytest.mark.parametrize("expression", NOT_CERTAIN)
def test_what_a_row_may_break_or_is_not_understood_is_not(expression):
    assert not is_certain(expression, DOMAIN.columns)


ATOMS = {
    "price < 60": lambda price, n: price < 60, "price <= 100": lambda price, n: price <= 100,
    "n IS NULL": lambda price, n: n is None, "n < 301": lambda price, n: n is not None and n < 301,
    "n > 0": lambda price, n: n is not None and n > 0, "n IS NOT NULL": lambda price, n: n is not None,
}  # fmt: skip


def test_no_expression_is_called_certain_that_some_row_breaks():
    """All forms of three atoms, against corners of the domain; null counts as false, which AND and OR keep."""
    rows = list(itertools.product([0.0, 59.0, 61.0, 99.5], [None, -5, 0, 1, 300]))
    n_certain = 0
    for one, two, three in itertools.product(ATOMS, repeat=3):
        forms = {
            f"{one} AND {two} OR {three}": lambda r, a=one, b=two, c=three: (
                (ATOMS[a](*r) and ATOMS[b](*r)) or ATOMS[c](*r)
            ),
            f"{one} AND ({two} OR {three})": lambda r, a=one, b=two, c=three: (
                ATOMS[a](*r) and (ATOMS[b](*r) or ATOMS[c](*r))
            ),
            f"({one} OR {two}) OR {three}": lambda r, a=one, b=two, c=three: (
                ATOMS[a](*r) or ATOMS[b](*r) or ATOMS[c](*r)
            ),
        }
        for text, holds in forms.items():
            if is_certain(text, DOMAIN.columns):
                n_certain += 1
                assert all(map(holds, rows)), text
    assert n_certain > 50
