import numpy as np
import pytest

from threea_spark.encode.categories import CategoryField
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.encode.moments import MOMENT_GRID, AffineCodec, MomentField

X = MomentField("x", "float", True, -5.0, 15.0)
LAYOUT = HistogramLayout((X, CategoryField("c", ("a", "b"), False)))
EXTREME = [np.nan, np.inf, -np.inf, 1e300, -5.0, 15.0, 5.0, 0.0, 14.999]


@pytest.mark.parametrize("value", EXTREME)
@pytest.mark.parametrize("level", [0, 1])
def test_a_row_stays_within_the_bound(value, level):
    rows = [np.array([1.0, 2.0, np.nan]), np.array([0, 1, 1])]
    with_one_more = [np.append(rows[0], np.clip(value, -1e300, 1e300)), np.append(rows[1], level)]
    moved = LAYOUT.counts(with_one_more) - LAYOUT.counts(rows)
    assert int((moved**2).sum()) <= LAYOUT.bound.squared_norm
    assert moved[0] == MOMENT_GRID


def test_parts_add_up_to_the_whole():
    x, c = np.linspace(-9, 20, 301), np.arange(301) % 2
    parts = sum(LAYOUT.counts([x[i::3], c[i::3]]) for i in range(3))
    assert parts.tolist() == LAYOUT.counts([x, c]).tolist()


def test_mean_and_scale_are_recovered_without_noise():
    x = np.random.default_rng(3).normal(4.0, 2.0, 20_000)
    x[::10] = np.nan
    rows = LAYOUT.rows(LAYOUT.counts([x, np.zeros(20_000)]).astype(float), 0.0)
    codes, n_rows = LAYOUT.fit(rows, n_cells=[16, 16]), rows.n_rows
    assert n_rows == pytest.approx(20_000)
    assert codes[0].mean == pytest.approx(4.0, abs=0.1)
    assert codes[0].scale == pytest.approx(2.0, rel=0.1)
    assert codes[0].n_value_cells == 16


def test_a_column_drowned_in_noise_still_has_a_usable_code():
    codes = LAYOUT.fit(LAYOUT.rows(np.array([-50.0, 1e6, -1e6, 3e5, 10.0, -10.0]), 1e6), n_cells=[4, 4])
    assert -5.0 <= codes[0].mean <= 15.0
    assert codes[0].scale > 0.0
    drawn = codes[0].draw(np.repeat(np.arange(4), 50), np.linspace(0.0, 0.999, 200))
    assert np.isfinite(drawn).all()
    assert (drawn >= -5.0).all()
    assert (drawn <= 15.0).all()


def affine(kind="float"):
    return AffineCodec("x", kind, False, 0.0, 100.0, 40.0, 20.0, np.array([-1.0, 0.0, 1.0]))


def test_an_affine_code_inverts_within_its_bounds():
    code = affine()
    values = np.linspace(0.0, 100.0, 201)
    assert np.allclose(code.value(code.score(values)), values)
    assert np.all(np.diff(code.score(np.array([-1e300, 0.0, 50.0, 100.0, 1e300]))) >= 0.0)
    assert code.value(np.array([-100.0, 100.0])).tolist() == [0.0, 100.0]


def test_an_affine_cell_holds_what_is_drawn_from_it():
    code = affine()
    cell = np.repeat(np.arange(code.n_value_cells), 200)
    drawn = code.draw(cell, np.tile(np.linspace(0.001, 0.999, 200), code.n_cells))
    assert np.array_equal(code.cell(code.score(drawn)), cell)
    assert code.cell_mass.sum() == pytest.approx(1.0)
    whole = affine("integer").draw(cell, np.tile(np.linspace(0.0, 0.999, 200), code.n_cells))
    assert np.array_equal(whole, np.rint(whole))


def test_a_constant_column_keeps_the_least_scale():
    rows = [np.full(1_000, 4.0), np.zeros(1_000, dtype=np.int64)]
    codecs = LAYOUT.fit(LAYOUT.rows(LAYOUT.counts(rows).astype(float), 0.0), n_cells=[4, 4])
    assert codecs[0].scale == pytest.approx(10.0 / MOMENT_GRID)  # of half the range
