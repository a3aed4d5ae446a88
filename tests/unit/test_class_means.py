import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threea_spark.approximate.class_means import (
    NORM_BINS,
    ClassMeans,
    NormClip,
    class_means,
    class_sums,
    combined,
    norm_bins,
    norm_clip,
    norm_counts,
    shrunk_deviations,
)
from threea_spark.approximate.look import norms_bound
from threea_spark.encode.feature import SCORE_GRID

ENDS = norm_bins(2.0)
EXTREMES = [0, 1, -1, 2**15 - 1, -(2**15), 2**20 + 7, -(2**40)]


def squared(change):
    return sum(int(v) ** 2 for v in change)


def batches(seed, n, d=6, n_classes=5):
    rng = np.random.default_rng(seed)
    return rng.integers(-20_000, 20_000, (n, d)), rng.integers(0, n_classes, n)


def looked_at(truth, size, stddev, seed=1):
    """Class means of equal classes, seen through noise; `truth` are the deviations, shape (n_classes, d)."""
    noise = np.random.default_rng(seed).normal(0.0, stddev, truth.shape)
    return ClassMeans(np.full(len(truth), float(size)), truth * size + noise, stddev)


# --- sensitivity and exactness


@settings(max_examples=150, deadline=None)
@given(
    row=st.lists(st.one_of(st.sampled_from(EXTREMES), st.integers(-9_000, 9_000)), min_size=1, max_size=8),
    n=st.integers(0, 6),
    bound=st.integers(1, 60_000),
    seed=st.integers(0, 10_000),
)
def test_one_row_more_moves_the_class_sums_by_the_bound_at_most(row, n, bound, seed):
    rows, classes = batches(seed, n, len(row), 3)
    more = class_sums(np.vstack([rows, [row]]), np.append(classes, 1), 3, bound)
    change = (more - class_sums(rows, classes, 3, bound)).reshape(3, -1)
    assert not change[[0, 2]].any()
    assert squared(change[1]) <= bound**2


def test_the_bound_is_reached_and_without_the_cut_it_would_be_passed():
    row, bound = np.array([[3_000, 4_000]]), 5_000
    assert squared(class_sums(row, np.zeros(1, dtype=np.int64), 2, bound)) == bound**2
    assert squared(class_sums(2 * row, np.zeros(1, dtype=np.int64), 2, 2 * bound)) > bound**2
    assert squared(class_sums(2 * row, np.zeros(1, dtype=np.int64), 2, bound)) <= bound**2


@settings(max_examples=100, deadline=None)
@given(
    row=st.lists(st.one_of(st.sampled_from(EXTREMES[:-1]), st.integers(-9_000, 9_000)), min_size=1, max_size=8),
    n=st.integers(0, 6),
    seed=st.integers(0, 10_000),
)
def test_one_row_more_counts_once_by_norm_and_once_by_class(row, n, seed):
    rows, classes = batches(seed, n, len(row), 3)
    more = norm_counts(np.vstack([rows, [row]]), np.append(classes, 2), 3, ENDS)
    change = more - norm_counts(rows, classes, 3, ENDS)
    assert squared(change) == norms_bound(counts_classes=True).squared_norm
    assert change[:NORM_BINS].sum() == 1
    assert change[NORM_BINS:].tolist() == [0, 0, 1]


@pytest.mark.parametrize("n_parts", [1, 2, 7])
def test_sums_and_counts_of_parts_in_any_order_are_those_of_the_whole(n_parts):
    rows, classes = batches(3, 400)
    order = np.random.default_rng(4).permutation(400)
    sums, counts = class_sums(rows, classes, 5, 9_000), norm_counts(rows, classes, 5, ENDS)
    parts = np.array_split(order, n_parts)
    assert np.array_equal(sum(class_sums(rows[p], classes[p], 5, 9_000) for p in parts), sums)
    assert np.array_equal(sum(norm_counts(rows[p], classes[p], 5, ENDS) for p in parts), counts)


def test_class_sums_equal_plain_integer_sums_of_rows_within_the_bound():
    rows, classes = batches(5, 300)
    plain = [[sum(int(v) for v in rows[classes == c, j]) for j in range(6)] for c in range(5)]
    assert class_sums(rows, classes, 5, 10**6).tolist() == np.concatenate(plain).tolist()


def test_a_batch_of_no_rows_adds_nothing():
    rows, classes = np.zeros((0, 4), dtype=np.int64), np.zeros(0, dtype=np.int64)
    assert not class_sums(rows, classes, 3, 10).any()
    assert not norm_counts(rows, classes, 3, ENDS).any()
    assert len(norm_counts(rows, classes, 3, ENDS)) == NORM_BINS + 3


# --- where rows are cut


def test_bins_reach_to_twice_the_typical_norm():
    assert len(ENDS) == NORM_BINS
    assert np.allclose(np.diff(ENDS), ENDS[0])
    assert ENDS[-1] == 2.0 * 2.0 * SCORE_GRID


