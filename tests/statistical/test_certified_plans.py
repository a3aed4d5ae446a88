"""Accepted plans: their true delta, from the noise as it is drawn, stays within the claim; the others are refused."""

import itertools
import math

import numpy as np
import promises
import pytest
from scipy.special import ndtri

from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import PrivacyError
from threea_spark.planned import make_plan, ways_through
from threea_spark.privacy.noise import _symmetric_normal, grid_of

EPSILONS, DELTAS = (0.1, 1.0, 8.0), (1e-4, 1e-6, 1e-9, 1e-12)
UNITS, CLASSES, COLUMNS = (1, 100, 1000), (2, 10, 30), (5, 60, 300)
EVERY = list(itertools.product(EPSILONS, DELTAS, UNITS, CLASSES, COLUMNS))
_WORDS_A_CELL = 60  # with more every cell is reached


def config_of(epsilon, delta, max_rows, n_classes, n_columns, **sections):
    columns = {f"x{number}": {"type": "float", "lower": 0, "upper": 1} for number in range(n_columns)}
    columns["y"] = {"type": "categorical", "values": [f"c{number}" for number in range(n_classes)]}
    unit = "row" if max_rows == 1 else {"column": "id", "max_rows": max_rows}
    return ReleaseConfig.from_dict(
        {
            "source": {"path": "/source"}, "target": {"path": "/target"},
            "privacy": {"epsilon": epsilon, "delta": delta, "unit": unit},
            "domain": {"label": "y", "columns": columns}, **sections,
        }
    )  # fmt: skip


def gap_mass(steps, moved, bits=128):
    """Probability that a draw lands where its neighbour, `moved` cells away, has no word: an infinite loss.

    By strata of the tail, one a power of two, each of a few words drawn at random.

    Args:
      steps: Cells of the grid in a standard deviation.
      moved: Cells.
      bits: Of a draw.
    """
    rng, total = np.random.default_rng(1), 0.0
    for power in range(bits - 1):
        z = -float(ndtri(2.0 ** (power + 1 - bits)))
        if math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) / steps * 2.0**bits > _WORDS_A_CELL:
            break
        words = [2**power + int(rng.integers(0, min(2**power, 2**62))) for _ in range(8)]
        cells = [_cell(word, steps, bits) for word in words]
        gaps = [not _is_reached(cell + side, steps, bits) for cell in cells for side in (-moved, moved)]
        total += 2.0 ** (power - bits) * 2.0 * float(np.mean(gaps))
    return total


def _cell(word, steps, bits):
    full = word << (128 - bits)
    pair = np.array([[full >> 64, full & (2**64 - 1)]], dtype=np.uint64)
    return int(np.rint(steps * _symmetric_normal(pair))[0])


def _is_reached(cell, steps, bits):
    low, high = (int(promises.lower_tail((cell + side) / steps) * 2**bits) for side in (-0.5, 0.5))
    return any(_cell(word, steps, bits) == cell for word in range(max(low - 3, 0), min(high + 4, low + 200)))


def true_delta(config, plan):
    """A lower bound: of the ideal mechanisms, and of what no word leads to, over all draws that a unit moves."""
    ideal = promises.gaussian_delta(plan.whole_mu, plan.epsilon)
    worst = 0.0
    for sums in ways_through(config, plan):
        widest = max(sums, key=lambda own: own.stddev_under(plan) / grid_of(own.stddev_under(plan)))
        steps = widest.stddev_under(plan) / grid_of(widest.stddev_under(plan))
        moved = sum(plan.moved_by_unit(own.bound.moved) * own.times for own in sums)
        worst = max(worst, moved * gap_mass_of(round(steps)))
    return ideal + worst


_GAPS = {}


def gap_mass_of(steps):
    key = max(1, round(math.log2(max(steps, 1))))
    if key not in _GAPS:
        _GAPS[key] = gap_mass(float(2**key), 1)
    return _GAPS[key]


def check(config):
    """Whether a plan is accepted; raises where one is whose true delta is above the claim."""
    try:
        plan = make_plan(config)
    except PrivacyError as error:
        refused = str(error)
    else:
        assert true_delta(config, plan) <= plan.delta
        return True
    assert "cannot be certified" in refused
    assert "Raise epsilon or delta" in refused
    return False


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("delta", DELTAS)
def test_no_accepted_plan_has_a_true_delta_above_its_claim(epsilon, delta):
    some = EVERY[::7]
    accepted = [check(config_of(*own)) for own in some if own[:2] == (epsilon, delta)]
    assert len(accepted) >= 3
    assert sum(accepted) >= len(accepted) * (1.0 if delta > 1e-10 else 0.5)  # nothing is gained by refusing all


@pytest.mark.slow
@pytest.mark.parametrize("sections", [{}, {"anonymize": {"generator": "mix"}}, {"approximate": {"covariance": "full"}}])
def test_no_accepted_plan_of_all_has_one_either(sections):
    for own in EVERY:
        check(config_of(*own, **sections))


def test_words_of_64_bits_would_have_broken_accepted_plans():
    """What was released before: epsilon 1, delta 1e-9, ten classes, noise on a grid of 1."""
    assert gap_mass(4e6, 1000, bits=64) * 185_000 > 1e-9
    assert gap_mass(8192.0, 1) * 1e9 < 1e-18
