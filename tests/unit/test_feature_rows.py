"""Rows kept as the label function's integers: what a step sums of them, against plain arithmetic in float64."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from queries import label_step
from scipy.special import expit, softmax
from small_tables import mixed_encoding, mixed_rows
from test_label_fit import BOUND, FEW, N_CELLS, OFFSETS, RICH, map_of, prior_of, random_weights, toy

from threea_spark.adapt.exact_products import DIGIT_ROWS, SplitWeights, digits, joined_digits
from threea_spark.adapt.feature_rows import LARGEST_DENSE, blocks_of, read_blocks
from threea_spark.adapt.features import FEATURE_GRID
from threea_spark.adapt.targets import RESIDUAL_GRID, Targets, Weights
from threea_spark.engine.local import LocalStaged
from threea_spark.engine.packed import PackedRows
from threea_spark.engine.packed import blocks_of as packed_blocks

KINDS = [(2, RICH, False), (3, RICH, False), (2, FEW, False), (3, FEW, False), (2, RICH, True), (2, FEW, True)]


def targets_of(n_classes, scales, of_number, n=300):
    cells, classes = toy(n_classes, n)
    features, shares = map_of(cells, classes, n_classes, scales=scales)
    values = np.where(classes == 1, np.nan, np.random.default_rng(2).normal(size=n)) if of_number else None
    prior = np.zeros(1) if of_number else prior_of(features, shares)
    return features, Targets.of(features, cells, classes, values), prior


def plain_sums(features, targets, weights, prior, bound):
    """The same sum row by row, each feature written out, with nothing but float64 and integers."""
    n_outputs, total = len(features.odds), 0
    for row in targets.rows:
        cells = row["cells"].astype(int)
        own = targets.features.odds[:, cells]  # (n_outputs, n_columns)
        indicators = np.zeros(N_CELLS)
        indicators[cells] = features.cell_units
        scores = [units[cells] for units in features.linear_units]
        shared = np.concatenate([indicators, *scores, row["dense"].astype(np.float64)])
        output = prior + (own @ weights.columns + shared @ weights.shared) / FEATURE_GRID
        if targets.of_number:
            residual = np.nan_to_num(output - row["label"])
        elif n_outputs == 1:
            residual = expit(output) - (row["label"] == 1)
        else:
            residual = softmax(output[None, :], axis=1)[0] - np.eye(n_outputs)[int(row["label"])]

        def norm(own_residual, shared=shared, own=own):
            return np.sqrt((shared @ shared) * (own_residual @ own_residual) + ((own_residual @ own) ** 2).sum())

        units = np.trunc(residual * min(1.0, bound / RESIDUAL_GRID / max(norm(residual), 1e-12)) * RESIDUAL_GRID)
        if norm(units) > bound * (1.0 - 2.0**-40):
            units = np.trunc(units * (1.0 - 2.0**-6))
        total = total + np.concatenate([units @ own, np.outer(shared, units).ravel()]).astype(np.int64)
    return total


@pytest.mark.parametrize(("n_classes", "scales", "of_number"), KINDS)
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_a_step_is_the_sum_that_plain_arithmetic_gives(n_classes, scales, of_number, scale):
    features, targets, prior = targets_of(n_classes, scales, of_number)
    given = random_weights(features, scale)
    on_grid = Weights(*(np.rint(own * 256.0) / 256.0 for own in (given.columns, given.shared)))  # exact in any sum
    found = targets.gradient_sums(on_grid, prior, BOUND)
    wanted = plain_sums(features, targets, on_grid, prior, BOUND)
    assert wanted.any()
    apart = np.abs(found - wanted)
    assert np.count_nonzero(apart) == 0 or apart.max() <= LARGEST_DENSE  # one residual cut at the border of a unit


@pytest.mark.parametrize(("n_classes", "scales", "of_number"), KINDS)
def test_blocks_hold_the_rows_to_the_last_bit_however_they_are_cut(n_classes, scales, of_number):
    features, targets, prior = targets_of(n_classes, scales, of_number, n=700)
    given = random_weights(features, 1.0)
    whole = targets.gradient_sums(given, prior, BOUND)
    for cuts in ([0, 700], [0, 1, 1, 130, 699, 700]):
        parts = [blocks_of(targets.rows[start:stop]) for start, stop in pairwise(cuts)]
        joined = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
        for batches in (parts, [joined], [joined.slice(0, 2), joined.slice(2)]):
            rows = list(read_blocks(iter(batches), targets.features.record))
            assert b"".join(part.tobytes() for part in rows) == targets.rows.tobytes()
            own = [Targets(targets.features, part, of_number=of_number) for part in rows]
            assert np.array_equal(sum(part.gradient_sums(given, prior, BOUND) for part in own), whole)


@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_rows_that_are_kept_add_what_packed_rows_of_the_same_units_do(rate):
    encoding, rng, n = mixed_encoding(), np.random.default_rng(4), 900
    coins = rng.integers(0, 2**32, n, dtype=np.uint32)
    none = np.zeros(n, dtype=np.uint32)
    packed = PackedRows(encoding.pack(mixed_rows(n)), rng.integers(0, 2, n), coins, none, none.astype(np.int64))
    query, fit = label_step(encoding, rng)
    parts = [packed.where(np.arange(n) % 3 == part) for part in range(3)]
    staged = LocalStaged(tuple(map(packed_blocks, parts)), encoding.width)
    with staged.cached_as(fit.targets_of.form(rate)) as cached:
        (found,) = cached.sums([query])
    (wanted,) = staged.sums([query.over(lambda rows: fit.targets_of(rows.sampled(rate)))])
    assert wanted.any()
    assert np.array_equal(found, wanted)
    (every,) = staged.sums([query.over(fit.targets_of)])
    assert np.array_equal(found, every) is (rate == 1.0)


def test_features_beyond_what_a_byte_holds_are_cut_and_cells_that_are_none_are_refused():
    cells, classes = toy(2, 50)
    features, _ = map_of(cells, classes, 2)
    object.__setattr__(features, "whitening", features.whitening * 1e6)
    assert np.abs(Targets.of(features, cells, classes).rows["dense"][:, :-1]).max() == LARGEST_DENSE
    with pytest.raises(IndexError):
        Targets.of(features, cells + OFFSETS[-1], classes)


@pytest.mark.parametrize("scale", [0.0, 1e-9, 0.3, 1e6])
@pytest.mark.parametrize("n_dense", [1, 201, 5_000])
def test_products_in_float32_are_those_of_float64_for_any_batch(scale, n_dense):
    rng = np.random.default_rng(3)
    dense = rng.choice([-LARGEST_DENSE, LARGEST_DENSE, 3], (40, n_dense)).astype(np.float32)
    weights = scale * rng.normal(size=(n_dense, 2))
    weights[:, 0] = np.abs(weights[:, 0])
    dense[0] = LARGEST_DENSE  # and one row of the largest sum there may be
    split = SplitWeights.of(weights)
    first, second = split.parts[:, :2].astype(np.float64), split.parts[:, 2:].astype(np.float64)
    rounded = (first + second / split.base) * split.units
    exact = dense.astype(np.float64) @ rounded
    assert np.array_equal(split.times(dense), exact)
    assert np.array_equal(np.vstack([split.times(dense[row : row + 1]) for row in range(40)]), exact)
    assert np.abs(rounded - weights).max() <= np.abs(weights).sum(axis=0).max() * LARGEST_DENSE * 2.0**-24
    if n_dense > 1 and scale:  # the twin: whole weights
        whole = weights.astype(np.float32)
        assert not np.array_equal(dense.astype(np.float64) @ whole.astype(np.float64), dense @ whole)


@pytest.mark.parametrize("largest", [0, 64, 65, 1_024, 10**9])
def test_sums_of_features_times_digits_are_exact_at_their_largest(largest):
    rng = np.random.default_rng(3)
    units = rng.choice([-largest, largest], (DIGIT_ROWS, 2)).astype(np.float64)
    units[:, 1] = largest
    dense = np.full((DIGIT_ROWS, 3), LARGEST_DENSE, dtype=np.float32)
    parts = digits(units)
    assert max(np.abs(part).max() for part in parts) <= 64
    found = joined_digits(dense.T @ np.hstack(parts), len(parts))
    assert np.array_equal(found, dense.astype(np.float64).T @ units)
