import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threea_spark.engine.packed import PackedRows, blocks_of, joined, unpacked
from threea_spark.engine.partial_sums import added_chunks


def rows_of(n, width, seed=0):
    rng = np.random.default_rng(seed)
    packed = rng.integers(-(2**15), 2**15, (n, width), dtype=np.int16)
    coins, tokens = rng.integers(0, 2**32, (2, n), dtype=np.uint32)
    return PackedRows(packed, rng.integers(0, 300, n), coins, tokens, rng.integers(-12_288, 12_289, n))


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 3_000), width=st.sampled_from([0, 1, 24, 600, 20_000]), seed=st.integers(0, 1_000))
def test_what_is_packed_comes_back_in_order_to_the_last_bit(n, width, seed):
    rows = rows_of(min(n, 40_000_000 // max(width, 1) // 100), width, seed)
    cut = len(rows) // 3
    halves = [rows.where(np.arange(len(rows)) < cut), rows.where(np.arange(len(rows)) >= cut)]
    back = joined(unpacked([blocks_of(half) for half in halves], width), width)
    for name in ("packed", "classes", "coins", "group_tokens", "label_scores"):
        assert np.array_equal(getattr(back, name), getattr(rows, name))


def test_steps_are_bounded_and_blocks_few():
    rows = rows_of(50_000, 24)
    batch = blocks_of(rows)
    assert batch.num_rows < len(rows) / 300
    assert max(len(block.as_py()) for block in batch.column("block")) < 2**16
    assert max(len(step) for step in unpacked([batch], 24)) <= 2**14


def test_a_slice_of_a_batch_is_read_as_its_own_rows():
    rows = rows_of(5_000, 24)
    batch = blocks_of(rows)
    sizes = batch.column("n_rows").to_pylist()
    middle = joined(unpacked([batch.slice(2, 3)], 24), 24)
    start = sum(sizes[:2])
    assert np.array_equal(middle.packed, rows.packed[start : start + sum(sizes[2:5])])


def test_columns_of_few_values_compress_far_below_two_bytes():
    rng = np.random.default_rng(0)
    packed = (rng.integers(0, 4, (20_000, 30)) * 1_000).astype(np.int16)
    zeros = np.zeros(len(packed), dtype=np.uint32)
    batch = blocks_of(PackedRows(packed, np.zeros(len(packed), dtype=np.int64), zeros, zeros, zeros.astype(np.int64)))
    assert batch.nbytes / packed.nbytes < 0.35


@pytest.mark.parametrize("rate", [0.0, 1e-12, 0.25, 0.5, 1.0 - 2.0**-33, 1.0, 2.0])
def test_a_sample_holds_the_units_whose_coin_lies_below_the_rate(rate):
    rows = rows_of(20_000, 2)
    chosen = rows.sampled(rate)
    assert len(chosen) == np.count_nonzero(rows.coins < min(int(rate * 2**32), 2**32))
    assert abs(len(chosen) - min(rate, 1.0) * 20_000) < 5.0 * np.sqrt(20_000 * 0.25) + 1.0
    inside = chosen.sampled(rate / 2.0)
    assert set(inside.coins.tolist()) == set(rows.sampled(rate / 2.0).coins.tolist())


@pytest.mark.parametrize("n_values", [1, 2, 3, 256, 257])
def test_columns_are_as_narrow_as_their_values_and_come_back(n_values):
    rng = np.random.default_rng(n_values)
    values = np.append(rng.choice(2**16, n_values - 1, replace=False).astype(np.uint16).view(np.int16), np.int16(0))
    packed = np.stack([values[rng.integers(0, n_values, 9_000)], rng.integers(-(2**15), 2**15, 9_000)], axis=1)
    zeros = np.zeros(len(packed), dtype=np.uint32)
    rows = PackedRows(packed.astype(np.int16), zeros.astype(np.int64), zeros, zeros, zeros.astype(np.int64))
    batch = blocks_of(rows)
    assert np.array_equal(joined(unpacked([batch], 2), 2).packed, rows.packed)
    bits = {1: 0.5, 2: 1.5, 3: 8.5, 256: 10.0, 257: 16.8}[n_values]
    assert batch.nbytes * 8 / len(rows) < 16.8 + bits


def test_arrays_of_tasks_are_added_chunk_by_chunk_exactly():
    rng = np.random.default_rng(0)
    arrays, chunks = rng.integers(-(2**57), 2**57, (60, 5)), rng.integers(0, 3, 60)
    expected = [sum(int(number) for number in arrays[chunks == chunk, i]) for chunk in range(3) for i in range(5)]
    assert added_chunks(chunks, arrays, 3).tolist() == expected
    assert added_chunks(np.zeros(0, dtype=np.int64), np.zeros((0, 5), dtype=np.int64), 1).tolist() == [0] * 5


@pytest.mark.parametrize(
    ("numbers", "fits"),
    [([2**62, 2**62 - 1], True), ([2**62, 2**62], False), ([-(2**62)] * 2, True), ([-(2**62), -(2**62), -1], False)],
)
def test_a_sum_that_int64_cannot_hold_is_an_error(numbers, fits):
    arrays, chunks = np.array(numbers)[:, None], np.zeros(len(numbers), dtype=np.int64)
    if fits:
        assert added_chunks(chunks, arrays, 1).tolist() == [sum(numbers)]
    else:
        with pytest.raises(OverflowError, match="int64"):
            added_chunks(chunks, arrays, 1)
