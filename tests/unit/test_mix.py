from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tables import mixed_encoding, mixed_rows

from threea_spark.anonymize.groups import RANGE, GroupRanges
from threea_spark.anonymize.mix import Mixer, auto_mix_size
from threea_spark.approximate.mixture import Mixture
from threea_spark.encode.cells import Levels, Numbers
from threea_spark.engine.packed import PackedRows

ENCODING = mixed_encoding(clip_norm=2.0)
RNG = np.random.default_rng(1)


def mixer_of(*, clip_norm=0.7, mix_size=10, sizes=(95.0, 200.0, 3.0), means=None):
    k = len(sizes)
    means = np.random.default_rng(2).normal(0.0, 0.5, (k, ENCODING.width)) if means is None else means
    mixture = Mixture(means, np.ones(k), np.array(sizes), np.zeros(k), np.full(k, -1), "isotropic")
    return Mixer(mixture, np.full((k, 2), 0.5), mix_size, clip_norm)


def table(n, seed=1):
    rng = np.random.default_rng(seed)
    return packed_rows(ENCODING.pack(mixed_rows(n, seed)), rng.integers(0, 2, n), rng)


def packed_rows(packed, classes, rng=RNG):
    coins, tokens = rng.integers(0, 2**32, (2, len(packed)), dtype=np.uint32)
    return PackedRows(packed, classes.astype(np.int64), coins, tokens, np.zeros(len(packed), dtype=np.int64))


def part(rows, own):
    mask = np.zeros(len(rows), dtype=bool)
    mask[own] = True
    return rows.where(mask)


def groups(mixer, rows):
    return mixer.groups(rows)


def dense(mixer, rows):
    return mixer.sums(rows, groups(mixer, rows), 0, mixer.n_groups)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 30), seed=st.integers(0, 10_000), clip_norm=st.floats(0.01, 20.0))
def test_one_row_more_changes_one_group_by_at_most_the_bound(n, seed, clip_norm):
    mixer = mixer_of(clip_norm=clip_norm)
    rows = table(n, seed)
    changed = dense(mixer, rows) - dense(mixer, part(rows, slice(None, -1)))
    touched = np.flatnonzero(changed.any(axis=1))
    assert len(touched) <= 1
    assert sum(int(v) ** 2 for v in changed.ravel()) <= mixer.norm_bound**2


def test_a_rows_group_depends_on_no_other_row():
    mixer, rows = mixer_of(), table(500)
    whole = groups(mixer, rows)
    for row in range(0, 500, 17):
        assert groups(mixer, part(rows, row))[0] == whole[row]


def test_order_and_batches_change_no_sum():
    mixer, rows = mixer_of(), table(400)
    parts = [dense(mixer, part(rows, slice(i, None, 3))) for i in range(3)]
    assert np.array_equal(sum(parts), dense(mixer, rows))


def test_a_groups_token_has_nothing_to_do_with_the_coin_of_the_sample():
    mixer, rows = mixer_of(sizes=(5_000.0, 5_000.0)), table(4_000)
    other_coins = replace(rows, coins=rows.coins[::-1])
    assert np.array_equal(groups(mixer, other_coins), groups(mixer, rows))


@pytest.mark.parametrize("length", [1, 7, 30, 4_096])
def test_sums_by_range_are_those_of_all_rows_at_once(length):
    mixer, rows = mixer_of(), table(400)
    ranges = GroupRanges(mixer.n_groups, length)
    batches = [*ranges.routed(rows, groups(mixer, rows)), ranges.announced(np.arange(ranges.n_ranges))]
    together = pa.Table.from_batches(batches).sort_by(RANGE).combine_chunks()
    for batch_rows in (1, 3, 10_000):
        found = list(ranges.summed(together.to_batches(batch_rows), mixer.query(), ENCODING.width))
        assert np.array_equal(np.concatenate([own for own, _ in found]), np.arange(mixer.n_groups))
        assert np.array_equal(np.concatenate([sums for _, sums in found]), dense(mixer, rows))


