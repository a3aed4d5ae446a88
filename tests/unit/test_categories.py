import numpy as np
import pytest

from threea_spark.encode.categories import CategoryCodec, category_codec


def test_rare_levels_share_a_cell_and_frequent_ones_do_not():
    masses = np.array([500.0, 1.0, 300.0, 2.0, *[0.5] * 10])
    code = category_codec("x", tuple("abcdefghijklmn"), False, masses, min_rows=10.0, max_cells=64)
    assert code.n_cells == 3
    assert code.cell_of[0] != code.cell_of[2]
    rare = [1, 3, *range(4, 14)]
    assert len(set(code.cell_of[rare].tolist())) == 1


def test_few_levels_keep_cells_of_their_own():
    code = category_codec("x", tuple("abc"), True, np.array([100.0, 0.0, 0.0, 5.0]), min_rows=10.0, max_cells=64)
    assert code.cell_of.tolist() == [0, 1, 2, 3]
    assert (code.n_cells, code.n_value_cells, code.n_coordinates) == (4, 4, 4)


def test_the_most_frequent_levels_take_the_cells_there_are():
    masses = np.arange(100.0, 0.0, -1.0)[::-1]
    code = category_codec("x", tuple(map(str, range(100))), True, np.append(masses, 7.0), min_rows=0.0, max_cells=8)
    assert code.n_cells == 10  # eight, the one of the rest, the one of null
    assert len(set(code.cell_of[92:100].tolist())) == 8


def test_a_cell_draws_its_own_levels_by_their_mass():
    code = CategoryCodec(
        "x", ("a", "b", "c", "d"), True, np.array([0, 1, 1, 0, 2]), np.array([1.0, 6.0, 2.0, 3.0, 9.0])
    )
    rng = np.random.default_rng(4)
    for cell, levels in ((0, {0, 3}), (1, {1, 2}), (2, {4})):
        drawn = code.draw(np.full(20_000, cell), rng.random(20_000))
        assert set(drawn.tolist()) == levels
    first = code.draw(np.zeros(20_000, dtype=np.int64), rng.random(20_000))
    assert np.mean(first == 3) == pytest.approx(0.75, abs=0.02)
    assert code.draw(np.array([0, 1, 2]), np.array([0.0, 0.0, 0.0])).tolist() == [0, 1, 4]


def test_levels_without_mass_can_be_drawn_without_error():
    code = CategoryCodec("x", ("a", "b"), False, np.array([0, 1]), np.zeros(2))
    assert code.draw(np.array([0, 1]), np.array([0.5, 0.5])).tolist() == [0, 1]


def test_the_values_in_cells_are_named():
    code = CategoryCodec("x", ("a", "b", "c"), True, np.array([0, 1, 1, 2]), np.ones(4))
    assert code.values_in(np.array([1, 2])) == ["b", "c", "null"]
    assert code.values_in(np.array([], dtype=np.int64)) == []
