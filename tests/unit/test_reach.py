"""A thin tail up to the bound: it is there where bounds are near, and nothing where they are far."""

import numpy as np
import pytest

from threea_spark.encode.grid import leaf_grid
from threea_spark.encode.reach import HIDDEN_STDDEVS, with_reach

STDDEV = 100.0


def bulk(grid, low, high, rows=30_000.0):
    inside = (grid.low >= low) & (grid.high <= high)
    return np.where(inside, rows / inside.sum(), 0.0)


def moments(grid, masses):
    middle = 0.5 * (grid.low + grid.high)
    mean = np.dot(masses, middle) / masses.sum()
    return mean, np.sqrt(np.dot(masses, (middle - mean) ** 2) / masses.sum())


@pytest.mark.parametrize("whole", [True, False])
def test_a_near_bound_is_reached_and_the_bulk_stays_as_it_was(whole):
    grid = leaf_grid(0.0, 20.0, whole=whole)
    masses = bulk(grid, 3.0, 16.0)
    reached = with_reach(masses, STDDEV, grid)
    assert reached.sum() == pytest.approx(masses.sum())
    assert reached[0] >= 7.0
    assert reached[-1] >= 7.0
    added = reached - masses * (reached.max() / masses.max())
    assert added.sum() <= 2 * HIDDEN_STDDEVS * STDDEV
    (mean, spread), (new_mean, new_spread) = moments(grid, masses), moments(grid, reached)
    assert abs(new_mean - mean) < 0.02 * spread
    assert spread <= new_spread < 1.02 * spread


def test_the_tail_falls_from_the_bulk_to_the_bound():
    grid = leaf_grid(0.0, 30.0, whole=True)
    reached = with_reach(bulk(grid, 5.0, 20.0), STDDEV, grid)
    assert (np.diff(reached[21:-1]) < 0.0).all()
    assert (np.diff(reached[1:5]) > 0.0).all()


def test_a_far_bound_is_left_alone():
    grid = leaf_grid(0.0, 2_000.0, whole=True)
    masses = bulk(grid, 0.0, 20.0)
    assert (with_reach(masses, STDDEV, grid) == masses).all()


def test_exact_counts_and_columns_that_reach_their_bounds_need_no_tail():
    grid = leaf_grid(0.0, 20.0, whole=True)
    masses = bulk(grid, 0.0, 20.0)
    assert (with_reach(masses, STDDEV, grid) == masses).all()
    narrow = bulk(grid, 5.0, 9.0)
    assert (with_reach(narrow, 0.0, grid) == narrow).all()
