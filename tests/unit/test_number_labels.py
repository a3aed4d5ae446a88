"""Labels that are numbers: residuals keep their bound, and what is drawn has the expected values, spread and shares."""

import numpy as np
import pandas as pd
import pytest
from in_memory import run_in_memory
from scipy.special import softmax

from threea_spark.adapt import number_labels
from threea_spark.adapt.features import Scales, feature_map, kernel_scores
from threea_spark.adapt.scaled_number import ScaledNumber
from threea_spark.adapt.targets import Targets, Weights
from threea_spark.encode.cell_layout import CellLayout
from threea_spark.encode.grid import leaf_grid
from threea_spark.encode.quantile_codec import quantile_codec
from threea_spark.model.labels import KernelInput, LabelFunction
from threea_spark.model.ntk import Architecture

SIZES = (6, 5)
N_CELLS = sum(SIZES)
EDGES = np.array([-0.5, 0.5])


def label_codec(*, nullable=False, null_share=0.0):
    """A skewed label from 0 to 100, a fifth of it exactly 0."""
    grid = leaf_grid(0.0, 100.0, whole=True)
    rows = np.random.default_rng(1).gamma(2.0, 12.0, 40_000)
    rows = np.where(np.random.default_rng(2).random(len(rows)) < 0.2, 0.0, np.clip(np.rint(rows), 0.0, 100.0))
    masses = np.bincount(grid.index(rows), minlength=grid.n_leaves).astype(float)
    return quantile_codec("y", "integer", nullable, grid, masses, cell_rows=5_000, null_share=null_share)


def targets_of(n_rows=400, seed=1, values=None):
    rng = np.random.default_rng(seed)
    cells = np.column_stack([rng.integers(0, size, n_rows) for size in SIZES]) + np.array([0, SIZES[0]])
    effects, mass = rng.normal(size=(1, N_CELLS)), np.full(N_CELLS, 0.2)
    kernel_input = kernel_scores(effects, mass, [np.arange(size) for size in SIZES], CellLayout(SIZES))
    given = {"layout": CellLayout(SIZES), "diag_reg": 1e-3, "scales": Scales()}
    features = feature_map(effects, mass, kernel_input, kernel_input(cells[:9]), Architecture(), **given)
    if values is None:
        values = np.where(rng.random(n_rows) < 0.1, np.nan, rng.normal(0.0, 2.0, n_rows))
    weights = Weights(rng.normal(size=2), rng.normal(size=(features.n_shared, 1)))
    return features, weights, cells, values


def sums_of(features, weights, cells, values):
    query = number_labels.residual_query(EDGES, weights, np.zeros(1))
    return query.contribution(Targets.of(features, cells, np.zeros(len(cells), dtype=np.int64), values))


@pytest.mark.parametrize("size", [1.0, 1e6])
def test_each_row_adds_no_more_than_the_bound_and_rows_add_up(size):
    features, weights, cells, values = targets_of()
    values = values * size
    bound, whole = number_labels.residual_bound(), sums_of(features, weights, cells, values)
    alone = [sums_of(features, weights, cells[i : i + 1], values[i : i + 1]) for i in range(len(cells))]
    assert np.array_equal(np.sum(alone, axis=0), whole)
    assert max(int((one**2).sum()) for one in alone) <= bound.squared_norm
    assert max(np.count_nonzero(one) for one in alone) <= bound.moved
    assert all(not one.any() for one, value in zip(alone, values, strict=True) if np.isnan(value))


def test_residuals_have_the_variance_of_their_range_and_noise_shrinks_it_to_that_of_all():
    features, weights, cells, _ = targets_of(20_000)
    targets = Targets.of(features, cells, np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells)))
    expected = targets.outputs(weights, np.zeros(1))[:, 0]
    spread = np.array([0.2, 0.5, 0.9])[np.searchsorted(EDGES, expected)]
    values = expected + spread * np.random.default_rng(4).normal(size=len(cells))
    sums = sums_of(features, weights, cells, values)
    exact = number_labels.residual_variances(sums.astype(float), 1e-9)
    assert exact == pytest.approx([0.04, 0.25, 0.81], rel=0.1)
    shrunk = number_labels.residual_variances(sums.astype(float), 1e7)
    assert np.ptp(shrunk) < 0.1 * np.ptp(exact)


def drawn_from(codec, variances, n_rows=6_000):
    """Labels of rows whose expected value is a column with twenty values."""
    number = ScaledNumber.of(codec)
    effects = np.linspace(-1.0, 1.6, 20)
    nothing = np.zeros((0, 1))
    function = LabelFunction(np.zeros(1), effects[:, None], KernelInput(np.zeros(20)), nothing, nothing, Architecture())
    cells = np.random.default_rng(5).integers(0, 20, (n_rows, 1))
    return number, number_labels.number_labels(number, function, cells, EDGES, variances), cells


