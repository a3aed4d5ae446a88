import math
from dataclasses import replace

import numpy as np
import pytest
from noise_sources import SeededNoise
from scipy.special import expit, log_softmax, softmax

from threea_spark.adapt.curvature import Damped, curvature_of
from threea_spark.adapt.features import FEATURE_GRID, Scales, feature_map, kernel_scores
from threea_spark.adapt.label_fit import FitSettings, fit_weights, gradient_query
from threea_spark.adapt.targets import RESIDUAL_GRID, Targets, Weights
from threea_spark.approximate.odds import cell_log_odds, cell_order
from threea_spark.encode.cell_layout import CellLayout
from threea_spark.model.ntk import Architecture

OFFSETS = np.array([0, 4, 7, 9])
N_CELLS, N_FEATURES = 9, 3
CELL_COLUMN = np.repeat(np.arange(N_FEATURES), np.diff(OFFSETS))
CLIP = 0.5
RICH, FEW = Scales(), Scales.of_few_rows()
BOUND = int(CLIP * FEATURE_GRID * RESIDUAL_GRID)


def toy(n_classes, n=1_500, seed=1):
    """Cells, and classes that depend on the first and (crosswise) on the last two columns."""
    rng = np.random.default_rng(seed)
    local = np.column_stack([rng.integers(0, m, n) for m in np.diff(OFFSETS)])
    logits = np.zeros((n, n_classes))
    logits[:, 1] = 1.2 * local[:, 0] - 1.8 + 1.5 * (local[:, 1] == 2) * (2 * local[:, 2] - 1)
    if n_classes == 3:
        logits[:, 2] = 1.0 - 0.8 * local[:, 0]
    edges = np.cumsum(softmax(logits, axis=1), axis=1)
    classes = (rng.random(n)[:, None] > edges[:, :-1]).sum(axis=1)
    return local + OFFSETS[:-1], classes


def map_of(cells, classes, n_classes, n_support=20, scales=RICH):
    counts = np.zeros((n_classes, N_CELLS))
    np.add.at(counts, (classes[:, None], cells), 1.0)
    weights = np.bincount(classes, minlength=n_classes) / len(classes)
    odds = cell_log_odds(counts, 0.0, weights)
    laws = counts.sum(axis=0) / len(cells)
    orders = [np.arange(m) for m in np.diff(OFFSETS)]
    kernel_input = kernel_scores(odds, laws, orders, CellLayout(tuple(np.diff(OFFSETS).tolist())))
    x_support = kernel_input(cells[: n_support if scales.kernel else 0])
    linear = np.random.default_rng(5).normal(size=(2, N_CELLS)) if scales.linear else None
    features = feature_map(
        odds,
        laws,
        kernel_input,
        x_support,
        Architecture(),
        layout=CellLayout(tuple(np.diff(OFFSETS).tolist())),
        diag_reg=1e-3,
        scales=scales,
        linear=linear,
    )
    return features, weights


def prior_of(features, weights):
    logs = np.log(weights)
    return logs[1:] - logs[:1] if len(features.odds) == 1 else logs


def random_weights(features, scale, seed=3):
    rng = np.random.default_rng(seed)
    n_outputs = len(features.odds)
    return Weights(scale * rng.normal(size=N_FEATURES), scale * rng.normal(size=(features.n_shared, n_outputs)))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e6])
@pytest.mark.parametrize("clip", [0.01, 0.5])
@pytest.mark.parametrize("scales", [RICH, FEW])
def test_each_row_alone_adds_an_integer_vector_within_the_bound(n_classes, scale, clip, scales):
    cells, classes = toy(n_classes, 300)
    features, weights = map_of(cells, classes, n_classes, scales=scales)
    given, prior = random_weights(features, scale), prior_of(features, weights)
    bound = int(clip * FEATURE_GRID * RESIDUAL_GRID)
    for row in range(0, 300, 5):
        for klass in range(n_classes):  # also with the label a row does not have
            own = Targets.of(features, cells[row : row + 1], np.array([klass]))
            gradient = own.gradient_sums(given, prior, bound)
            assert gradient.dtype == np.int64
            assert sum(int(v) ** 2 for v in gradient) <= bound * bound


