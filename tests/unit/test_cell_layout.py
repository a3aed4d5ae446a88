import numpy as np
import pytest

from threea_spark.encode.cell_layout import CellLayout

LAYOUT = CellLayout((2, 1, 3))
CELLS = np.array([[1.0, 3.0, 5.0, 1.0, 1.0, 2.0], [2.0, 0.0, 1.0, 0.0, 0.0, 4.0]])


def test_every_cell_belongs_to_one_feature():
    assert LAYOUT.offsets.tolist() == [0, 2, 3, 6]
    assert (LAYOUT.n_features, LAYOUT.n_cells) == (3, 6)
    assert LAYOUT.feature_of_cell.tolist() == [0, 0, 1, 2, 2, 2]
    assert [np.arange(6)[LAYOUT.of(feature)].tolist() for feature in range(3)] == [[0, 1], [2], [3, 4, 5]]


@pytest.mark.parametrize("cells", [CELLS, CELLS[0]])
def test_split_cells_join_to_the_whole(cells):
    parts = LAYOUT.split(cells)
    assert [part.shape[-1] for part in parts] == [2, 1, 3]
    assert np.array_equal(np.concatenate(parts, axis=-1), cells)


def test_normalised_cells_sum_to_one_in_each_feature():
    assert LAYOUT.totals(CELLS).tolist() == [[4.0, 5.0, 4.0], [2.0, 1.0, 4.0]]
    assert LAYOUT.normalise(CELLS)[0].tolist() == [0.25, 0.75, 1.0, 0.25, 0.25, 0.5]
    assert np.allclose(LAYOUT.totals(LAYOUT.normalise(CELLS)), 1.0)


def test_a_table_without_features_has_no_cells():
    empty = CellLayout(())
    assert (empty.n_cells, empty.split(np.zeros((2, 0)))) == (0, [])
    assert empty.totals(np.zeros((2, 0))).shape == empty.normalise(np.zeros((2, 0))).shape == (2, 0)
