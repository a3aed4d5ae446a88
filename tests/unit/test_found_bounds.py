"""Bounds that are `auto`: found from noisy counts, wide enough, and rarely stretched by noise."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.bounds import bounded, bounds_layout, with_widest_bounds
from threea_spark.errors import ConfigError

STDDEV = 50.0


def domain(**columns):
    return Domain.from_dict({"task": "none", "columns": columns})


def auto(kind="float", **own):
    return {"type": kind, "lower": "auto", "upper": "auto", **own}


def noisy(layout, columns, rng, stddev=STDDEV):
    batch = pa.RecordBatch.from_arrays([pa.array(c) for c in columns], [own.source for own in layout.columns])
    exact = layout.query().contribution(batch)
    return exact + rng.normal(0.0, stddev, layout.size)


def found_in(values, *, told=STDDEV, stddev=STDDEV, seed=0, **column):
    own = domain(x={**auto(), **column})
    layout = bounds_layout(own)
    return layout.found(noisy(layout, [values], np.random.default_rng(seed), stddev), told, own)["x"]


NARROW = np.random.default_rng(1).uniform(40.0, 41.0, 20_000)


def test_bounds_are_powers_of_two_around_the_rows():
    found = found_in(NARROW)
    assert found.is_clear
    assert found.lower <= 32.0
    assert 64.0 <= found.upper <= 256.0


def test_whole_numbers_stay_whole_and_times_begin_years():
    rng = np.random.default_rng(2)
    own = domain(n=auto("integer"), t=auto("timestamp"))
    layout = bounds_layout(own)
    times = pa.array(rng.integers(1.55e15, 1.58e15, 20_000), pa.timestamp("us", tz="UTC"))
    found = layout.found(noisy(layout, [rng.integers(-300, 70_000, 20_000).astype(float), times], rng), STDDEV, own)
    assert isinstance(found["n"].upper, int)
    assert found["n"].upper in (131_072, 262_144)
    lower, upper = found["t"].lower, found["t"].upper
    assert (lower.month, lower.day, upper.month, upper.day) == (1, 1, 1, 1)
    assert (
        lower
        <= dt.datetime(2016, 1, 1, tzinfo=dt.timezone.utc)
        < upper
        <= dt.datetime(2128, 1, 1, tzinfo=dt.timezone.utc)
    )
    resolved = bounded(own, found).columns["n"]
    assert resolved.has_bounds
    assert resolved.upper == found["n"].upper


def test_a_declared_bound_is_kept_wherever_the_rows_lie():
    assert found_in(NARROW, lower=-7.0).lower == -7.0
    assert found_in(NARROW, upper=1000.0).upper == 1000.0
    beyond = found_in(NARROW, lower=100.0)
    assert beyond.lower == 100.0 < beyond.upper
    beneath = found_in(NARROW, upper=3.0)
    assert beneath.lower < 3.0 == beneath.upper


@pytest.mark.parametrize("values", [np.zeros(0), np.full(5_000, np.nan), np.array([np.inf, -np.inf, 1e300])])
def test_tables_of_nothing_have_bounds_too(values):
    found = found_in(values)
    assert found.lower < found.upper
    assert np.isfinite([found.lower, found.upper]).all()


def test_the_outermost_bin_with_any_count_would_be_a_worse_bound():
    """The naive rule takes every noisy count above zero, and ends at the ends of all numbers."""
    ours, naive = [], []
    own = domain(x=auto())
    layout = bounds_layout(own)
    for seed in range(100):
        counts = noisy(layout, [NARROW], np.random.default_rng(seed))
        ours.append(np.log2(layout.found(counts, STDDEV, own)["x"].upper))
        naive.append(np.log2(layout.columns[0].edges[1:][counts > 0.0].max()))
    assert np.mean(np.array(ours) <= 8.0) >= 0.97
    assert np.median(naive) > 50.0


@pytest.mark.parametrize(("factor", "is_right"), [(1.0, True), (2.0, False)])
def test_far_empty_bins_are_rarely_taken_where_the_noise_is_as_told(factor, is_right):
    """At most one time in a hundred by the threshold; noise of twice the scale stretches bounds nearly always."""
    far = [found_in(NARROW, stddev=factor * STDDEV, seed=seed).upper > 2.0**12 for seed in range(200)]
    assert (np.mean(far) <= 0.03) == is_right


def test_a_row_counts_in_one_bin_of_each_column_whatever_it_holds():
    own = domain(a=auto(), b=auto("integer", lower=3), t=auto("timestamp"))
    layout, rng = bounds_layout(own), np.random.default_rng(3)
    hard = [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1e300, -1.0, float(2**53), None]
    for _ in range(40):
        cells = [pa.array([hard[rng.integers(len(hard))]], pa.float64()) for _ in range(2)]
        batch = pa.RecordBatch.from_arrays(
            [*cells, pa.array([int(rng.integers(-6e16, 2e17))], pa.timestamp("us", tz="UTC"))],
            [column.source for column in layout.columns],
        )
        moved = layout.query().contribution(batch)
        assert int((moved**2).sum()) <= layout.bound.squared_norm
        assert np.count_nonzero(moved) <= layout.bound.moved


def test_conditional_releases_find_no_bounds():
    content = {
        "source": {"path": "s"},
        "target": {"path": "t"},
        "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": "row", "accounting": "conditional"},
        "domain": {"task": "none", "columns": {"x": auto()}},
        "anonymize": {"generator": "mix"},
        "adapt": {"method": "none"},
    }
    with pytest.raises(ConfigError, match="declare those that are auto"):
        ReleaseConfig.from_dict(content)


def test_plans_take_the_widest_bounds():
    own = with_widest_bounds(domain(a=auto(), b=auto("integer", lower=3), t=auto("timestamp", upper="2020-01-01")))
    assert all(column.has_bounds for column in own.columns.values())
    assert own.columns["b"].lower == 3