@pytest.mark.parametrize("value", [-1e6, -3.0, 0.0, 0.4, 1e6, np.nan])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("scales", [RICH, FEW])
def test_a_row_with_a_number_keeps_the_bound_and_one_without_adds_nothing(value, scale, scales):
    cells, classes = toy(2, 60)
    features, _ = map_of(cells, classes, 2, scales=scales)
    given = random_weights(features, scale)
    for row in range(60):
        own = Targets.of(features, cells[row : row + 1], classes[row : row + 1], np.array([value]))
        gradient = own.gradient_sums(given, np.zeros(1), BOUND)
        assert sum(int(v) ** 2 for v in gradient) <= BOUND * BOUND
        assert bool(np.any(gradient)) is not np.isnan(value)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_rows_of_extreme_features_keep_the_bound(n_classes):
    cells, classes = toy(n_classes, 200)
    features, weights = map_of(cells, classes, n_classes)
    huge = replace(features, odds_scale=1e4)
    for row in range(40):
        own = Targets.of(huge, cells[row : row + 1], classes[row : row + 1])
        gradient = own.gradient_sums(random_weights(huge, 1.0), prior_of(huge, weights), BOUND)
        assert sum(int(v) ** 2 for v in gradient) <= BOUND * BOUND


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scales", [RICH, FEW])
def test_sums_of_parts_and_of_rows_equal_the_whole(n_classes, scales):
    cells, classes = toy(n_classes, 600)
    features, weights = map_of(cells, classes, n_classes, scales=scales)
    given, prior = random_weights(features, 1.0), prior_of(features, weights)

    def sums(own):
        return Targets.of(features, cells[own], classes[own]).gradient_sums(given, prior, BOUND)

    whole = sums(slice(None))
    assert np.array_equal(sums(slice(0, None, 3)) + sums(slice(1, None, 3)) + sums(slice(2, None, 3)), whole)
    assert np.array_equal(sum(sums(slice(i, i + 1)) for i in range(600)), whole)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_rows_outputs_are_the_same_to_the_last_bit_alone_and_in_any_batch(n_classes):
    cells, classes = toy(n_classes, 700)
    features, weights = map_of(cells, classes, n_classes, n_support=60)
    given, prior = random_weights(features, 1.0), prior_of(features, weights)
    targets = Targets.of(features, cells, classes)

    def outputs(start, stop):
        return Targets(targets.features, targets.rows[start:stop]).outputs(given, prior)

    whole = outputs(0, 700)
    assert np.array_equal(np.concatenate([outputs(i, i + 1) for i in range(700)]), whole)
    for start, stop in ((1, 700), (3, 8), (0, 699)):
        assert np.array_equal(outputs(start, stop), whole[start:stop])
    naive = given.shared[N_CELLS:].astype(np.float32)  # the twin: float32 products depend on the batch
    dense = targets.rows["dense"].astype(np.float32)
    assert not np.array_equal(dense @ naive, np.concatenate([dense[i : i + 1] @ naive for i in range(700)]))


def test_chunks_change_nothing(monkeypatch):
    cells, classes = toy(2, 500)
    features, weights = map_of(cells, classes, 2)
    targets, given, prior = (
        Targets.of(features, cells, classes),
        random_weights(features, 1.0),
        prior_of(features, weights),
    )
    whole = targets.gradient_sums(given, prior, BOUND)
    monkeypatch.setattr("threea_spark.adapt.targets.DIGIT_ROWS", 7)
    assert np.array_equal(targets.gradient_sums(given, prior, BOUND), whole)


def log_loss(logits, classes):
    return -log_softmax(logits, axis=1)[np.arange(len(classes)), classes].mean()


def steps_of(features, prior, settings, answer, targets, mu, cells, *, of_number=False):
    """Runs the steps with the curvature of other rows, and answers them from the targets."""
    n_rows = float(len(targets))
    curvature = curvature_of(features, cells, prior, settings.damping_of(n_rows, mu), of_number=of_number)

    def ask(weights, step):
        query = gradient_query(features, weights, prior, settings, step)
        return answer(query, query.contribution(targets))

    return fit_weights(features, prior, settings, curvature, ask, n_rows=n_rows)


def fitted(n_classes, answer, mu=50.0, scales=RICH):
    cells, classes = toy(n_classes, 4_000)
    features, weights = map_of(cells, classes, n_classes, scales=scales)
    prior = prior_of(features, weights)
    drawn, _ = toy(n_classes, 2_000, seed=3)
    learned = steps_of(features, prior, FitSettings(), answer, Targets.of(features, cells, classes), mu, drawn)
    labels = features.label_function(learned.columns[:, None], learned.shared, prior, CELL_COLUMN)
    test_cells, test_classes = toy(n_classes, 4_000, seed=2)
    constant = np.tile(np.log(weights), (len(test_cells), 1))
    return log_loss(labels.logits(test_cells), test_classes), log_loss(constant, test_classes)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scales", [RICH, replace(FEW, stretched=1.0)])  # without noise nothing is held back
