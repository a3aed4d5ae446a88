"""Every estimator against the naive one, on fixed noisy draws: each must be the nearer to the truth."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from small_tables import category
from tables import config_of

from threea_spark.adapt.features import kernel_scores
from threea_spark.adapt.learn import learn_labels
from threea_spark.adapt.problem import Problem
from threea_spark.approximate.marginals import Marginals, marginals_of
from threea_spark.approximate.mixture import Mixture
from threea_spark.approximate.odds import cell_log_odds
from threea_spark.approximate.prices import raise_prices
from threea_spark.config.adapt import AdaptConfig
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.categories import CategoryField
from threea_spark.encode.cell_layout import CellLayout
from threea_spark.encode.codec import Encoding
from threea_spark.encode.grid import leaf_grid
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.encode.moments import MomentField
from threea_spark.encode.quantile_codec import quantile_codec
from threea_spark.forecast.outlook import outlook
from threea_spark.model.ntk import Architecture, ntk
from threea_spark.model.sampler import RowSampler
from threea_spark.planned import make_plan
from threea_spark.privacy.terms import Stage
from threea_spark.recipes.rules import min_cluster_size

DRAWS = 200


def root_mean_square(errors):
    return float(np.sqrt(np.mean(np.square(errors))))


# --- numbers of rows


def test_the_number_of_rows_is_nearer_than_any_one_reading_and_than_their_plain_mean():
    """A category of 40 levels is a reading forty times as noisy as the count itself, one of two levels twice."""
    fields = tuple(CategoryField(f"c{n}", tuple(map(str, range(size))), False) for n, size in enumerate((2, 3, 40, 40)))
    layout, n_rows, stddev = HistogramLayout(fields), 5_000, 30.0
    truth = layout.counts([np.arange(n_rows) % len(field.values) for field in fields]).astype(float)
    pooled, alone, plain = [], [], []
    for seed in range(DRAWS):
        noisy = truth + np.random.default_rng(seed).normal(0.0, stddev, len(truth))
        readings = [noisy[0], *(block.sum() for block in np.split(noisy, layout.offsets[:-1])[1:])]
        pooled.append(layout.rows(noisy, stddev).n_rows - n_rows)
        alone.append(readings[0] - n_rows)
        plain.append(np.mean(readings) - n_rows)
    assert root_mean_square(pooled) < 0.85 * min(root_mean_square(alone), root_mean_square(plain))


def test_sizes_of_components_are_nearer_than_their_own_counts_and_than_a_plain_mean():
    layout, stddev, sizes = CellLayout((2, 2, 50)), 20.0, np.array([400.0, 900.0])
    even = np.concatenate([np.full(own, 1.0 / own) for own in layout.sizes])
    truth = np.concatenate([sizes, (sizes[:, None] * even).ravel()])
    pooled, alone, plain = [], [], []
    for seed in range(DRAWS):
        noisy = truth + np.random.default_rng(seed).normal(0.0, stddev, len(truth))
        by_feature = layout.totals(noisy[2:].reshape(2, -1))
        pooled.append(marginals_of(noisy, stddev, 2, layout).sizes - sizes)
        alone.append(noisy[:2] - sizes)
        plain.append(np.column_stack([noisy[:2], by_feature]).mean(axis=1) - sizes)
    assert root_mean_square(pooled) < 0.85 * min(root_mean_square(alone), root_mean_square(plain))


# --- what is faint


def test_faint_counts_held_down_give_a_nearer_distribution_than_kept_or_dropped_ones():
    """Three cells hold nearly all rows, forty a row or two: kept whole they are mostly noise, dropped none is drawn."""
    truth = np.concatenate([[300.0, 200.0, 100.0], np.full(40, 2.0)])
    wanted, stddev, layout = truth / truth.sum(), 8.0, CellLayout((len(truth),))
    ours, kept, dropped = [], [], []
    for seed in range(DRAWS):
        counts = truth + np.random.default_rng(seed).normal(0.0, stddev, len(truth))
        found = Marginals(np.array([truth.sum()]), counts[None, :], stddev).probabilities(layout)[0]
        whole = np.maximum(counts, 0.0) + 1e-6
        clear = np.where(counts > stddev, counts, 0.0) + 1e-6
        for log, own in ((ours, found), (kept, whole / whole.sum()), (dropped, clear / clear.sum())):
            log.append((0.5 * np.abs(own - wanted).sum(), -float(wanted @ np.log(own))))
    (far, surprised), (far_kept, _), (_, surprised_dropped) = (np.mean(log, axis=0) for log in (ours, kept, dropped))
    assert far < 0.9 * far_kept
    assert surprised < surprised_dropped - 0.2


@pytest.mark.parametrize(("variance", "rivals"), [(0.03, ("as it comes", "where positive")), (0.16, ("noise alone",))])
def test_a_scale_below_noise_is_taken_from_noise_and_one_above_it_from_the_rows(variance, rivals):
    """Against the noisy second moment as it comes, or where it is positive, and against what noise alone explains."""
    field, n_rows, stddev = MomentField("x", "float", False, -1.0, 1.0), 1_000.0, 45.0
    noise, least = stddev / n_rows, 1.0 / 64.0**2
    errors = {"ours": [], "as it comes": [], "where positive": [], "noise alone": []}
    for seed in range(DRAWS):
        block = np.array([0.0, variance * n_rows, 0.0]) + np.random.default_rng(seed).normal(0.0, stddev, 3)
        plain = block[1] / n_rows - (block[0] / n_rows) ** 2
        found = {"ours": field.fit(block, n_rows, stddev, 8).scale ** 2, "as it comes": plain, "noise alone": noise}
        found["where positive"] = plain if plain > 0.0 else noise
        for name, own in found.items():
            errors[name].append(0.5 * math.log(max(own, least) / variance))
    for rival in rivals:
        assert root_mean_square(errors["ours"]) < 0.9 * root_mean_square(errors[rival]), rival


# --- where cells lie


def test_leaves_near_the_anchor_are_fine_over_eight_orders_of_magnitude():
    """A linear grid of as many leaves cuts costs of up to a million into steps of hundreds."""
    grid = leaf_grid(0.0, 1e6, whole=False)
    values = np.geomspace(0.01, 1e5, 200)
    leaf = grid.index(values)
    relative = (grid.high[leaf] - grid.low[leaf]) / values
    assert relative.max() < 0.0125
    linear = 1e6 / grid.n_leaves / values
    assert np.mean(np.log(relative)) < np.mean(np.log(linear)) - 1.0
    low = grid.index(np.array([1e-4]))
    assert (grid.high[low] - grid.low[low])[0] < 1e-4


def test_a_heavy_leaf_is_a_cell_alone_and_no_cell_is_much_lighter_than_asked():
    """Of eight cells asked for, one leaf holds half of all rows; it comes behind half a cell, then behind a tenth."""
    grid, least = leaf_grid(0.0, 1.0, whole=False), 0.125
    n_before = grid.n_leaves // 4
    for before, stays_alone in ((0.5 * least, True), (0.1 * least, False)):
        masses = np.zeros(grid.n_leaves)
        masses[:n_before] = before / n_before
        masses[n_before] = 0.5
        masses[n_before + 1 :] = (0.5 - before) / (grid.n_leaves - n_before - 1)
        starts = quantile_codec("x", "float", False, grid, 1e6 * masses, cell_rows=1e6 * least).cell_starts
        own = np.add.reduceat(masses, starts)
        assert own.min() > 0.2 * least, before
        assert (n_before in starts) == stays_alone, before
        assert own.max() < 0.5 + 0.25 * least, before


# --- clusters


def test_noise_moves_the_mean_of_the_smallest_cluster_by_a_hundredth_of_a_row_s_bound():
    """What min_cluster_size promises; at a tenth of it the mean would be moved by a tenth."""
    config = ReleaseConfig.from_dict(config_of("/source", "/target", anonymize={"generator": "mix"}))
    plan, width = make_plan(config), 400
    least = min_cluster_size(config, plan, width)
    mu = max(plan.mu_of(Stage.ANONYMIZE), plan.mu_of(Stage.APPROXIMATE))
    moved = [np.linalg.norm(np.random.default_rng(seed).normal(0.0, 1.0 / mu, width)) / least for seed in range(20)]
    assert 0.005 < np.mean(moved) < 0.02


def test_a_price_that_is_given_back_slowly_leaves_a_cluster_short_less_often():
    """Sizes are read with noise: a price that falls as fast as it rises leaves the cluster short every other time."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(-1.0, 0.4, 1_800), rng.normal(1.0, 0.4, 200)])[:, None].astype(np.float32)
    classes, least = np.zeros(len(x), dtype=np.int64), 400

    def share_short(give_back):
        mixture = Mixture(
            np.array([[-1.0], [1.0]]), np.ones(2), np.ones(2), np.zeros(2), np.array([-1, -1]), "isotropic"
        )
        noise, short = np.random.default_rng(4), []
        for _ in range(150):
            true = np.bincount(mixture.assign(x, classes), minlength=2).astype(float)
            short.append(true[1] < least - 20)
            mixture = give_back(mixture, true + noise.normal(0.0, 80.0, 2))
        return float(np.mean(short[50:]))

    def ours(mixture, sizes):
        return raise_prices(mixture, sizes, least, 1.0)

    def as_fast(mixture, sizes):
        lack = np.clip((least - sizes) / least, -2.0, 1.0)
        return replace(mixture, prices=np.maximum(mixture.prices + 0.5 * lack, 0.0))

    assert share_short(ours) < 0.5 * share_short(as_fast)


