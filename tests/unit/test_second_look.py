import math

import numpy as np
import pytest
from noise_sources import NoNoise, SeededNoise
from queries import Unread, ask
from small_tables import category, number
from test_auto import config_of

from threea_spark.adapt import second_look
from threea_spark.adapt.second_look import choose, n_chosen
from threea_spark.approximate.class_means import ClassMeans
from threea_spark.approximate.look import measure_class_means
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.errors import PrivacyError
from threea_spark.planned import make_plan
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.terms import Stage

N_CLASSES = 12
LABEL = category("y", *(f"k{i}" for i in range(N_CLASSES)))
CODES = tuple(
    category(f"c{i}", "p", "q", "r") if i % 5 == 4 else number(f"x{i}", nullable=i % 5 == 1) for i in range(240)
)
ENCODING = Encoding(CODES, LABEL, 50.0)


def seen(truth, *, stddev=40.0, size=300.0, seed=1):
    noise = np.random.default_rng(seed).normal(0.0, stddev, truth.shape)
    return ClassMeans(np.full(len(truth), size), size * truth + noise, stddev)


def planted(informative, strength, seed=2):
    """Deviations in the first coordinate of some features."""
    truth = np.zeros((N_CLASSES, ENCODING.width))
    places = ENCODING.offsets[informative]
    truth[:, places] = strength * np.random.default_rng(seed).normal(size=(N_CLASSES, len(places)))
    return truth


def meter_of(noise=None, *, epsilon=1.0, **sections):
    plan = make_plan(config_of(privacy={"epsilon": epsilon}, **sections))
    return PrivacyMeter(plan, noise or SeededNoise(1), "r1")


# --- which columns


@pytest.mark.parametrize(
    ("n_features", "expected"),
    [(1, 1), (63, 63), (64, 64), (100, 64), (192, 64), (193, 65), (617, 206), (768, 256), (784, 256), (10_000, 256)],
)
def test_a_third_of_the_columns_is_looked_at_again_within_bounds(n_features, expected):
    assert n_chosen(n_features) == expected


def test_planted_columns_are_chosen_whatever_their_kind():
    informative = np.random.default_rng(3).choice(240, 60, replace=False)
    chosen = choose(ENCODING, seen(planted(informative, 0.4)))
    assert chosen.shape == (240,)
    assert chosen.sum() == 80
    assert chosen[informative].mean() > 0.95
    blind = choose(ENCODING, seen(planted(informative, 0.0)))  # the twin: nothing is planted
    assert blind.sum() == 80
    assert 0.1 < blind[informative].mean() < 0.6


def test_a_column_of_many_coordinates_has_no_advantage_from_noise():
    rates = np.mean([choose(ENCODING, seen(planted(np.arange(1), 0.0), seed=s)) for s in range(60)], axis=0)
    wide = np.array([i % 5 == 4 for i in range(240)])
    assert rates[wide].mean() == pytest.approx(1.0 / 3.0, abs=0.05)
    assert rates[~wide].mean() == pytest.approx(1.0 / 3.0, abs=0.05)


def test_all_columns_of_a_narrow_table_are_chosen():
    encoding = Encoding(CODES[:30], LABEL, 50.0)
    assert choose(encoding, seen(np.zeros((N_CLASSES, encoding.width)))).all()


# --- what it spends


def rows_of(n, width, seed=4, correlation=0.0):
    """Rows with class means, in grid units, and their classes."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, N_CLASSES, n)
    means = 0.5 * rng.normal(size=(N_CLASSES, width))
    common = rng.normal(size=(n, 1))
    inner = math.sqrt(correlation) * common + math.sqrt(1.0 - correlation) * rng.normal(size=(n, width))
    return np.rint((means[classes] + inner) * SCORE_GRID).astype(np.int64), classes


class Given:
    """Rows that are all in the sample."""

    def __init__(self, rows):
        self._rows = rows

    def sample(self, rate):
        return self._rows


def look(meter, rows, classes, n_numbers):
    """The two readings of the second look, as `look_again` makes them once rows are on the driver."""
    sizes = np.full(N_CLASSES, len(rows) / N_CLASSES)
    chosen = second_look._Chosen(rows, rows[:, :n_numbers] / SCORE_GRID, classes)
    with meter.sample(Stage.ADAPT, Given(chosen), 1.0) as held:
        mu_means, mu_pairs = second_look.split_mu(meter.remaining_mu(Stage.ADAPT), n_numbers)
        own = second_look._look(N_CLASSES, rows.shape[1])
        means = measure_class_means(held, own, meter, mu_means, sizes)
        return means, second_look._correlations(held, n_numbers, float(len(rows)), meter, mu_pairs)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("relation", ["add_or_remove_one", "replace_one"])
def test_the_second_look_spends_its_share_and_no_more(epsilon, relation):
    meter = meter_of(epsilon=epsilon)
    look(meter, *rows_of(300, 20), 20)
    planned = meter.plan.mu_of(Stage.ADAPT)
    assert 0.9999 * planned <= meter.spent_mu(Stage.ADAPT) <= planned * (1.0 + 1e-9)
    assert meter.spent_mu(Stage.ENCODE) == meter.spent_mu(Stage.APPROXIMATE) == 0.0
    assert len(meter.events_by_stage()[Stage.ADAPT]) == 1  # one Gaussian on one sample
    with pytest.raises(PrivacyError, match="the plan holds"):  # nothing is left
        ask(meter, Stage.ADAPT, "more", mu=0.1 * planned, rows=Unread())


@pytest.mark.parametrize("n_numbers", [0, 1])
def test_without_pairs_no_correlation_is_bought(n_numbers):
    meter = meter_of()
    _, related = look(meter, *rows_of(300, 6), n_numbers)
    assert np.array_equal(related, np.eye(n_numbers))
    assert meter.spent_mu(Stage.ADAPT) == pytest.approx(meter.plan.mu_of(Stage.ADAPT))


# --- what it sees


def test_class_means_and_correlations_are_found_without_noise():
    rows, classes = rows_of(6_000, 40, correlation=0.5)
    means, related = look(meter_of(NoNoise(), epsilon=10.0), rows, classes, 40)
    plain = np.array([rows[classes == c].mean(axis=0) for c in range(N_CLASSES)]) / SCORE_GRID
    plain -= plain.mean(axis=0)
    assert np.corrcoef(means.deviations.ravel(), plain.ravel())[0, 1] > 0.97
    assert float((means.deviations * plain).sum() / (plain**2).sum()) == pytest.approx(1.0, abs=0.1)
    upper = np.triu_indices(40, 1)
    assert related[upper].mean() > 0.25
    _, unrelated = look(meter_of(NoNoise(), epsilon=10.0), *rows_of(6_000, 40), 40)
    assert abs(unrelated[upper].mean()) < 0.1


def error_over_claim(factor):
    """Standard deviation of the noise on the class sums over what the means say of it."""
    rows, classes = rows_of(4_000, 50)
    rows = np.rint(rows * (6.0 * SCORE_GRID / np.linalg.norm(rows, axis=1, keepdims=True))).astype(np.int64)  # one bin
    quiet, noisy = (
        look(meter_of(noise, epsilon=10.0), rows, classes, 0)[0] for noise in (NoNoise(), SeededNoise(3, factor=factor))
    )
    assert noisy.stddev == pytest.approx(quiet.stddev, rel=0.05)  # both cut at the same norm, or nearly so
    return float((noisy.sums - quiet.sums).std()) / noisy.stddev


def test_class_means_know_their_noise():
    assert error_over_claim(1.0) == pytest.approx(1.0, abs=0.1)
    assert error_over_claim(1.3) > 1.15
