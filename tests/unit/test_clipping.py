import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from threea_spark.privacy.clipping import clip_rows

ANY_ROWS = st.integers(1, 40).flatmap(
    lambda d: arrays(np.int64, (3, d), elements=st.integers(-(2**20), 2**20) | st.integers(-3, 3))
)


@settings(max_examples=300, deadline=None)
@given(rows=ANY_ROWS, norm=st.integers(1, 2**21))
def test_no_clipped_row_is_longer_than_the_bound(rows, norm):
    clipped = clip_rows(rows, norm)
    squared = [sum(int(v) ** 2 for v in row) for row in clipped]  # Python integers: no overflow
    assert all(s <= norm * norm for s in squared)
    for before, after in zip(rows, clipped, strict=True):
        if sum(int(v) ** 2 for v in before) <= norm * norm:
            assert np.array_equal(before, after)
        else:
            assert np.all(np.abs(after) <= np.abs(before))
            assert np.all(before * after >= 0)


@pytest.mark.parametrize("value", [2**31, 2**40, 2**62, -(2**63), 2**63 - 1])
def test_coordinates_whose_squares_overflow_are_clipped_as_well(value):
    clipped = clip_rows(np.array([[value, value, value, value], [1, 1, 1, 1]]), 1000)
    assert sum(int(v) ** 2 for v in clipped[0]) <= 1000**2
    assert clipped[1].tolist() == [1, 1, 1, 1]


def test_clipping_keeps_most_of_a_long_row():
    clipped = clip_rows(np.array([[30_000, 40_000]]), 5_000)
    assert np.allclose(clipped, [[3_000, 4_000]], atol=1)


def test_clipping_leaves_its_input_as_it_was():
    rows = np.array([[10, 10]])
    clip_rows(rows, 1)
    assert rows.tolist() == [[10, 10]]
