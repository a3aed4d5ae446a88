"""What the domain does not fit is counted and told: only above noise, with its cause, and never by a row's value."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from in_memory import run_in_memory

from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.misfits import misfit_layout, words_of
from threea_spark.encode.outline import encode_prices
from threea_spark.planned import make_plan, ways_through

DOMAIN = Domain.from_dict(
    {
        "task": "none",
        "columns": {
            "sex": {"type": "categorical", "values": ["male", "female"]},
            "height": {"type": "float", "lower": 0, "upper": 3, "nullable": True},
            "seen": {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"},
            "town": {"type": "categorical", "values": "open"},
            "free": {"type": "categorical", "values": "open", "nullable": True},
        },
    }
)
PLACES = {"source": {"path": "s"}, "target": {"path": "t"}}
MICROS = pa.timestamp("us", tz="UTC")
LAYOUT = misfit_layout(DOMAIN, counts_rows=True)


def batch(**columns):
    names = list(DOMAIN.columns)
    types = [pa.string(), pa.float64(), MICROS, pa.string(), pa.string()]
    arrays = [pa.array(columns[name], kind) for name, kind in zip(names, types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, [f"c{place}" for place in range(len(names))])


ROWS = batch(
    sex=["male", "Male", "female ", None, "female"],
    height=[1.8, 180.0, None, -1.0, 3.0],
    seen=[None, 0, 1_600_000_000_000_000, 1_700_000_000_000_000, 1_590_000_000_000_000],
    town=["a", None, "b", "c", "d"],
    free=[None, None, "x", "y", "z"],
)


def exact(rows):
    return LAYOUT.misfits(LAYOUT.query().contribution(rows).astype(float), 1e-9, float(rows.num_rows))


def test_every_kind_of_misfit_is_counted_and_what_fits_is_not():
    shares = {(own.column, own.kind): own.share for own in exact(ROWS)}
    assert shares == {
        ("sex", "not listed"): 0.4,
        ("sex", "null"): 0.2,
        ("height", "below"): 0.2,
        ("height", "above"): 0.2,
        ("seen", "below"): 0.2,
        ("seen", "above"): 0.2,
        ("seen", "null"): 0.2,
        ("town", "null"): 0.2,
    }


def test_a_row_adds_at_most_one_for_each_column_and_itself():
    worst = batch(sex=["?"], height=[9.0], seen=[None], town=[None], free=[None])
    moved = LAYOUT.query().contribution(worst)
    assert int((moved**2).sum()) == LAYOUT.bound.squared_norm == 5
    assert np.count_nonzero(moved) <= LAYOUT.bound.moved
    assert LAYOUT.size == len(moved)


def test_words_name_column_cause_and_remedy_and_no_value_of_a_row():
    words = " ".join(words_of(exact(ROWS)))
    assert words.startswith("40%")
    assert "40% of 'sex' is none of the listed values: check case, blanks and type" in words
    assert "20% of 'height' lies above its upper bound" in words
    assert not any(value in words for value in ("Male", "180", "female "))


def test_a_bound_that_is_to_be_found_cannot_be_missed_and_nothing_to_miss_asks_for_no_sum():
    number = {"type": "float", "lower": "auto", "upper": 1, "nullable": True}
    free = {"type": "categorical", "values": "open", "nullable": True}
    own = Domain.from_dict({"task": "none", "columns": {"x": number, "free": free}})
    assert [column.kinds for column in misfit_layout(own).columns] == [("above",)]
    alone = {"columns": {"free": free}, "task": "none"}
    config = ReleaseConfig.from_dict(
        {**PLACES, "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": "row"}, "domain": alone}
    )
    prices = encode_prices(config, 1.0)
    assert prices.misfits == 0.0
    assert prices.values**2 + prices.histograms**2 == pytest.approx(1.0)
    assert "misfits" not in {own.name for own in next(iter(ways_through(config, make_plan(config))))}


@pytest.mark.parametrize(("factor", "is_right"), [(1.0, True), (2.0, False)])
def test_noise_alone_is_rarely_told_where_it_is_as_stated(factor, is_right):
    """In 1 of 100 tables by the threshold; the twin's noise of twice the scale is told far more often."""
    rng, n_rows, stddev = np.random.default_rng(3), 10_000.0, 300.0
    told = [
        bool(words_of(LAYOUT.misfits(rng.normal(0.0, factor * stddev, LAYOUT.size), stddev, n_rows)))
        for _ in range(600)
    ]
    assert (np.mean(told) <= 0.025) == is_right


def release(frame, columns, *, epsilon, label="y"):
    return run_in_memory(
        frame,
        {
            **PLACES,
            "privacy": {"epsilon": epsilon, "delta": 1e-5, "unit": "row"},
            "domain": {"columns": columns, "label": label},
            "adapt": {"method": "none"},
            "approximate": {"components": 1},
        },
    )


def listed(*values):
    return {"type": "categorical", "values": list(values)}


OPEN = {"type": "categorical", "values": "open"}


@pytest.fixture(scope="module")
def misfit():
    rng, n_rows = np.random.default_rng(4), 20_000
    frame = pd.DataFrame(
        {
            "height": rng.normal(170.0, 10.0, n_rows),
            "sex": rng.choice(["Female", "Male"], n_rows),
            "fine": rng.choice(["a", "b"], n_rows),
            "y": rng.choice(["no", "yes"], n_rows),
        }
    )
    columns = {
        "height": {"type": "float", "lower": 0, "upper": 3},
        "sex": listed("male", "female"),
        "fine": listed("a", "b"),
        "y": listed("no", "yes"),
    }
    return release(frame, columns, epsilon=30.0)


def test_a_release_tells_what_its_domain_misses_and_which_columns_became_constant(misfit):
    fitted, _, rows = misfit
    advice = "\n".join(fitted.advice)
    assert "100% of 'sex' is none of the listed values" in advice
    assert "100% of 'height' lies above its upper bound" in advice
    assert "'fine'" not in advice
    assert (rows["sex"] == "male").mean() > 0.995
    assert "'sex'" in next(text for text in fitted.advice if "one value in all" in text)
    shares = fitted.fit.as_dict()["not in the domain"]
    assert shares["sex"]["not listed"] == pytest.approx(1.0, abs=0.05)
    assert set(shares) == {"height", "sex", "fine", "y"}


@pytest.fixture(scope="module")
def open_columns():
    rng, n_rows = np.random.default_rng(5), 6_000
    weights = 1.0 / np.arange(1, 191) ** 0.7
    zones = np.array([f"zone {number}" for number in range(190)])
    frame = pd.DataFrame(
        {
            "zone": rng.choice(zones, n_rows, p=weights / weights.sum()),
            "sex": rng.choice(["male", "female"], n_rows),
            "y": rng.choice(["no", "yes"], n_rows),
        }
    )
    return release(frame, {"zone": OPEN, "sex": OPEN, "y": listed("no", "yes")}, epsilon=1.0)


def test_other_is_not_invented_where_every_value_was_found(open_columns):
    fitted, _, rows = open_columns
    assert set(rows["sex"]) == {"male", "female"}
    assert fitted.fit.as_dict()["open columns"]["sex"] == {"values found": 2, "other": 0.0}


def test_a_column_that_mostly_became_other_is_told_with_what_helps(open_columns):
    fitted, _, rows = open_columns
    told = next(text for text in fitted.advice if "'zone'" in text)
    assert "became 'other'" in told
    assert "list the values, raise epsilon, or use a coarser column" in told
    share = fitted.fit.as_dict()["open columns"]["zone"]["other"]
    assert share == pytest.approx((rows["zone"] == "other").mean(), abs=0.1)