def test_a_fit_without_noise_beats_the_prior(n_classes, scales):
    learned, prior = fitted(n_classes, lambda query, exact: exact.astype(np.float64), scales=scales)
    assert learned < prior - 0.05


def noisy(mu):
    def answer(query, exact):
        stddev = math.sqrt(query.bound.squared_norm * FitSettings().steps) / mu
        return SeededNoise(1).noised(exact, stddev, (query.name,))

    return answer


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_fit_under_noise_beats_the_prior_and_under_much_noise_does_not(n_classes):
    learned, prior = fitted(n_classes, noisy(3.0), mu=3.0)
    assert learned < prior - 0.02
    hopeless, prior = fitted(n_classes, noisy(1e-4), mu=3.0)
    assert hopeless > prior


def test_preconditioned_steps_come_nearer_to_the_rows_than_plain_ones_of_any_rate():
    """The naive twin: the same noisy sums, followed without the curvature of released rows."""
    cells, classes = toy(2, 4_000)
    features, weights = map_of(cells, classes, 2)
    prior, targets = prior_of(features, weights), Targets.of(features, cells, classes)
    settings, mu = FitSettings(), 3.0
    drawn, _ = toy(2, 2_000, seed=3)
    test_cells, test_classes = toy(2, 4_000, seed=2)

    def loss(learned):
        labels = features.label_function(learned.columns[:, None], learned.shared, prior, CELL_COLUMN)
        return log_loss(labels.logits(test_cells), test_classes)

    class Plain:
        def __init__(self, rate):
            self.rate, self.damping = rate, 0.0

        def solve(self, gradient, n_columns):
            return self.rate * gradient

    def plain(rate):
        def ask(given, step):
            query = gradient_query(features, given, prior, settings, step)
            return noisy(mu)(query, query.contribution(targets))

        return loss(fit_weights(features, prior, settings, Plain(rate), ask, n_rows=4_000.0))

    ours = loss(steps_of(features, prior, settings, noisy(mu), targets, mu, drawn))
    assert ours < min(plain(rate) for rate in (0.3, 1.0, 3.0, 10.0)) - 1e-3


def test_the_mean_of_the_last_steps_is_nearer_to_what_is_learned_without_noise_than_the_last_one():
    cells, classes = toy(2, 1_000)
    features, weights = map_of(cells, classes, 2)
    prior, targets = prior_of(features, weights), Targets.of(features, cells, classes)

    def learned(settings, seed):
        noise = np.random.default_rng(seed)

        def answer(query, exact):
            stddev = math.sqrt(query.bound.squared_norm * settings.steps)
            return exact + (noise.normal(0.0, stddev, exact.shape) if seed is not None else 0.0)

        return steps_of(features, prior, settings, answer, targets, 1.0, cells)

    ours, last, truth = [], [], learned(FitSettings(), None)
    for seed in range(4):
        for log, settings in ((ours, FitSettings()), (last, FitSettings(averaged=0.01))):
            found = learned(settings, seed)
            log.append(np.linalg.norm(found.shared - truth.shared))
    assert np.mean(ours) < 0.97 * np.mean(last)


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (9, 9)])
def test_the_damped_inverse_is_the_same_from_either_side(shape):
    rng = np.random.default_rng(1)
    rows, vector = rng.normal(size=shape), rng.normal(size=shape[1])
    wanted = np.linalg.solve(rows.T @ rows + 0.1 * np.eye(shape[1]), vector)
    matrix, roots = 2.0 * rows / np.arange(1, shape[0] + 1)[:, None], 0.5 * np.arange(1, shape[0] + 1)
    assert Damped.of(matrix, roots**2, 0.1, 9).solve(vector) == pytest.approx(wanted)


def test_the_curvature_is_the_slope_of_the_mean_gradient():
    """By finite differences of the exact sums, for a number: its loss has the same curvature everywhere."""
    cells, classes = toy(2, 1_000)
    features, _ = map_of(cells, classes, 2)
    targets = Targets.of(features, cells, classes, np.linspace(-1.0, 1.0, len(cells)))
    at, wide = random_weights(features, 0.1), int(1e6) * BOUND
    moved = Weights(at.columns, at.shared.copy())
    moved.shared[-1] += 0.5
    units = FEATURE_GRID * RESIDUAL_GRID * len(cells)
    slope = (targets.gradient_sums(moved, np.zeros(1), wide) - targets.gradient_sums(at, np.zeros(1), wide)) / units
    delta = np.zeros(N_FEATURES + features.n_shared)
    delta[-1] = 0.5
    curvature = curvature_of(features, cells, np.zeros(1), 0.1, of_number=True)
    assert curvature.solve(slope + 0.1 * delta, N_FEATURES) == pytest.approx(delta, abs=0.02)
    assert curvature.solve(slope, N_FEATURES) != pytest.approx(delta, abs=0.02)