def test_a_norm_on_a_bins_end_lies_in_that_bin_and_the_longest_in_the_last():
    ends = np.arange(1.0, NORM_BINS + 1)
    counts = norm_counts(np.array([[0], [1], [2], [40], [41], [10**6]]), np.zeros(6, dtype=np.int64), 1, ends)
    assert counts[[0, 1, 39]].tolist() == [2, 1, 3]


@pytest.mark.parametrize("middle", [10, 20, 30])
def test_rows_are_cut_at_the_median_norm(middle):
    ends = norm_bins(1.0)
    rng = np.random.default_rng(6)
    norms = rng.normal(ends[middle], 5.0 * ends[0], 20_000).clip(ends[0]).astype(np.int64)
    counts = norm_counts(norms[:, None], np.zeros(20_000, dtype=np.int64), 1, ends)[:NORM_BINS]
    clip = norm_clip(counts.astype(float), ends)
    assert clip.bound == pytest.approx(np.median(norms), abs=ends[0])
    assert clip.kept == pytest.approx(np.minimum(1.0, clip.bound / norms).mean(), abs=0.01)
    assert 0.7 < clip.kept < 0.99  # something was cut


def test_rows_of_one_norm_are_left_whole():
    counts = np.zeros(NORM_BINS)
    counts[17] = 300.0
    clip = norm_clip(counts, ENDS)
    assert clip.bound == int(ENDS[17])
    assert clip.kept == 1.0


def test_a_tail_of_long_rows_is_cut_and_booked():
    counts = np.zeros(NORM_BINS)
    counts[[9, 39]] = 75.0, 25.0
    clip = norm_clip(counts, ENDS)
    assert clip.bound == int(ENDS[9])
    assert clip.kept == pytest.approx(0.75 + 0.25 * 10.0 / 39.5, rel=1e-4)


@pytest.mark.parametrize("noisy", [np.full(NORM_BINS, -7.0), np.zeros(NORM_BINS)])
def test_counts_of_noise_alone_give_a_bound_in_the_middle(noisy):
    clip = norm_clip(noisy, ENDS)
    assert ENDS[0] < clip.bound < ENDS[-1]
    assert 0.0 < clip.kept <= 1.0


def test_negative_counts_are_read_as_none():
    counts = np.full(NORM_BINS, -50.0)
    counts[5] = 10.0
    assert norm_clip(counts, ENDS) == NormClip(int(ENDS[5]), 1.0)


def test_a_bound_is_never_zero():
    assert norm_clip(np.eye(NORM_BINS)[0], np.arange(1, NORM_BINS + 1) / 100.0).bound == 1


# --- means


def test_class_means_make_up_for_the_cut_on_average():
    rng = np.random.default_rng(7)
    n, d = 6_000, 60
    classes = rng.integers(0, 3, n)
    truth = rng.normal(0.0, 0.4, (3, d))
    rows = np.rint((truth[classes] + rng.normal(size=(n, d))) * SCORE_GRID).astype(np.int64)
    ends = norm_bins(np.sqrt(d))
    counts = norm_counts(rows, classes, 3, ends)
    clip = norm_clip(counts[:NORM_BINS].astype(float), ends)
    tight = NormClip(clip.bound // 2, clip.kept / 2.0)  # all rows are cut to half of it: a cut that no one can miss
    exact = class_sums(rows, classes, 3, tight.bound).astype(float)
    sizes = counts[NORM_BINS:].astype(float)
    means = class_means(exact, 3.0 * SCORE_GRID, sizes, tight)
    found = means.sums / sizes[:, None]
    plain = np.array([rows[classes == c].mean(axis=0) for c in range(3)]) / SCORE_GRID

    def slope(measured):
        return float((measured * plain).sum() / (plain * plain).sum())

    assert slope(found) == pytest.approx(1.0, abs=0.05)
    assert means.stddev == pytest.approx(3.0 / tight.kept)
    untouched = class_means(exact, 1.0, sizes, NormClip(tight.bound, 1.0))  # the twin: nothing is made up for
    assert slope(untouched.sums / sizes[:, None]) < 0.6


def test_weights_pooled_and_deviations_are_those_of_the_rows():
    sizes, sums = np.array([10.0, 30.0]), np.array([[20.0, 0.0], [-30.0, 15.0]])
    means = ClassMeans(sizes, sums, 1.0)
    assert means.weights.tolist() == [0.25, 0.75]
    assert means.pooled == pytest.approx([-0.25, 0.375])
    assert means.deviations == pytest.approx(np.array([[2.25, -0.375], [-0.75, 0.125]]))
    assert means.weights @ means.deviations == pytest.approx([0.0, 0.0], abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 10, 26])
def test_relevance_of_noise_alone_is_standard(n_classes):
    means = looked_at(np.zeros((n_classes, 8_000)), 300, 40.0)
    assert means.relevance(np.arange(means.sums.shape[1])).mean() == pytest.approx(0.0, abs=0.06)
    assert means.relevance(np.arange(means.sums.shape[1])).std() == pytest.approx(1.0, abs=0.06)
    louder = ClassMeans(means.sizes, means.sums, 40.0 / 1.3)  # the twin: noise that is larger than stated
    assert louder.relevance(np.arange(louder.sums.shape[1])).mean() > 0.3