# --- labels


SHARES = np.array([0.9, 0.1])


def skewed_problem():
    """Two classes of nine to one, and three columns: the first tells the classes apart, the others nothing."""
    codes = (category("a", "p", "q", "r"), category("b", "p", "q"), category("c", "p", "q", "r", "s"))
    encoding = Encoding(codes, category("y", "no", "yes"), 2.0)
    laws = np.array(
        [[0.6, 0.3, 0.1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25], [0.1, 0.3, 0.6, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]]
    )
    counts = 1_000.0 * SHARES[:, None] * laws
    orders = tuple(np.arange(code.n_cells) for code in codes)
    sampler = RowSampler(SHARES, np.array([0, 1]), laws, orders, np.eye(3), None)
    pooled = encoding.cell_layout.split(SHARES @ laws)
    odds = cell_log_odds(counts, 1.0, SHARES)
    return Problem(encoding, odds, pooled, SHARES, sampler, 1_000.0)


def test_rows_that_are_drawn_have_the_classes_shares_to_a_thousandth():
    """Labels learned and not calibrated would miss a share of a tenth by more."""
    problem = skewed_problem()
    config = AdaptConfig(targets="released", steps=2, support_size=8)
    found = learn_labels(None, problem, config, 8, None, np.random.default_rng(1), mu=0.0, rate=1.0)
    cells, _ = problem.sampler.draw_cells(problem.encoding, 200_000, np.random.default_rng(2))
    shares = found.labels.probabilities(cells).mean(axis=0)
    assert shares == pytest.approx(SHARES, abs=2e-3)