def test_what_a_product_of_matrices_meets_lies_on_the_exact_grid():
    cells, classes = toy(2)
    features, _ = map_of(cells, classes, 2)
    for part in (features.kernel_input.scores, features.x_support, features.whitening):
        assert np.array_equal(part * 2.0**18, np.rint(part * 2.0**18))


def test_each_step_asks_once_with_a_name_of_its_own():
    asked = []
    cells, classes = toy(2, 50)
    features, weights = map_of(cells, classes, 2)

    def answer(query, exact):
        asked.append((query.name, exact.dtype, exact.shape, query.bound.squared_norm))
        return np.zeros(exact.shape)

    prior = prior_of(features, weights)
    steps_of(features, prior, FitSettings(steps=7), answer, Targets.of(features, cells, classes), 1.0, cells)
    assert len({name for name, *_ in asked}) == len(asked) == 7
    size = gradient_query(features, random_weights(features, 0.0), prior, FitSettings(), 0).size
    assert {tuple(own) for _, *own in asked} == {(np.dtype(np.int64), (size,), BOUND**2)}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scales", [RICH, FEW])
def test_the_label_function_is_the_linear_model_that_the_weights_describe(n_classes, scales):
    cells, classes = toy(n_classes, 200)
    features, weights = map_of(cells, classes, n_classes, scales=scales)
    given, prior = random_weights(features, 1.0), prior_of(features, weights)
    labels = features.label_function(given.columns[:, None], given.shared, prior, CELL_COLUMN)
    indicators = np.zeros((len(cells), N_CELLS))
    indicators[np.arange(len(cells))[:, None], cells] = features.cell_scale
    tables = [units[cells] / FEATURE_GRID for units in features.linear_units]
    shared = np.hstack([indicators, *tables, features.dense(cells).astype(np.float64)])
    linear = shared @ given.shared
    linear = linear + np.column_stack(
        [features.column_odds(cells, c).astype(np.float64) @ given.columns for c in range(len(features.odds))]
    )
    linear = prior + scales.stretched * linear
    logits = labels.logits(cells)
    if n_classes == 2:
        assert np.allclose(logits[:, 0], 0.0)
        assert np.allclose(logits[:, 1:], linear, atol=1e-3)
        assert np.allclose(labels.probabilities(cells)[:, 1], expit(linear[:, 0]), atol=1e-3)
    else:
        assert np.allclose(logits, linear, atol=1e-3)


def test_without_inducing_points_the_model_is_additive():
    cells, classes = toy(2, 300)
    features, weights = map_of(cells, classes, 2, n_support=0)
    assert features.n_shared == N_CELLS + 1
    given, prior = random_weights(features, 1.0), prior_of(features, weights)
    logits = features.label_function(given.columns[:, None], given.shared, prior, CELL_COLUMN).logits(cells)
    one, two = logits[(cells == cells[0]).all(axis=1)], logits[0]
    assert np.allclose(one, two)


def test_log_odds_speak_for_the_class_a_cell_is_frequent_in():
    counts = np.array([[90.0, 10.0, 0.0], [10.0, 90.0, 0.0]])
    odds = cell_log_odds(counts, 1.0, np.array([0.5, 0.5]))
    assert odds[0, 0] > 0.4
    assert odds[1, 0] < -0.4
    assert odds[:, 2] == pytest.approx([0.0, 0.0])
    shrunk = cell_log_odds(counts, 100.0, np.array([0.5, 0.5]))
    assert abs(shrunk[0, 0]) < abs(odds[0, 0])


def test_log_odds_of_negative_noise_are_finite():
    assert np.all(np.isfinite(cell_log_odds(np.full((2, 4), -1e6), 1e3, np.array([0.9, 0.1]))))


def test_numbers_are_ordered_by_value_with_null_first_and_categories_by_odds():
    odds = np.array([[0.5, -0.2, 0.1, 0.0], [-0.5, 0.2, -0.1, 0.0]])
    assert cell_order(odds, True, 3).tolist() == [3, 0, 1, 2]
    assert cell_order(odds, False, 3).tolist() == [0, 2, 3, 1]


def test_the_damping_falls_with_the_signal_down_to_what_released_rows_can_show():
    settings = FitSettings()
    assert settings.damping_of(2e4, 0.2) == 2.0 * settings.damping_of(4e4, 0.2) == 4.0 * settings.damping_of(4e4, 0.4)
    assert settings.damping_of(1e9, 0.2) == settings.damping_of(1e12, 5.0) == settings.least_damping