def test_ranges_hold_every_group_once_and_bound_memory():
    for n_groups, length in ((1, 20), (10**5, 60), (10**8, 60), (10**6, 10_000)):
        ranges = GroupRanges.of(n_groups, length)
        assert ranges.n_groups == n_groups
        assert ranges.length * length <= 2**23
        assert (ranges.n_ranges - 1) * ranges.length < n_groups <= ranges.n_ranges * ranges.length


def test_groups_lie_within_their_cluster_and_are_about_even():
    mixer = mixer_of(sizes=(5_000.0, 5_000.0))
    rows = table(10_000)
    group, component = groups(mixer, rows), mixer.mixture.component_of(rows)
    assert np.all(mixer.first_group[component] <= group)
    assert np.all(group < mixer.first_group[component + 1])
    counts = np.bincount(group, minlength=mixer.n_groups)
    assert counts.std() < 2.0 * np.sqrt(counts.mean())


def test_the_number_of_groups_follows_from_published_sizes_alone():
    mixer = mixer_of(sizes=(95.0, 200.0, 3.0), mix_size=10)
    assert mixer.groups_of.tolist() == [9, 20, 1]
    assert mixer.n_groups == 30


def test_centres_that_ran_away_break_no_bound():
    for far in (1e30, -1e30, np.inf, np.nan):
        mixer = mixer_of(means=np.full((3, ENCODING.width), far))
        rows = table(50)
        residuals = mixer.residuals(rows.packed, rows.classes, np.zeros(50, dtype=np.int64))
        assert max(sum(int(v) ** 2 for v in row) for row in residuals) <= mixer.norm_bound**2


def test_a_group_decodes_to_a_row_of_the_table():
    mixer, rows = mixer_of(), table(400)
    every = np.arange(mixer.n_groups)
    noisy = dense(mixer, rows) + RNG.integers(-(10**6), 10**6, (mixer.n_groups, mixer.length))
    columns = mixer.decode(ENCODING, "died", every, noisy, seed=0)
    assert list(columns) == ["age", "income", "ward", "sex", "died"]
    assert isinstance(columns["age"], Numbers)
    assert columns["age"].values.min() >= 0.0
    assert columns["age"].values.max() <= 120.0
    assert isinstance(columns["died"], Levels)
    assert set(columns["died"].levels.tolist()) <= {0, 1}
    again = mixer.decode(ENCODING, "died", every, noisy, seed=0)
    assert all(
        np.array_equal(getattr(columns[n], "values", 0), getattr(again[n], "values", 0), equal_nan=True)
        for n in ("age", "income")
    )


def test_without_noise_a_group_of_equal_rows_decodes_to_that_row():
    columns = [np.full(10, 30.0), np.full(10, np.nan), np.full(10, 2), np.full(10, 1)]
    packed = ENCODING.pack(columns)
    mixer = mixer_of(sizes=(10.0,), clip_norm=50.0, means=np.zeros((1, ENCODING.width)))
    sums = dense(mixer, packed_rows(packed, np.ones(10)))
    decoded = mixer.decode(ENCODING, "died", np.array([0]), sums, seed=0)
    assert decoded["died"].levels.tolist() == [1]
    assert decoded["ward"].levels.tolist() == [2]
    assert decoded["sex"].levels.tolist() == [1]
    assert np.isnan(decoded["income"].values[0])
    assert abs(decoded["age"].values[0] - 30.0) < 16.0  # the same cell


def test_nearest_cells_invert_packing():
    encoding = mixed_encoding(clip_norm=100.0)
    packed = encoding.pack(mixed_rows(500))
    assert np.array_equal(encoding.nearest_cells(packed.astype(np.float64)), encoding.cells(packed))


def test_auto_mix_size_grows_as_the_budget_shrinks():
    assert auto_mix_size(3.0, 0.5) == 20
    assert auto_mix_size(3.0, 0.05) == 200
    assert auto_mix_size(0.001, 10.0) == 2


@pytest.mark.parametrize("clip_norm", [1e-9, 0.5])
def test_the_residual_bound_is_a_positive_integer(clip_norm):
    assert mixer_of(clip_norm=clip_norm).norm_bound >= 1