def test_what_is_drawn_has_the_expected_value_and_the_residuals_variance():
    number, labels, cells = drawn_from(label_codec(), np.array([0.1, 0.2, 0.4]))
    chances = labels.probabilities(cells)
    assert chances.sum(axis=1) == pytest.approx(np.ones(len(cells)))
    means = chances @ number.of_cells
    expected = labels.function.logits(cells)[:, 0]
    reachable = expected > number.of_cells.min() + 0.3
    assert means[reachable] == pytest.approx(expected[reachable], abs=0.03)
    variances = chances @ number.of_cells**2 - means**2
    wanted = np.array([0.1, 0.2, 0.4])[np.searchsorted(EDGES, expected)]
    assert np.median(np.abs(variances / wanted - 1.0)) < 0.1


def test_what_is_drawn_keeps_the_labels_own_distribution_better_than_residuals_of_one_normal():
    number, labels, cells = drawn_from(label_codec(), np.full(3, 0.35), 60_000)
    rng = np.random.default_rng(6)
    ours = np.bincount(labels.draw(cells, rng.random(len(cells))), minlength=number.codec.n_cells) / len(cells)
    normal = labels.function.logits(cells)[:, 0] + np.sqrt(0.35) * rng.normal(size=len(cells))
    nearest = np.abs(normal[:, None] - number.of_cells).argmin(axis=1)
    naive = np.bincount(nearest, minlength=number.codec.n_cells) / len(cells)
    wanted = number.codec.cell_mass
    assert 0.5 * np.abs(ours - wanted).sum() < 0.5 * 0.5 * np.abs(naive - wanted).sum()


def whole_steps(base, values, means, variances):
    """Newton's steps that nothing halves: from one end of the values to the other and back."""
    moments = np.column_stack([values, values**2])
    tilt, logs = np.zeros((len(means), 2)), np.log(base)
    for _ in range(60):
        shares = softmax(logs + tilt @ moments.T, axis=1)
        found = shares @ moments
        spread = np.einsum("kc,ci,cj->kij", shares, moments, moments) - found[:, :, None] * found[:, None, :]
        step = np.linalg.solve(
            spread + 1e-4 * np.eye(2), (np.column_stack([means, means**2 + variances]) - found)[..., None]
        )
        tilt += np.clip(step[..., 0], -3.0, 3.0)
    return softmax(logs + tilt @ moments.T, axis=1)


@pytest.mark.parametrize("spread", [0.3, 0.5, 0.8, 1.0])
def test_far_expected_values_are_met_where_whole_steps_miss_them(spread):
    values, means = np.linspace(-3.3, 4.5, 64), np.linspace(-2.8, 3.5, 20)
    base = np.exp(-0.5 * (values / spread) ** 2) + 1e-4
    wanted = base / base.sum(), values, means, np.full(20, 0.2)
    ours, naive = (nearest(*wanted) @ values for nearest in (number_labels._nearest, whole_steps))
    assert np.abs(ours - means).max() < 0.01
    assert np.abs(naive - means).max() > 1.0


def test_nulls_are_drawn_as_often_as_they_were_counted():
    _, labels, cells = drawn_from(label_codec(nullable=True, null_share=0.07), np.full(3, 0.35))
    assert labels.probabilities(cells)[:, -1] == pytest.approx(np.full(len(cells), 0.07))


def test_a_released_number_keeps_its_kind_bounds_and_nulls_and_follows_the_columns():
    rng = np.random.default_rng(7)
    n = 8_000
    frame = pd.DataFrame({"a": rng.random(n), "b": rng.random(n), "c": rng.choice(["p", "q"], n)})
    told = 40.0 + 30.0 * np.sin(6.0 * frame.a) + 20.0 * frame.b * (frame.c == "p")
    frame["y"] = np.clip(np.rint(told + 6.0 * rng.normal(size=n)), 0, 100)
    frame.loc[rng.random(n) < 0.05, "y"] = np.nan
    unit = {"type": "float", "lower": 0, "upper": 1}
    columns = {"a": unit, "b": unit, "c": {"type": "categorical", "values": ["p", "q"]}}
    columns["y"] = {"type": "integer", "lower": 0, "upper": 100, "nullable": True}
    content = {
        "source": {"path": "/source"},
        "target": {"path": "/target"},
        "privacy": {"epsilon": 5.0, "delta": 1e-5, "unit": "row"},
        "domain": {"label": "y", "task": "regression", "columns": columns},
    }
    _, _, rows = run_in_memory(frame, content)
    known = rows[rows.y.notna()]
    assert abs(rows.y.isna().mean() - 0.05) < 0.02
    assert known.y.between(0, 100).all()
    assert (known.y == np.rint(known.y)).all()
    truth = 40.0 + 30.0 * np.sin(6.0 * known.a) + 20.0 * known.b * (known.c == "p")
    explained = 1.0 - ((known.y - truth) ** 2).mean() / known.y.var()
    assert explained > 0.75  # of .93 in the source; 8 classes of labels explain less
    assert abs(known.y.std() / frame.y.std() - 1.0) < 0.1
