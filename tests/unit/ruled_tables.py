"""A small table with every rule between columns: rows that keep the rules, rows that break them, and who keeps what."""

import datetime as dt

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from threea_spark import ReleaseConfig
from threea_spark.config.domain import Domain

STATES = {"Boston": "MA", "Cambridge": "MA", "Austin": "TX", "Dallas": "TX", "Miami": "FL"}
REGIONS = {"MA": 1, "FL": 2, "TX": 2}
PAIRS = [("F", "yes"), ("F", "no"), ("M", "no"), ("M", None)]
DAY = 86_400
TIMES = {"type": "timestamp", "lower": "2020-01-01", "upper": "2020-12-31"}
RATE = {"type": "float", "lower": 0, "upper": 10, "nullable": True}
COLUMNS = {
    "city": {"type": "categorical", "values": list(STATES)},
    "state": {"type": "categorical", "values": ["TX", "FL", "MA"]},
    "region": {"type": "integer", "lower": 0, "upper": 5},
    "begin": TIMES,
    "seen": {**TIMES, "nullable": True},
    "end": {**TIMES, "nullable": True, "upper": "2021-06-30"},
    "adults": {"type": "integer", "lower": 1, "upper": 8},
    "children": {"type": "integer", "lower": 0, "upper": 6},
    "guests": {"type": "integer", "lower": 1, "upper": 10},
    "sex": {"type": "categorical", "values": ["F", "M"]},
    "pregnant": {"type": "categorical", "values": ["yes", "no"], "nullable": True},
    "sodium": RATE,
    "potassium": RATE,
    "lab": {"type": "categorical", "values": ["a", "b"], "nullable": True},
    "q1": {"type": "integer", "lower": 1, "upper": 5, "nullable": True},
    "q2": {"type": "categorical", "values": ["x", "y"], "nullable": True},
    "q3": {**RATE},
    "sick": {"type": "categorical", "values": ["no", "yes"]},
}
RULES = [
    {"functional": {"from": "city", "to": "state"}},
    {"functional": {"from": "state", "to": "region"}},
    {"order": {"columns": ["begin", "seen", "end"]}},
    {"sum": {"parts": ["adults", "children"], "total": "guests"}},
    {"allowed": {"columns": ["sex", "pregnant"], "combinations": [list(pair) for pair in PAIRS]}},
    {"together": ["sodium", "potassium", "lab"]},
    {"exactly_one": ["q1", "q2", "q3"]},
    {"unique": "id"},
]
CONTENT = {"label": "sick", "columns": COLUMNS, "rules": RULES}
DOMAIN = Domain.from_dict(CONTENT)
_FIRST = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)


def config(*, epsilon=8.0, generator="sample", domain=CONTENT, **sections):
    """A release of the table; sections override."""
    content = {
        "source": {"path": "source"},
        "target": {"path": "target"},
        "privacy": {"epsilon": epsilon, "delta": 1e-5, "unit": "row"},
        "domain": domain,
        "anonymize": {"generator": generator},
    }
    return ReleaseConfig.from_dict({**content, **sections})