def test_relevance_of_a_difference_stands_out_and_a_shift_of_all_classes_does_not():
    truth = np.zeros((10, 500))
    truth[:, :20] = np.random.default_rng(2).normal(0.0, 0.5, (10, 20))
    truth[:, 20:40] = 3.0
    relevance = looked_at(truth, 600, 40.0).relevance(np.arange(truth.shape[1]))
    assert relevance[:20].min() > 8.0
    assert np.abs(relevance[20:]).max() < 6.0
    assert relevance[20:40].mean() == pytest.approx(0.0, abs=0.8)
    assert set(np.argsort(-relevance)[:20].tolist()) == set(range(20))


def test_relevance_finds_the_columns_beside_a_few_small_classes():
    rng = np.random.default_rng(3)
    sizes = np.array([20.0] * 6 + [300.0] * 20)
    truth = np.zeros((26, 600))
    truth[:, :60] = rng.normal(0.0, 0.5, (26, 60))
    means = ClassMeans(sizes, truth * sizes[:, None] + rng.normal(0.0, 60.0, truth.shape), 60.0)
    assert np.mean(np.argsort(-means.relevance(np.arange(means.sums.shape[1])))[:60] < 60) > 0.9


# --- two looks


def test_two_looks_are_averaged_by_inverse_variance():
    first = ClassMeans(np.array([10.0, 30.0]), np.array([[4.0, 1.0, 9.0], [0.0, 3.0, -9.0]]), 2.0)
    second = ClassMeans(first.sizes, np.array([[5.0, -6.0], [-5.0, 6.0]]), 1.0)
    columns = np.array([0, 2])
    both = combined(first, second, columns)
    own = first.deviations[:, columns] * first.sizes[:, None]
    assert both.sums == pytest.approx(0.2 * own + 0.8 * second.sums)
    assert both.stddev == pytest.approx((1.0 / 4.0 + 1.0) ** -0.5)
    assert np.array_equal(both.sizes, second.sizes)


def combined_looks(rate, seed=8):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0.0, 0.3, (10, 2_000))
    truth -= truth.mean(axis=0)
    first, second = (
        ClassMeans(np.full(10, size), truth * size + rng.normal(0.0, 60.0, truth.shape), 60.0)
        for size in (500.0, 500.0 * rate)
    )
    return truth, first, second, combined(first, second, np.arange(2_000))


def test_two_looks_see_better_than_either_and_say_how_well():
    truth, first, second, both = combined_looks(1.0)
    errors = [float(((m.deviations - truth) ** 2).mean()) for m in (first, second, both)]
    assert errors[2] < 0.55 * min(errors[:2])
    assert errors[2] == pytest.approx(0.9 * (both.stddev / 500.0) ** 2, rel=0.05)  # one degree of ten is the mean's


def test_a_second_look_at_a_sample_weighs_as_much_as_it_knows():
    truth, first, _, both = combined_looks(0.25)
    error = float(((both.deviations - truth) ** 2).mean())
    assert error < float(((first.deviations - truth) ** 2).mean())
    assert error == pytest.approx(0.9 * (both.stddev / 125.0) ** 2, rel=0.05)


# --- shrinking


def energy(values):
    return float((values**2).sum())


def test_noise_alone_is_shrunk_away_and_a_strong_signal_is_left():
    noise = looked_at(np.zeros((60, 12)), 300, 40.0)
    assert energy(shrunk_deviations(noise)) < 0.1 * energy(noise.deviations)
    truth = np.random.default_rng(3).normal(0.0, 2.0, (60, 12))
    signal = looked_at(truth - truth.mean(axis=0), 300, 40.0)
    assert energy(shrunk_deviations(signal)) > 0.95 * energy(signal.deviations)


def test_shrinking_brings_the_means_closer_to_the_truth():
    rng = np.random.default_rng(4)
    truth = 0.15 * rng.normal(size=(60, 2)) @ rng.normal(size=(2, 15))  # two directions tell the classes apart
    truth -= truth.mean(axis=0)
    means = looked_at(truth, 300, 60.0)

    def error(deviations):
        return energy(deviations - truth)

    assert error(shrunk_deviations(means)) < 0.5 * error(means.deviations)
    assert error(shrunk_deviations(means)) < error(np.zeros_like(truth))
    unaware = ClassMeans(means.sizes, means.sums, 1e-6)  # the twin: without noise nothing is taken off
    assert error(shrunk_deviations(unaware)) > 0.95 * error(means.deviations)


@pytest.mark.parametrize(("n_classes", "width"), [(2, 64), (12, 64), (26, 206)])
def test_noise_alone_is_shrunk_in_tables_wider_than_they_have_classes(n_classes, width):
    noise = looked_at(np.zeros((n_classes, width)), 200, 60.0)
    assert energy(shrunk_deviations(noise)) < 0.65 * energy(noise.deviations)
    unaware = ClassMeans(noise.sizes, noise.sums, 60.0 * (n_classes / width) ** 0.25)  # the twin: as of one column
    assert energy(shrunk_deviations(unaware)) > 0.65 * energy(noise.deviations)
