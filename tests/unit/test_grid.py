import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threea_spark.encode.grid import N_LEAVES, GuidedSearch, LeafGrid, leaf_grid

FLOAT_BOUNDS = [
    (0.0, 1.0),
    (-1.0, 1.0),
    (0.0, 1e-300),
    (1e-300, 1e300),
    (-1e300, 1e300),
    (-5.0, 0.0),
    (-3.0, -1.0),
    (1e9, 1e9 + 1.0),
    (-1e-12, 1e12),
    (0.1, 0.1 + 1e-15),
]
WHOLE_BOUNDS = [
    (0, 1),
    (-1, 1),
    (0, 120),
    (0, N_LEAVES - 1),
    (0, N_LEAVES),
    (-N_LEAVES, N_LEAVES),
    (-(2**53), 2**53),
    (0, 2**53),
    (1_262_304_000, 1_893_456_000),
    (-40, 100_000),
]


def probes(lower, upper, whole):
    rng = np.random.default_rng(1)
    inner = lower + rng.random(2_000) * (upper - lower) if np.isfinite(upper - lower) else rng.choice([-1, 1], 2_000)
    near = np.array([lower, upper, np.nextafter(lower, upper), np.nextafter(upper, lower), 0.0, 5e-324])
    values = np.clip(np.concatenate([inner, near]), lower, upper)
    return np.unique(np.rint(values)) if whole else np.unique(values)


@pytest.mark.parametrize(
    ("lower", "upper", "whole"), [(*b, False) for b in FLOAT_BOUNDS] + [(*b, True) for b in WHOLE_BOUNDS]
)
def test_every_value_falls_in_a_leaf_that_holds_it(lower, upper, whole):
    grid = leaf_grid(lower, upper, whole=whole)
    values = probes(float(lower), float(upper), whole)
    leaf = grid.index(values)
    assert np.all(grid.low[leaf] <= values)
    assert np.all(values <= grid.high[leaf])
    assert 1 <= grid.n_leaves <= N_LEAVES
    assert np.all(grid.low <= grid.high)
    assert np.all(np.diff(grid.low) >= 0.0)
    assert np.all(grid.high[:-1] <= grid.low[1:])
    assert (grid.low[0], grid.high[-1]) == (lower, upper)


@pytest.mark.parametrize(("lower", "upper"), FLOAT_BOUNDS)
def test_zero_and_both_bounds_have_leaves_of_their_own(lower, upper):
    grid = leaf_grid(lower, upper, whole=False)
    for atom in {lower, upper} | ({0.0} if lower < 0.0 < upper else set()):
        leaf = grid.index(np.array([atom]))[0]
        assert grid.low[leaf] == grid.high[leaf] == atom


@pytest.mark.parametrize(("lower", "upper"), WHOLE_BOUNDS)
def test_whole_numbers_have_leaves_for_zero_and_the_bounds(lower, upper):
    grid = leaf_grid(lower, upper, whole=True)
    for atom in {lower, upper} | ({0} if lower < 0 < upper else set()):
        leaf = grid.index(np.array([float(atom)]))[0]
        assert grid.low[leaf] == grid.high[leaf] == atom


def test_whole_numbers_stay_within_bounds_that_are_none():
    grid = leaf_grid(-1.5, 3.5, whole=True)
    assert (grid.low.min(), grid.high.max()) == (-1.0, 3.0)


@pytest.mark.parametrize(("lower", "upper"), [(0, 1), (-3, 9), (0, N_LEAVES - 1)])
def test_few_whole_numbers_round_trip_exactly(lower, upper):
    grid = leaf_grid(lower, upper, whole=True)
    values = np.arange(lower, upper + 1, dtype=np.float64)
    leaf = grid.index(values)
    assert len(set(leaf.tolist())) == len(values)
    for fraction in (0.0, 0.5, 1.0):
        assert np.array_equal(grid.value(leaf, np.full(len(values), fraction)), values)


@pytest.mark.parametrize(("lower", "upper"), WHOLE_BOUNDS)
def test_whole_numbers_stay_whole_and_inside_their_leaf(lower, upper):
    grid = leaf_grid(lower, upper, whole=True)
    leaf = np.arange(grid.n_leaves)
    for fraction in (0.0, 0.3, 0.999999, 1.0):
        values = grid.value(leaf, np.full(grid.n_leaves, fraction))
        assert np.array_equal(values, np.floor(values))
        assert np.all((grid.low <= values) & (values <= grid.high))


