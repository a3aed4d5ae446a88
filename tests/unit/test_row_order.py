"""The digest that orders a unit's rows: of all cells and null marks, by the key, and of nothing else."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from threea_spark.source.row_order import DIGEST_BYTES, row_digests

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
UTC = dt.timezone.utc
NUMBERS = st.none() | st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), 5e-324]) | st.floats()
TEXTS = st.none() | st.sampled_from(["", "a", "A", "a ", "\x00", "other"]) | st.text(max_size=3)
TIMES = st.none() | st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 1, 1), timezones=st.just(UTC))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, TEXTS, TEXTS, TIMES), min_size=1, max_size=12)


def digests(rows, key=KEY, zone="UTC"):
    kinds = [pa.float64(), pa.float64(), pa.string(), pa.string(), pa.timestamp("us", tz=zone)]
    cells = [pa.array([row[at] for row in rows], kind) for at, kind in enumerate(kinds)]
    return row_digests(cells, key).to_pylist()


def plain(row):
    return tuple(np.float64(cell).tobytes() if isinstance(cell, float) else cell for cell in row)


@settings(deadline=None, max_examples=150)
@given(ROWS)
def test_rows_share_a_digest_only_if_they_are_equal_and_null_in_the_same_places(rows):
    found = digests(rows)
    assert len(set(found)) == len(set(map(plain, rows)))
    assert all(len(digest) == DIGEST_BYTES for digest in found)


@settings(deadline=None, max_examples=50)
@given(ROWS, st.randoms(use_true_random=False))
def test_a_row_s_digest_looks_at_no_other_row(rows, random):
    alone = {plain(row): digests([row])[0] for row in rows}
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert digests(shuffled) == [alone[plain(row)] for row in shuffled]
    assert digests(rows[:1] * 40) == [alone[plain(rows[0])]] * 40


def test_a_value_that_moves_to_another_column_changes_the_digest():
    pairs = [(1.0, None, "x", None, None), (None, 1.0, None, "x", None), (1.0, None, None, "x", None)]
    assert len(set(digests(pairs))) == 3


def test_a_null_is_told_from_a_zero_a_first_moment_and_an_empty_text():
    epoch = dt.datetime(1970, 1, 1, tzinfo=UTC)
    rows = [(None, None, None, None, None), (0.0, None, None, None, None), (None, None, "", None, None)]
    assert len(set(digests([*rows, (None, None, None, None, epoch)]))) == 4


def test_a_slice_of_a_batch_has_the_digests_of_its_rows():
    rows = [(float(at), None, f"t{at}", None, None) for at in range(10)]
    cells = [pa.array([row[at] for row in rows], kind) for at, kind in ((0, pa.float64()), (2, pa.string()))]
    whole, part = row_digests(cells, KEY), row_digests([column.slice(4, 3) for column in cells], KEY)
    assert part.to_pylist() == whole.to_pylist()[4:7]


def test_an_instant_counts_and_not_the_zone_it_is_shown_in():
    row = [(None, None, None, None, dt.datetime(2020, 3, 29, 1, 30, tzinfo=UTC))]
    assert digests(row, zone="UTC") == digests(row, zone="Europe/Berlin")


def test_text_that_is_no_unicode_is_told_apart():
    cells = pa.array([b"\xff\xfe", b"\xff\xfd", b"u"], pa.binary()).view(pa.string())
    assert len(set(row_digests([cells], KEY).to_pylist())) == 3


@pytest.mark.parametrize("key", [OTHER_KEY, bytes(32)])
def test_another_key_gives_another_order(key):
    rows = [(float(at), None, None, None, None) for at in range(50)]
    one, other = digests(rows), digests(rows, key)
    assert not set(one) & set(other)
    assert sorted(range(50), key=one.__getitem__) != sorted(range(50), key=other.__getitem__)


def ranks_of_the_first(order, n_rows, n_keys):
    """The place of one row among its unit's, under many keys."""
    rows = [(float(at), None, f"row{at}", None, None) for at in range(n_rows)]
    ranks = np.zeros(n_rows, dtype=int)
    for number in range(n_keys):
        tokens = order(rows, number.to_bytes(32, "big"))
        ranks[sorted(range(n_rows), key=tokens.__getitem__).index(0)] += 1
    return ranks


def test_each_row_of_a_unit_is_as_likely_to_be_read_as_any_other():
    assert chisquare(ranks_of_the_first(digests, n_rows=8, n_keys=2000)).pvalue > 1e-4
    by_content = ranks_of_the_first(lambda rows, key: [row[0] for row in rows], n_rows=8, n_keys=100)
    assert chisquare(by_content).pvalue < 1e-4
