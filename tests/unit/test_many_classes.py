"""Tables of many classes: a row's gradient keeps its bound, sums are exact in any chunk, and memory does not grow."""

import numpy as np
import pytest

from threea_spark.adapt import targets as label_targets
from threea_spark.adapt.features import Scales, feature_map, kernel_scores
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