def kernel_error(crosswise, n_noise, seed, even_share):
    """Test error of a ridge on the kernel, of our weights or of others, where most columns tell nothing.

    Crosswise the label is the exclusive or of the first two columns, neither of which tells it alone; otherwise each
    of the two tells it three times in four. A third column tells it more often than not.
    """
    rng = np.random.default_rng(seed)
    sizes = [2, 2, 10, *[8] * n_noise]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    local = np.column_stack([rng.integers(0, size, 3_000) for size in sizes])
    label = local[:, 0] ^ local[:, 1] if crosswise else rng.integers(0, 2, len(local))
    if not crosswise:
        local[:, :2] = np.where(rng.random((len(local), 2)) < 0.75, label[:, None], 1 - label[:, None])
    told = rng.random(len(label)) < 0.6
    local[:, 2] = np.where(told, 5 * label + rng.integers(0, 5, len(label)), local[:, 2])
    cells = local + offsets[:-1]
    counts = np.zeros((2, offsets[-1]))
    np.add.at(counts, (label[:, None], cells), 1.0)
    odds, laws = cell_log_odds(counts, 1.0, np.array([0.5, 0.5])), counts.sum(axis=0) / len(cells)
    orders = [np.arange(size) for size in sizes]
    ours = kernel_scores(odds, laws, orders, CellLayout(tuple(sizes)))
    scores = ours.scores.copy()
    if even_share is not None:
        information = np.add.reduceat((odds**2).sum(axis=0) * laws, offsets[:-1]) + 1e-3
        weight = (1.0 - even_share) * information / information.sum() + even_share / len(sizes)
        for column, (start, stop) in enumerate(pairwise(offsets)):
            own = scores[start:stop]
            scores[start:stop] = own / np.sqrt(np.sum(laws[start:stop] * own**2)) * np.sqrt(weight[column])
    x, y = scores[cells], 2.0 * label - 1.0
    train, test = slice(0, 600), slice(600, None)
    kernel = ntk(x[train], x[train], Architecture())
    ridge = 1e-2 * np.trace(kernel) / len(kernel)
    found = ntk(x[test], x[train], Architecture()) @ np.linalg.solve(kernel + ridge * np.eye(600), y[train])
    return float(np.mean(np.sign(found) != y[test]))


def test_a_kernel_that_gives_every_column_a_share_learns_what_only_two_together_tell():
    ours, none = (np.mean([kernel_error(True, 3, seed, share) for seed in range(3)]) for share in (None, 0.0))
    assert ours < 0.8 * none


def test_a_kernel_that_weighs_columns_by_what_they_tell_is_not_drowned_by_those_that_tell_nothing():
    ours, even = (np.mean([kernel_error(False, 40, seed, share) for seed in range(3)]) for share in (None, 1.0))
    assert ours < 0.9 * even


# --- what a plan prints


@pytest.mark.parametrize("max_rows", [2, 7])
def test_a_plan_prints_noise_for_all_rows_of_a_unit(max_rows):
    """The noise of a plan for one row, times the rows of a unit, at the price that the plan pays."""

    def stages_of(unit):
        config = ReleaseConfig.from_dict(config_of("/source", "/target", privacy={"unit": unit}))
        return {stage.stage: stage for stage in outlook(config, n_rows=50_000).stages}

    one, many = stages_of("row"), stages_of({"column": "patient", "max_rows": max_rows})
    for stage in ("encode", "approximate"):
        wanted = max_rows * one[stage].noise_rows * one[stage].mu / many[stage].mu
        assert many[stage].noise_rows == pytest.approx(wanted, rel=1e-3)
        assert many[stage].typical_rows == one[stage].typical_rows
