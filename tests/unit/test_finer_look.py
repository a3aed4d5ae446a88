"""A finer look at narrow data in wide bounds: cells where the rows are, and no look where there is nothing to see."""

from types import SimpleNamespace

import numpy as np
import pytest

from threea_spark.encode.finer import finer_look, largest_bound
from threea_spark.encode.grid import leaf_grid
from threea_spark.encode.quantiles import QuantileField

N_ROWS, STDDEV, CELL_ROWS = 20_000, 40.0, 400.0
QUANTILES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])


def field_of(lower, upper, *, whole=False, nullable=False):
    return QuantileField("x", "integer" if whole else "float", nullable, leaf_grid(lower, upper, whole=whole))


def first_look(field, values, rng):
    block = field.counts(values) + rng.normal(0.0, STDDEV, field.n_nodes)
    return field.fit(block, float(len(values)), STDDEV, 64)


def looked_at_again(field, values, rng, *, factor=1.0):
    first = first_look(field, values, rng)
    look = finer_look([first], float(len(values)), STDDEV)
    if look is None:
        return first, None
    query = look.query(SimpleNamespace(read=lambda batch: [batch]))
    noisy = query.contribution(values) + rng.normal(0.0, factor * STDDEV, look.size)
    (codec,) = look.refined([first], noisy, STDDEV, n_rows=float(len(values)), cell_rows=[CELL_ROWS])
    return first, codec


def error(codec, values):
    """Mean distance of the codec's quantiles from the rows', in their standard deviations."""
    drawn = codec.value(np.clip(np.array([-1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645]), -3.0, 3.0))
    return float(np.abs(drawn - np.quantile(values, QUANTILES)).mean() / values.std())


@pytest.mark.parametrize(
    ("lower", "upper", "middle", "spread"),
    [(-90.0, 90.0, 40.75, 0.03), (-180.0, 180.0, -73.97, 0.03), (0.0, 1e9, 5e8, 1e4), (-180.0, 180.0, 13.4, 1e-3)],
)
def test_narrow_rows_get_cells_where_they_lie_and_one_look_would_do_worse(lower, upper, middle, spread):
    rng = np.random.default_rng(5)
    values = rng.normal(middle, spread, N_ROWS)
    first, codec = looked_at_again(field_of(lower, upper), values, rng)
    assert codec is not None
    assert codec.n_value_cells >= 15
    assert error(codec, values) < 0.15
    assert error(first, values) > 2.0 * error(codec, values)
    assert codec.grid.low[0] == lower
    assert codec.grid.high[-1] == upper
    assert np.all(codec.grid.low[1:] >= codec.grid.high[:-1])


def test_two_narrow_places_far_apart_are_both_resolved():
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(40.75, 0.02, N_ROWS // 2), rng.normal(-33.87, 0.02, N_ROWS // 2)])
    _, codec = looked_at_again(field_of(-90.0, 90.0), values, rng)
    drawn = codec.draw(rng.integers(0, codec.n_value_cells, 4_000), rng.random(4_000))
    for place in (40.75, -33.87):
        near = drawn[np.abs(drawn - place) < 1.0]
        assert len(near) > 500
        assert near.std() < 0.1


def test_whole_numbers_stay_whole_and_nulls_stay_out():
    rng = np.random.default_rng(7)
    values = rng.integers(5_000_000, 5_000_300, N_ROWS).astype(float)
    values[:4_000] = np.nan
    _, codec = looked_at_again(field_of(0, 10**9, whole=True, nullable=True), values, rng)
    drawn = codec.draw(rng.integers(0, codec.n_value_cells, 1_000), rng.random(1_000))
    assert np.array_equal(drawn, np.rint(drawn))
    assert np.mean(np.abs(drawn - 5_000_150) < 300) > 0.8
    assert codec.null_share == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("spread", ["even", "ages", "all at a bound", "no rows"])
def test_no_second_look_where_leaves_are_fine_or_cannot_be_split(spread):
    rng = np.random.default_rng(8)
    field, values = {
        "even": (field_of(0.0, 1.0), rng.random(N_ROWS)),
        "ages": (field_of(0, 120, whole=True), np.full(N_ROWS, 40.0)),
        "all at a bound": (field_of(0.0, 100.0), np.zeros(N_ROWS)),
        "no rows": (field_of(0.0, 100.0), np.zeros(0)),
    }[spread]
    assert looked_at_again(field, values, rng)[1] is None


def test_noise_larger_than_told_would_show():
    """The twin: with twenty times the noise the same rows are not resolved."""
    values = np.random.default_rng(9).normal(40.75, 0.03, N_ROWS)

    def mean_error(factor):
        looks = [
            looked_at_again(field_of(-90.0, 90.0), values, np.random.default_rng(s), factor=factor) for s in range(6)
        ]
        return np.mean([error(codec, values) for _, codec in looks])

    assert mean_error(1.0) < 0.1 < mean_error(20.0)


def test_a_row_adds_no_more_than_the_bound_whatever_it_holds():
    rng = np.random.default_rng(11)
    values = rng.normal(40.75, 0.03, N_ROWS)
    for nullable in (False, True):
        look = finer_look([first_look(field_of(-90.0, 90.0, nullable=nullable), values, rng)], float(N_ROWS), STDDEV)
        query = look.query(SimpleNamespace(read=lambda batch: [batch]))
        assert look.bound.squared_norm <= largest_bound(1).squared_norm
        for value in (np.nan, 40.75, 40.7, -90.0, 90.0, 1e300, -1e300, 0.0, *values[:20]):
            moved = query.contribution(np.array([value]))
            assert int((moved**2).sum()) <= look.bound.squared_norm
            assert np.count_nonzero(moved) <= look.bound.moved