@pytest.mark.parametrize(("lower", "upper"), FLOAT_BOUNDS)
def test_a_value_is_its_leaf_and_fraction(lower, upper):
    grid = leaf_grid(lower, upper, whole=False)
    values = probes(lower, upper, whole=False)
    leaf = grid.index(values)
    fraction = grid.fraction(values, leaf)
    assert np.all((fraction >= 0.0) & (fraction <= 1.0))
    back = grid.value(leaf, fraction)
    assert np.all(np.abs(back - values) <= 1e-9 * (grid.high[leaf] - grid.low[leaf]) + 1e-12 * np.abs(values))


def test_values_outside_count_as_the_bound():
    grid = leaf_grid(0.0, 1.0, whole=False)
    assert grid.index(np.array([-1e300, -1.0, 2.0, 1e300])).tolist() == [0, 0, grid.n_leaves - 1, grid.n_leaves - 1]


@settings(max_examples=150, deadline=None)
@given(
    lower=st.floats(-1e300, 1e300),
    width=st.floats(1e-3, 1e300),
    at=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20),
)
def test_any_float_bounds_make_a_sound_grid(lower, width, at):
    upper = min(lower + width, 1.7e308)
    if not lower < upper:
        return
    grid = leaf_grid(lower, upper, whole=False)
    values = np.clip(lower + np.array(at) * (upper - lower), lower, upper)
    leaf = grid.index(values)
    assert np.all((grid.low[leaf] <= values) & (values <= grid.high[leaf]))
    assert grid.n_leaves <= N_LEAVES


@settings(max_examples=150, deadline=None)
@given(
    lower=st.integers(-(2**53), 2**53 - 1),
    width=st.integers(1, 2**54),
    at=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20),
)
def test_any_whole_bounds_make_a_sound_grid(lower, width, at):
    upper = min(lower + width, 2**53)
    grid = leaf_grid(float(lower), float(upper), whole=True)
    values = np.clip(np.rint(lower + np.array(at) * (upper - lower)), lower, upper)
    leaf = grid.index(values)
    assert np.all((grid.low[leaf] <= values) & (values <= grid.high[leaf]))
    assert grid.n_leaves <= N_LEAVES


@pytest.mark.parametrize("n_leaves", [1, 2, 37, 4096])
def test_leaves_are_those_of_a_plain_search(n_leaves: int) -> None:
    rng = np.random.default_rng(n_leaves)
    mass = rng.random(n_leaves) ** 8 + 1e-9
    cdf = np.concatenate([[0.0], np.cumsum(mass) / mass.sum()])
    cdf[-1] = 1.0
    u = np.concatenate([rng.random(20_000), cdf, np.nextafter(cdf, 0.0), [0.0, 1.0]])
    plain = np.clip(np.searchsorted(cdf, u, side="right") - 1, 0, n_leaves - 1)
    np.testing.assert_array_equal(GuidedSearch(cdf).leaf_of(u), plain)


TWINS = LeafGrid(np.array([0.0, 0.0, 1.0, 1.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0, 1.0, 2.0, 2.0]), whole=False)
ONE = LeafGrid(np.array([3.0]), np.array([9.0]), whole=False)


@pytest.mark.parametrize(
    "grid",
    [
        *(leaf_grid(*bounds, whole=False) for bounds in FLOAT_BOUNDS),
        *(leaf_grid(*map(float, bounds), whole=True) for bounds in WHOLE_BOUNDS),
        leaf_grid(-4.0, 90.0, whole=False, atoms=(1.0, 77.7)),
        TWINS,
        ONE,
    ],
)
def test_many_values_are_found_in_the_leaves_of_a_plain_search(grid: LeafGrid) -> None:
    """The value of an atom belongs to the atom and not to the leaf that begins there."""
    rng = np.random.default_rng(4)
    ends = np.concatenate([grid.low, grid.high])
    drawn = grid.low[0] + rng.random(2_000) * (0.5 * grid.high[-1] - 0.5 * grid.low[0]) * 2.0
    near = [np.nextafter(ends, np.inf), np.nextafter(ends, -np.inf), np.array([0.0, -0.0, 5e-324, -5e-324, 1e300])]
    values = np.concatenate([ends, drawn, *near])
    values = np.rint(values) if grid.whole else values
    clipped = np.clip(values, grid.low[0], grid.high[-1])
    found = np.searchsorted(grid.low, clipped, side="right") - 1
    before = np.maximum(found - 1, 0)
    wanted = np.where(grid.is_atom[before] & (grid.low[before] == clipped), before, found)
    np.testing.assert_array_equal(grid.index(np.resize(values, max(len(values), 2_000)))[: len(values)], wanted)
    np.testing.assert_array_equal(grid.index(values[:500]), wanted[:500])  # few are searched one by one
