"""Rows drawn under conditions: they fit, they follow the law given the condition, and what cannot be is refused."""

import datetime as dt
from decimal import Decimal
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare
from small_tables import mixed_encoding
from test_sample import sampler_of

from threea_spark.cli.values import parsed_shares, parsed_where
from threea_spark.config.domain import Domain
from threea_spark.errors import ConfigError
from threea_spark.model.conditions import MIN_SHARE, Conditions, conditions_of
from threea_spark.model.sampler import draw_rows

ENCODING = mixed_encoding()
DOMAIN = Domain.from_dict(
    {
        "label": "died",
        "columns": {
            "age": {"type": "integer", "lower": 0, "upper": 120},
            "income": {"type": "float", "lower": 0, "upper": 1e6, "nullable": True},
            "ward": {"type": "categorical", "values": ["a", "b", "c"]},
            "sex": {"type": "categorical", "values": ["f", "m"], "nullable": True},
            "died": {"type": "categorical", "values": ["no", "yes"]},
        },
    }
)
N = 6_000


def drawing(seed=1, **own):
    return partial(draw_rows, sampler_of(**own), ENCODING, "died", rng=np.random.default_rng(seed))


def drawn(where=None, class_shares=None, n_rows=N, seed=1):
    return conditions_of(DOMAIN, where, class_shares).draw(drawing(seed), n_rows, np.random.default_rng(9))


def texts(column):
    return [None if level < 0 else column.values[level] for level in column.levels]


def test_every_row_fits_and_there_are_as_many_as_were_asked_for():
    columns = drawn({"died": "yes", "ward": "b", "age": (30, 40), "income": (0, 5e5)})
    assert set(texts(columns["died"])) == {"yes"}
    assert set(texts(columns["ward"])) == {"b"}
    assert ((columns["age"].values >= 30) & (columns["age"].values <= 40)).all()
    assert (columns["income"].values <= 5e5).all()
    assert {len(own.levels) if hasattr(own, "levels") else len(own.values) for own in columns.values()} == {N}


def test_what_is_not_asked_for_follows_the_law_given_the_condition():
    free = drawing(3)(20 * N)
    given = np.array(texts(free["died"])) == "yes"
    expected = np.bincount(free["ward"].levels[given], minlength=3) / given.sum()
    counts = np.bincount(drawn({"died": "yes"})["ward"].levels, minlength=3)
    assert chisquare(counts, expected * N).pvalue > 1e-4
    other = np.bincount(free["ward"].levels[~given], minlength=3) / (~given).sum()
    assert chisquare(counts, other * N).pvalue < 1e-4


