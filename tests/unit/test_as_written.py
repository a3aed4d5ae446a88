"""Whole releases in memory: values are released as they are written, spikes and blocks of nulls keep their shares."""

import numpy as np
import pandas as pd
import pytest
from in_memory import run_in_memory

from threea_spark.config.domain import Domain
from threea_spark.errors import ConfigError

N = 20_000
COLUMNS = {
    "price": {"type": "float", "lower": 0, "upper": 1000},
    "hours": {"type": "float", "lower": 0, "upper": 168},
    "rating": {"type": "float", "lower": 0, "upper": 5, "step": 0.5},
    "lab": {"type": "float", "lower": 0, "upper": 200},
    "posted": {"type": "timestamp", "lower": "2015-01-01", "upper": "2025-01-01"},
    "issue": {"type": "timestamp", "lower": "2010-01-01", "upper": "2025-01-01"},
    "born": {"type": "timestamp", "lower": "1900-01-01", "upper": "2020-01-01"},
    "y": {"type": "categorical", "values": ["a", "b"]},
}


def days(rng, first, n_days):
    return pd.to_datetime(first) + pd.to_timedelta(rng.integers(0, n_days, N), unit="D")


def months(rng, first, n_months, every=1):
    return pd.to_datetime(np.datetime64(first, "M") + every * rng.integers(0, n_months // every, N))


def frame(seed=1):
    rng = np.random.default_rng(seed)
    hours = np.where(rng.random(N) < 0.4, 40.0, np.clip(np.rint(rng.normal(38.0, 12.0, N)), 1.0, 99.0))
    refused = rng.random(N) < 0.03
    return pd.DataFrame(
        {
            "price": np.where(rng.random(N) < 0.03, 18.23, np.round(rng.gamma(2.0, 20.0, N), 2)),
            "hours": hours,
            "rating": rng.integers(2, 11, N) / 2.0,
            "lab": np.where(refused, 99.0, rng.normal(50.0, 12.0, N)),
            "posted": days(rng, "2019-01-01", 700),
            "issue": months(rng, "2015-01", 48),
            "born": np.where(
                rng.random(N) < 0.2, months(rng, "1940-01", 720, every=12), days(rng, "1940-01-01", 21_900)
            ),
            "y": np.where(rng.random(N) < np.where((hours == 40.0) | refused, 0.8, 0.2), "a", "b"),
        }
    )


def content(columns, label="y", epsilon=1.0):
    return {
        "source": {"path": "nowhere"},
        "target": {"path": "nowhere either"},
        "privacy": {"epsilon": epsilon, "delta": 1e-5, "unit": "row"},
        "domain": {"columns": columns, "label": label, "task": "classification"},
        "adapt": {"method": "none"},
    }


@pytest.fixture(scope="module")
def released():
    _, _, rows = run_in_memory(frame(), content(COLUMNS))
    for name in ("posted", "issue", "born"):
        rows[name] = pd.to_datetime(rows[name]).dt.tz_localize(None)
    return rows


def test_every_value_is_written_as_the_source_s_are(released):
    assert (released.price == released.price.round(2)).all()
    assert released.price.map(lambda value: len(repr(value).partition(".")[2])).max() <= 2
    assert (released.hours % 1.0 == 0.0).all()
    assert (released.rating % 0.5 == 0.0).all()
    assert (released.posted == released.posted.dt.normalize()).all()
    assert (released.born == released.born.dt.normalize()).all()
    assert (released.issue == released.issue.dt.to_period("M").dt.to_timestamp()).all()
    assert (released.lab % 1.0 != 0.0).mean() > 0.9, "what follows no step is not rounded"


def test_spikes_keep_their_share_and_what_they_say_of_the_label(released):
    real = frame()
    for name, value in (("price", 18.23), ("hours", 40.0), ("lab", 99.0)):
        assert (released[name] == value).mean() == pytest.approx((real[name] == value).mean(), abs=0.01), name
    first = (released.born.dt.day_of_year == 1).mean()
    assert first == pytest.approx((pd.to_datetime(real.born).dt.day_of_year == 1).mean(), abs=0.05)
    for name, value in (("hours", 40.0), ("lab", 99.0)):
        assert (released.y[released[name] == value] == "a").mean() > 0.55
        assert (released.y[released[name] != value] == "a").mean() < 0.55


def test_declared_atoms_keep_their_rows_whatever_the_step():
    real = frame().assign(lab=lambda rows: np.where(np.arange(N) % 20 == 0, 77.777777, rows.lab))
    columns = {"lab": {**COLUMNS["lab"], "atoms": [77.777777, 99]}, "y": COLUMNS["y"]}
    _, _, rows = run_in_memory(real, content(columns))
    for value in (77.777777, 99.0):
        assert (rows.lab == value).mean() == pytest.approx((real.lab == value).mean(), abs=0.01)


def test_parts_of_a_timestamp_leave_midnight_its_share_and_its_relation_to_the_label():
    rng = np.random.default_rng(4)
    at_midnight = rng.random(N) < 0.4
    minutes = np.where(at_midnight, 0, rng.integers(8 * 60, 18 * 60, N))
    seen = days(rng, "2020-01-01", 700) + pd.to_timedelta(minutes, unit="m")
    real = pd.DataFrame({"seen": seen, "y": np.where(rng.random(N) < 0.2 + 0.5 * at_midnight, "a", "b")})
    parts = {"type": "timestamp", "lower": "2019-01-01", "upper": "2023-01-01", "parts": ["hour", "weekday"]}
    _, _, rows = run_in_memory(real, content({"seen": parts, "y": COLUMNS["y"]}))
    own = pd.to_datetime(rows.seen).dt.tz_localize(None)
    midnight = own == own.dt.normalize()
    assert midnight.mean() == pytest.approx(0.4, abs=0.02)
    assert (own.dt.second == 0).all()
    assert own[~midnight].dt.hour.between(8, 17).mean() > 0.95
    assert (rows.y[midnight] == "a").mean() - (rows.y[~midnight] == "a").mean() > 0.35


def test_blocks_of_nulls_and_branches_of_a_survey_hold():
    rng = np.random.default_rng(3)
    missing, asked = rng.random(N) < 0.4, rng.integers(0, 3, N)
    labs = {name: np.where(missing, np.nan, rng.normal(5.0, 1.0, N)) for name in ("na", "k", "cl")}
    branch = {f"q{i}": np.where(asked == i, rng.integers(1, 5, N), np.nan) for i in range(3)}
    real = pd.DataFrame({**labs, **branch, "y": np.where(rng.random(N) < 0.2 + 0.4 * missing, "a", "b")})
    number, answer = ({"type": kind, "lower": 0, "upper": 10, "nullable": True} for kind in ("float", "integer"))
    columns = {**dict.fromkeys(labs, number), **dict.fromkeys(branch, answer), "y": COLUMNS["y"]}
    _, _, rows = run_in_memory(real, content(columns, epsilon=3.0))
    assert rows[list(labs)].isna().sum(axis=1).isin([0, 3]).all()
    assert (rows[list(branch)].notna().sum(axis=1) == 1).mean() > 0.97
    assert rows.na.isna().mean() == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ({"type": "float", "lower": 0, "upper": 10, "step": 20}, "step must not exceed"),
        ({"type": "float", "lower": 0, "upper": 10, "step": 0}, "step"),
        ({"type": "float", "lower": 0, "upper": 10, "step": 1 / 3}, "round it"),
        ({"type": "integer", "lower": 0, "upper": 10, "step": 0.5}, "whole numbers"),
        ({"type": "integer", "lower": 0, "upper": 10, "atoms": [99]}, "atoms must lie within"),
        ({"type": "float", "lower": 0, "upper": 100, "atoms": list(range(65))}, "at most 64 atoms"),
        ({"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01", "step": "5 months"}, "correct it"),
        ({"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01", "atoms": ["1999-01-01"]}, "within"),
    ],
)
def test_a_step_or_an_atom_that_cannot_be_is_refused_in_one_line_that_names_the_column(column, words):
    with pytest.raises(ConfigError, match=words) as caught:
        Domain.from_dict({"task": "none", "columns": {"x": column}})
    assert "x" in str(caught.value)
