import numpy as np
import pytest
from small_tables import category, number

from threea_spark.encode.codec import Encoding
from threea_spark.encode.numbers import PointCodec
from threea_spark.encode.times import TimeCodec

AGE = PointCodec("age", "integer", False, 0.0, 120.0, 41.0)
PAY = PointCodec("pay", "float", True, -1.0, 1.0, 0.25)


@pytest.mark.parametrize("values", [[0.0, 41.0, 120.0], [-1e300, 1e300], []])
def test_every_value_has_the_one_cell_and_the_one_score(values):
    score = AGE.score(np.array(values))
    assert score.tolist() == [0.0] * len(values)
    assert AGE.cell(score).tolist() == [0] * len(values)
    assert AGE.cell(np.array([-3.0, 3.0])).tolist() == [0, 0]


def test_every_draw_and_every_score_gives_the_point():
    cell, uniform = np.zeros(5, dtype=np.int64), np.array([0.0, 0.2, 0.5, 0.9, np.nextafter(1.0, 0.0)])
    assert AGE.draw(cell, uniform).tolist() == [41.0] * 5
    assert AGE.value(np.array([-3.0, 0.0, 3.0])).tolist() == [41.0] * 3


def test_its_parts_are_those_of_one_cell():
    assert AGE.n_value_cells == len(AGE.cell_mass) == 1
    assert len(AGE.cell_edges) == 0
    assert AGE.cell_mass.sum() == 1.0
    assert (AGE.n_cells, PAY.n_cells) == (1, 2)


def test_a_null_keeps_a_cell_of_its_own():
    column = PAY.decode_cells(np.array([0, 1, 0, 1]), np.random.default_rng(1))
    assert np.array_equal(column.values, [0.25, np.nan, 0.25, np.nan], equal_nan=True)


def test_packed_rows_of_points_say_only_what_is_null():
    encoding = Encoding((AGE, PAY, category("ward", "a", "b")), None, 10.0)
    packed = encoding.pack([np.array([3.0, 99.0]), np.array([np.nan, 0.5]), np.array([0, 1])])
    assert encoding.width == 1 + 2 + 2
    assert packed[:, 0].tolist() == [0, 0]
    assert (packed[:, 2] > 0).tolist() == [True, False]
    assert encoding.cells(packed).tolist() == [[0, 2, 3], [0, 1, 4]]
    unlike = Encoding((number("age", 0, 120, whole=True), PAY, category("ward", "a", "b")), None, 10.0)
    columns = [np.array([3.0, 99.0]), np.array([np.nan, 0.5]), np.array([0, 1])]
    assert unlike.pack(columns)[0, 0] != unlike.pack(columns)[1, 0]  # a number that is no point does tell


def test_a_point_in_time_still_moves_to_its_drawn_hour():
    noon = 1_600_000_000.0 // 86_400 * 86_400 + 12 * 3_600
    seen = PointCodec("seen", "timestamp", False, noon - 1e6, noon + 1e6, noon)
    hour = category("hour", *map(str, range(24)))
    cells = np.array([[0, 0], [0, 12], [0, 23]])
    moved = TimeCodec(seen, (hour,)).decode(cells, np.random.default_rng(1)).values
    assert ((moved - noon) / 3_600).tolist() == [-12.0, 0.0, 11.0]