def test_classes_have_the_shares_that_were_asked_for_in_no_order():
    classes = np.array(texts(drawn(class_shares={"yes": 0.9, "no": 0.1})["died"])) == "yes"
    assert classes.mean() == pytest.approx(0.9, abs=0.02)
    first, second = classes[: N // 2].mean(), classes[N // 2 :].mean()
    assert first == pytest.approx(second, abs=0.05)
    assert set(texts(drawn(class_shares={"yes": 1.0})["died"])) == {"yes"}


@pytest.mark.parametrize(
    ("where", "shares", "said"),
    [
        ({"agee": 3}, None, "'agee' is not among the released columns; did you mean 'age'"),
        ({"Age": 3}, None, r"'Age' is not among the released columns; did you mean 'age'\?"),
        ({"ward": "d"}, None, "no category 'd'"),
        ({"ward": None}, None, "'ward' is never null, for the domain does not say"),
        ({"ward": "null"}, None, "'ward' is never null"),
        ({"ward": ["a", "b"]}, None, "a category must be text"),
        ({"age": float("nan")}, None, "'age' is never null"),
        ({"age": "old"}, None, "numeric"),
        ({"age": ">60"}, None, "numeric; give a number or a pair"),
        ({"age": (1, 2, 3)}, None, "a range is a pair"),
        ({"age": (None, None)}, None, "a range is a pair"),
        ({"age": dt.date(2020, 1, 1)}, None, "numeric"),
        ({"age": (5, 3)}, None, "lowest"),
        ({"age": (float("nan"), 3)}, None, "numeric"),
        (None, {"perhaps": 1.0}, "no class 'perhaps'"),
        (None, {"yes": 0.7, "no": 0.7}, "sum to 1"),
        (None, {"yes": 1.5, "no": -0.5}, "sum to 1"),
        (None, {"yes": float("nan")}, "sum to 1"),
    ],
)
def test_what_the_domain_does_not_know_is_refused(where, shares, said):
    with pytest.raises(ConfigError, match=said):
        conditions_of(DOMAIN, where, shares)


def test_what_hardly_ever_is_drawn_is_refused_before_anything_runs():
    conditions_of(DOMAIN, {"age": (30, 40)}).check_reachable(drawing())
    with pytest.raises(ConfigError, match="one row in 1,000"):
        conditions_of(DOMAIN, {"income": (123.0, 123.0)}).check_reachable(drawing())
    rare = drawing(weights=(1.0 - MIN_SHARE / 3, MIN_SHARE / 3))
    with pytest.raises(ConfigError, match="class 'yes'"):
        conditions_of(DOMAIN, None, {"yes": 0.5, "no": 0.5}).check_reachable(rare)
    conditions_of(DOMAIN, None, {"yes": 0.0, "no": 1.0}).check_reachable(rare)


def test_no_condition_is_none():
    assert Conditions().are_none
    assert conditions_of(DOMAIN).are_none
    assert not conditions_of(DOMAIN, {"ward": "a"}).are_none


FEB = dt.datetime(2021, 2, 1, tzinfo=dt.timezone.utc).timestamp()
DAY = 86_400.0
ODD = Domain.from_dict(
    {
        "label": "code",
        "columns": {
            "seen": {"type": "timestamp", "lower": "2020-01-01", "upper": "2022-01-01", "nullable": True},
            "flag": {"type": "categorical", "values": [True, False]},
            "code": {"type": "categorical", "values": [1, "2.0", 3]},
            "ward": {"type": "categorical", "values": ["a b", "1..5", "g..h", "e=f", "null"], "nullable": True},
            "note": {"type": "categorical", "values": ["z"], "nullable": True},
            "town": {"type": "categorical", "values": "open", "nullable": True},
            "age": {"type": "integer", "lower": 0, "upper": 120, "nullable": True},
            "0": {"type": "float", "lower": 0, "upper": 1},
        },
    }
)


@pytest.mark.parametrize(
    ("name", "asked", "wanted"),
    [
        ("seen", ("2021-02-01", "2021-02-01"), (FEB, FEB + DAY)),
        ("seen", "2021-02-01", (FEB, FEB + DAY)),
        ("seen", dt.date(2021, 2, 1), (FEB, FEB + DAY)),
        ("seen", np.datetime64("2021-02-01"), (FEB, FEB + DAY)),
        ("seen", (dt.datetime(2021, 2, 1), dt.datetime(2021, 2, 2)), (FEB, FEB + DAY)),
        ("seen", (pd.Timestamp("2021-02-01 01:00", tz="Europe/Berlin"), None), (FEB, np.inf)),
        ("seen", "2021-02-01..2021-02-02T00:00", (FEB, FEB + DAY)),
        ("seen", "..2021-01-31T19:00-05:00", (-np.inf, FEB)),
        ("seen", (FEB, FEB + DAY), (FEB, FEB + DAY)),
        ("seen", pd.NaT, None),
        ("age", "60..80", (60, 80)),
        ("age", "60..", (60, np.inf)),
        ("age", (None, 5), (-np.inf, 5)),
        ("age", "-5..-1", (-5, -1)),
        ("age", np.int64(7), (7, 7)),
        ("age", "1e1", (10, 10)),
        ("age", [Decimal("1.5"), np.float32(2)], (1.5, 2)),
        ("age", None, None),
        ("age", float("nan"), None),
        ("age", "NULL", None),
        ("flag", True, "true"),
        ("flag", np.True_, "true"),
        ("flag", "False", "false"),
        ("code", 1.0, "1"),
        ("code", np.int64(2), "2.0"),
        ("code", "2", "2.0"),
        ("code", Decimal("3.00"), "3"),
        ("ward", "1..5", "1..5"),
        ("ward", "g..h", "g..h"),
        ("ward", "e=f", "e=f"),
        ("ward", "null", "null"),
        ("ward", None, None),
        ("note", "null", None),
        ("note", pd.NA, None),
        ("town", "Bath", "Bath"),
        ("town", 5.0, "5"),
        (0, ".5", (0.5, 0.5)),
    ],
)
def test_a_value_of_any_form_is_the_domain_s(name, asked, wanted):
    found = conditions_of(ODD, {name: asked})
    if wanted is None:
        assert (found.nulls, found.values, found.ranges) == ({name}, {}, {})
    elif isinstance(wanted, str):
        assert (found.nulls, found.values, found.ranges) == (set(), {name: wanted}, {})
    else:
        assert found.ranges[str(name)] == pytest.approx(wanted, abs=1e-5)
        assert (found.nulls, found.values) == (set(), {})
    assert not found.are_none


@pytest.mark.parametrize(
    ("asked", "said"),
    [("yesterday", "'seen' is a time; give a date, a time such as"), ("2021-03-01..2021-02-01", "lowest")],
)
def test_a_time_that_cannot_be_is_refused(asked, said):
    with pytest.raises(ConfigError, match=said):
        conditions_of(ODD, {"seen": asked})


def test_the_same_is_said_on_the_command_line():
    asked = parsed_where(["seen=2021-02-01..2021-02-01", "ward=1..5", "note=null", "age=60..", "flag=True", "code=1.0"])
    found = conditions_of(ODD, asked, {1.0: 0.25, "2": 0.75})
    assert found.values == {"ward": "1..5", "flag": "true", "code": "1"}
    assert found.ranges["seen"] == pytest.approx((FEB, FEB + DAY), abs=1e-5)
    assert found.class_shares == {"1": 0.25, "2.0": 0.75}


def test_rows_that_must_be_null_are():
    columns = drawn({"income": None, "sex": None, "ward": "b"}, n_rows=500)
    assert np.isnan(columns["income"].values).all()
    assert set(texts(columns["sex"])) == {None}
    assert not np.isnan(drawn(n_rows=500)["income"].values).all()


def test_options_are_read():
    assert parsed_where(["ward=b", "age=30..40", "note=a..b", "x=y=z"]) == {
        "ward": "b", "age": "30..40", "note": "a..b", "x": "y=z",
    }  # fmt: skip
    assert parsed_shares(["yes=.5", "no=0.5"]) == {"yes": 0.5, "no": 0.5}
    for broken in (["ward"], ["=b"], ["a=1", "a=2"]):
        with pytest.raises(ConfigError, match="--where"):
            parsed_where(broken)
    with pytest.raises(ConfigError, match="--class-share"):
        parsed_shares(["yes=half"])
