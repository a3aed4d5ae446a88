import numpy as np
import pytest
from queries import query_of

from threea_spark.errors import PrivacyError
from threea_spark.privacy.query import HeldRows, RowBound
from threea_spark.privacy.terms import Stage


@pytest.mark.parametrize(("squared_norm", "moved"), [(0, 1), (-1, 1), (1, 0), (1, -3), (0, 0)])
def test_a_bound_is_positive(squared_norm, moved):
    with pytest.raises(PrivacyError, match="positive"):
        RowBound(squared_norm, moved)


def test_a_row_that_counts_adds_one_to_each_of_its_cells():
    assert RowBound.count() == RowBound(1, 1)
    assert RowBound.count(5) == RowBound(5, 5)
    with pytest.raises(PrivacyError):
        RowBound.count(0)


def test_a_query_holds_name_bound_size_and_contribution_and_cannot_be_changed():
    query = query_of(Stage.ENCODE, "a", np.array([3, 4]), squared=25)
    assert (query.stage, query.name, query.size, query.bound) == (Stage.ENCODE, "a", 2, RowBound(25, 2))
    with pytest.raises(AttributeError):
        query.bound = RowBound(1, 1)


def test_held_rows_give_sums_in_the_order_of_the_queries_and_a_view_of_them():
    held = HeldRows(np.array([1, 2, 3]))
    queries = [query_of(Stage.ADAPT, name, np.array([own])) for name, own in (("a", 5), ("b", 6))]
    assert [own.tolist() for own in held.sums(queries)] == [[5], [6]]
    assert held.seen_as(lambda rows: rows * 10).exposed().tolist() == [10, 20, 30]
