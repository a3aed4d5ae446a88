"""Tables of many classes: a row's gradient keeps its bound, sums are exact in any chunk, and memory does not grow."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax

from threea_spark.adapt import curvature as label_curvature
from threea_spark.adapt import targets as label_targets
from threea_spark.adapt.features import Scales, feature_map, kernel_scores
from threea_spark.adapt.label_fit import FitSettings, fit_weights, gradient_query
from threea_spark.approximate.odds import cell_log_odds
from threea_spark.encode.cell_layout import CellLayout
from threea_spark.model.ntk import Architecture


def rows_of(n_classes, n_rows=500, n_columns=5, n_levels=8):
    rng = np.random.default_rng(7)
    offsets = np.arange(n_columns + 1) * n_levels
    cells = rng.integers(0, n_levels, (n_rows, n_columns)) + offsets[:-1]
    classes = rng.integers(0, n_classes, n_rows)
    counts = np.zeros((n_classes, int(offsets[-1])))
    np.add.at(counts, (classes[:, None], cells), 1.0)
    shares = np.full(n_classes, 1.0 / n_classes)
    odds, laws = cell_log_odds(counts, 1.0, shares), counts.sum(axis=0) / n_rows
    kernel_input = kernel_scores(odds, laws, [np.arange(n_levels)] * n_columns, CellLayout((n_levels,) * n_columns))
    given = {"layout": CellLayout((n_levels,) * n_columns), "diag_reg": 1e-3, "scales": Scales()}
    features = feature_map(odds, laws, kernel_input, kernel_input(cells[:12]), Architecture(), **given)
    return features, cells, classes, np.log(shares)


@pytest.mark.parametrize("n_classes", [12, 60, 200])
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0])
def test_with_many_classes_rows_keep_the_bound_and_add_up_alone_and_in_any_chunk(monkeypatch, n_classes, scale):
    features, cells, classes, prior = rows_of(n_classes)
    targets = label_targets.Targets.of(features, cells, classes)
    rng, bound = np.random.default_rng(1), 4_000
    shape = (features.n_shared, n_classes)
    weights = label_targets.Weights(scale * rng.normal(size=5), scale * rng.normal(size=shape))
    whole = targets.gradient_sums(weights, prior, bound)
    alone = []
    for row in range(len(targets)):
        own = label_targets.Targets.of(features, cells[row : row + 1], classes[row : row + 1])
        alone.append(own.gradient_sums(weights, prior, bound))
    assert max(int((one * one).sum()) for one in alone) <= bound * bound
    assert np.array_equal(np.sum(alone, axis=0), whole)
    monkeypatch.setattr(label_targets, "_CHUNK_VALUES", 7 * n_classes)
    assert np.array_equal(targets.gradient_sums(weights, prior, bound), whole)


def test_what_the_label_fit_holds_of_a_row_does_not_grow_with_the_classes():
    few, many = (label_targets.Targets.of(*rows_of(n_classes)[:3]) for n_classes in (12, 120))
    assert few.rows.dtype == many.rows.dtype
    assert {"cells", "dense"} <= set(few.rows.dtype.names)
    assert many.features.odds.nbytes - few.features.odds.nbytes == 8 * 108 * 40  # log odds: classes times cells


N_CLASSES, N_COLUMNS, N_LEVELS = 40, 5, 8


def overlapping_rows(n_rows, seed):
    """Rows of classes that prefer a level in each column; the levels of different classes overlap."""
    rng, levels = np.random.default_rng(seed), np.random.default_rng(0).integers(0, N_LEVELS, (N_CLASSES, N_COLUMNS))
    classes = rng.integers(0, N_CLASSES, n_rows)
    cells = (levels[classes] + rng.geometric(0.4, (n_rows, N_COLUMNS)) - 1) % N_LEVELS
    return cells + np.arange(N_COLUMNS) * N_LEVELS, classes


@pytest.fixture(scope="module")
def overlapping():
    """Features, rows, the prior, and rows that show the curvature."""
    cells, classes = overlapping_rows(6_000, 1)
    counts = np.zeros((N_CLASSES, N_COLUMNS * N_LEVELS))
    np.add.at(counts, (classes[:, None], cells), 1.0)
    shares = np.bincount(classes, minlength=N_CLASSES) / len(classes)
    odds, laws = cell_log_odds(counts, 1.0, shares), counts.sum(axis=0) / len(cells)
    layout = CellLayout((N_LEVELS,) * N_COLUMNS)
    kernel_input = kernel_scores(odds, laws, [np.arange(N_LEVELS)] * N_COLUMNS, layout)
    given = {"layout": layout, "diag_reg": 1e-3, "scales": Scales()}
    features = feature_map(odds, laws, kernel_input, kernel_input(cells[:30]), Architecture(), **given)
    return features, label_targets.Targets.of(features, cells, classes), np.log(shares), overlapping_rows(2_000, 3)[0]


def held_by(curvature):
    return sum(own.factor[0].nbytes + own.roots.nbytes for own in curvature.of_outputs)


def test_short_factors_of_many_outputs_fit_as_well_as_whole_ones_and_few_rows_alone_do_not(monkeypatch, overlapping):
    """The naive twin keeps the same rows, and forgets the others."""
    features, targets, prior, drawn = overlapping
    settings, n_rows = FitSettings(), float(len(targets))
    classes = targets.rows["label"].astype(np.int64)

    def curvature_within(values):
        monkeypatch.setattr(label_curvature, "_FACTOR_VALUES", values)
        return label_curvature.curvature_of(features, drawn, prior, settings.damping_of(n_rows, 30.0), of_number=False)

    def loss(curvature):
        def ask(weights, step):
            query = gradient_query(features, weights, prior, settings, step)
            return query.contribution(targets).astype(np.float64)

        weights = fit_weights(features, prior, settings, curvature, ask, n_rows=n_rows)
        logits = targets.outputs(weights, prior)
        return -log_softmax(logits, axis=1)[np.arange(len(logits)), classes].mean()

    whole, short = curvature_within(1 << 26), curvature_within(N_CLASSES * 10**2)
    few = [
        label_curvature.Damped.of(own.matrix[own.chosen], own.roots**2, short.damping, 10) for own in short.of_outputs
    ]
    assert held_by(short) < 0.03 * held_by(whole)
    assert loss(short) < loss(whole) + 0.03 < loss(replace(short, of_outputs=tuple(few))) - 0.1