def frame(n_rows=1_500, seed=0):
    """Rows that keep every rule; half of a block is null, and the label follows the length of a stay."""
    rng = np.random.default_rng(seed)
    city = rng.choice(list(STATES), n_rows)
    begin = pd.Timestamp(_FIRST) + pd.to_timedelta(rng.integers(0, 300, n_rows), unit="D")
    stay = rng.poisson(4, n_rows)
    seen, end = begin + pd.to_timedelta(stay // 2, unit="D"), begin + pd.to_timedelta(stay, unit="D")
    adults, children = rng.integers(1, 5, n_rows), rng.integers(0, 4, n_rows)
    pair, null, which = rng.integers(0, 4, n_rows), rng.random(n_rows) < 0.5, rng.integers(0, 3, n_rows)
    state = pd.Series(city).map(STATES)
    return pd.DataFrame(
        {
            "id": np.arange(n_rows) + 1_000,
            "city": city,
            "state": state,
            "region": state.map(REGIONS),
            "begin": begin,
            "seen": pd.Series(seen).where(rng.random(n_rows) < 0.7),
            "end": pd.Series(end).where(rng.random(n_rows) < 0.8),
            "adults": adults,
            "children": children,
            "guests": adults + children,
            "sex": [PAIRS[number][0] for number in pair],
            "pregnant": [PAIRS[number][1] for number in pair],
            "sodium": np.where(null, np.nan, rng.normal(5, 1, n_rows).clip(0, 10)),
            "potassium": np.where(null, np.nan, rng.normal(3, 1, n_rows).clip(0, 10)),
            "lab": np.where(null, None, rng.choice(["a", "b"], n_rows)),
            "q1": np.where(which == 0, rng.integers(1, 6, n_rows), np.nan),
            "q2": np.where(which == 1, rng.choice(["x", "y"], n_rows), None),
            "q3": np.where(which == 2, rng.random(n_rows) * 10, np.nan),
            "sick": np.where(stay + rng.normal(0, 1, n_rows) > 4, "yes", "no"),
        }
    )


def with_none(texts):
    """Cells of a column of text, None for null in pandas 2 and 3."""
    return [None if cell != cell else cell for cell in texts.tolist()]


def broken(rows):
    """Shares of rows that break a rule, by rule; empty where all keep them."""
    one = rows[["q1", "q2", "q3"]].notna().sum(axis=1)
    null = rows[["sodium", "potassium", "lab"]].isna().sum(axis=1)
    pairs = list(zip(rows["sex"], with_none(rows["pregnant"]), strict=True))
    in_order = [
        ~(rows[low].notna() & rows[high].notna() & (rows[low] > rows[high]))
        for low, high in (("begin", "seen"), ("seen", "end"), ("begin", "end"))
    ]
    kept = {
        "city": rows.groupby("city")["state"].nunique(dropna=False).max() == 1,
        "state": rows.groupby("state")["region"].nunique(dropna=False).max() == 1,
        "order": np.logical_and.reduce(in_order),
        "sum": rows["adults"] + rows["children"] == rows["guests"],
        "bounds": (rows["guests"] <= 10) & (rows["adults"] >= 1),
        "allowed": [pair in PAIRS for pair in pairs],
        "together": null.isin([0, 3]),
        "exactly one": one == 1,
        "unique": rows["id"].is_unique and rows["id"].min() == 1 if "id" in rows else True,
    }
    shares = {name: 1.0 - float(np.mean(own)) for name, own in kept.items()}
    return {name: share for name, share in shares.items() if share > 0.0}


def _moment(seconds):
    return _FIRST + dt.timedelta(seconds=seconds)


@st.composite
def kept_rows(draw):
    """One row that keeps every rule, in the order of the columns."""
    city = draw(st.sampled_from(list(STATES)))
    begin = draw(st.integers(0, 300 * DAY))
    seen = draw(st.none() | st.integers(begin, 365 * DAY - 1))
    end = draw(st.none() | st.integers(begin if seen is None else seen, 540 * DAY))
    adults = draw(st.integers(1, 6))
    children = draw(st.integers(0, min(6, 10 - adults)))
    sex, pregnant = draw(st.sampled_from(PAIRS))
    rate = st.floats(0, 10)
    block = draw(st.none() | st.tuples(rate, rate, st.sampled_from("ab"))) or (None,) * 3
    asked = [None] * 3
    which = draw(st.integers(0, 2))
    asked[which] = draw([st.integers(1, 5).map(float), st.sampled_from("xy"), rate][which])
    times = [None if own is None else _moment(own) for own in (begin, seen, end)]
    state = STATES[city]
    numbers = [float(number) for number in (adults, children, adults + children)]
    sick = draw(st.sampled_from(["no", "yes"]))
    return (city, state, float(REGIONS[state]), *times, *numbers, sex, pregnant, *block, *asked, sick)


@st.composite
def any_rows(draw):
    """One row of whatever cells, most of them against the rules."""
    number = st.none() | st.floats() | st.integers(-3, 12).map(float)
    moment = st.none() | st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=st.just(dt.timezone.utc))
    text = st.none() | st.sampled_from(["F", "M", "yes", "no", "a", "x", "y", "MA", "TX", "Boston", "Miami", ""])
    own = {"integer": number, "float": number, "timestamp": moment, "categorical": text}
    return tuple(draw(own[column.type]) for column in DOMAIN.columns.values())
