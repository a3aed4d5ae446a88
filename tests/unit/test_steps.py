"""Steps: which values follow one, exactly; and which mixture of steps noisy counts tell of."""

import itertools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from threea_spark.config.steps import number_step, time_step
from threea_spark.encode.grid import leaf_grid
from threea_spark.encode.steps import Step, public_steps
from threea_spark.encode.value_table import ValueTable
from threea_spark.encode.written import StepMixture, WrittenLeaves, raked, step_mixture

NUMBERS = public_steps("float", 1e6)
TIMES = public_steps("timestamp", 1e9)
DAY = 86_400.0
HUNDREDTHS, HALVES, WHOLE, TENS = Step(1, 100), Step(1, 2), Step(1), Step(10)


def values_at(leaves, leaf, fraction):
    """Values that lie so far into the distribution of each leaf's values, if all leaves have the same mass."""
    n_leaves = leaves.grid.n_leaves
    table = ValueTable.of(leaves.grid, np.linspace(0.0, 1.0, n_leaves + 1), leaves)
    return table.value((leaf + fraction) / n_leaves)


@given(st.sampled_from(NUMBERS), st.integers(-(10**9), 10**9))
def test_every_multiple_is_the_float_of_its_decimal_and_follows_its_step(step, index):
    (value,) = step.value(np.array([float(index)]))
    exact = Decimal(index) * step.numerator / step.denominator
    assert value == float(exact)
    assert Decimal(repr(float(value))) == exact
    assert step.holds(np.array([value]))[0]
    assert step.nearest(np.array([value]))[0] == step.first_at(np.array([value]))[0] == index


@given(st.sampled_from(NUMBERS), st.integers(-(10**6), 10**6), st.integers(1, 9))
def test_what_lies_between_two_multiples_does_not_follow_the_step(step, index, tenth):
    between = (Fraction(index) + Fraction(tenth, 10)) * Fraction(step.numerator, step.denominator)
    assert not step.holds(np.array([float(between)]))[0]


@given(st.sampled_from([HUNDREDTHS, HALVES, Step(1, 1000)]), st.integers(-(10**5), 10**5))
def test_a_decimal_that_was_stored_as_float32_follows_its_step(step, index):
    assert step.holds(step.value(np.array([float(index)])).astype(np.float32).astype(np.float64))[0]


@given(st.floats(-1.0, 1.0), st.integers(0, 50), st.sampled_from([*NUMBERS, *TIMES[2:]]))
def test_the_first_value_is_not_below_and_the_one_before_is(part, power, step):
    value = part * 2.0**power * step.size
    index = step.first_at(np.array([value]))
    assert step.value(index)[0] >= value > step.value(index - 1.0)[0]


@given(st.floats(-1e300, 1e300), st.sampled_from([StepMixture.only(HUNDREDTHS), StepMixture.only(TENS)]))
def test_no_value_leaves_its_bounds_however_far_out(lower, mixture):
    upper = lower + max(abs(lower), 1.0)
    assert lower <= mixture.nearest(np.array([lower]), lower, upper)[0] <= upper
    leaves = WrittenLeaves(leaf_grid(lower, upper, whole=False), mixture)
    values = values_at(leaves, np.arange(leaves.grid.n_leaves), np.full(leaves.grid.n_leaves, 0.3))
    held = leaves.weights > 0.0
    assert np.all((leaves.grid.low <= values) & (values <= leaves.grid.high) | ~held)
    assert np.all((lower <= values) & (values <= upper))


@given(st.integers(-30_000, 60_000), st.integers(0, 86_399))
def test_beginnings_of_days_months_and_years_are_those_of_the_calendar(day, second):
    moment = np.array([day * DAY + second])
    date = np.datetime64("1970-01-01") + np.timedelta64(day, "D")
    starts_month, starts_year = date == date.astype("datetime64[M]"), date == date.astype("datetime64[Y]")
    year, month, midnight = TIMES[:3]
    assert midnight.holds(moment)[0] == (second == 0)
    assert month.holds(moment)[0] == (second == 0 and starts_month)
    assert year.holds(moment)[0] == (second == 0 and starts_year)


@pytest.mark.parametrize("steps", [NUMBERS, TIMES, public_steps("integer", 1e9), public_steps("float", 1e-3)])
def test_a_value_of_two_steps_follows_one_before_both_which_they_divide(steps):
    """So the steps of a value are those which divide the first that it follows, and each row counts once."""
    assert all(steps[-1].divides(step) for step in steps)
    for one, other in itertools.combinations([step for step in steps if not step.months], 2):
        if not other.divides(one):
            common = [step for step in steps if one.divides(step) and other.divides(step)]
            assert common
            assert steps.index(common[-1]) < steps.index(one)


TEXTS = {
    "second": (1, 1, 0), "15 minutes": (900, 1, 0), "1 day": (86_400, 1, 0), "Month": (1, 1, 1), "1 year": (1, 1, 12),
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_declared_step_of_time_is_read(text):
    assert time_step(text) == TEXTS[text]


@pytest.mark.parametrize("text", ["", "0 days", "7 hours", "5 months", "fortnight", "1.5 hours", "15"])
def test_another_text_is_refused(text):
    with pytest.raises(ValueError, match="whole number of which makes a day"):
        time_step(text)


def test_a_declared_step_of_numbers_is_read_by_its_decimals():
    assert number_step(0.01) == (1, 100, 0)
    assert number_step(2.5) == (5, 2, 0)
    with pytest.raises(ValueError, match="round it"):
        number_step(1 / 3)


def counts_of(steps, values):
    """Exact counts of the first step of each value, and of none."""
    left, counts = np.asarray(values, dtype=np.float64), []
    for step in steps:
        held = step.holds(left)
        counts.append(held.sum())
        left = left[~held]
    return np.array([*counts, len(left)], dtype=np.float64)


def shares_of(mixture):
    named = {
        (step.numerator, step.denominator, step.months): share
        for step, share in zip(mixture.steps, mixture.shares, strict=False)
    }
    return {**named, None: mixture.shares[-1]}


def measured(values, bounds=(0.0, 1000.0), stddev=130.0, seed=0, steps=NUMBERS):
    counts = counts_of(steps, values)
    return step_mixture(
        steps, counts + np.random.default_rng(seed).normal(0.0, stddev, len(counts)), stddev, bounds, len(values)
    )


N = 20_000
RNG = np.random.default_rng(5)
KINDS = {
    "cents": (np.round(RNG.gamma(2.0, 50.0, N), 2), HUNDREDTHS),
    "whole": (np.rint(RNG.gamma(2.0, 50.0, N)), WHOLE),
    "halves": (RNG.integers(1, 900, N) / 2.0, HALVES),
    "quarters": (RNG.integers(1, 3_000, N) / 4.0, Step(1, 4)),
    "thousandths": (np.round(RNG.random(N) * 900.0, 3), Step(1, 1000)),
    "tens": (RNG.integers(1, 99, N) * 10.0, TENS),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_all_values_that_may_be_drawn_follow_the_step_of_the_column(kind, seed):
    values, step = KINDS[kind]
    mixture = measured(values, seed=seed)
    assert mixture.shares[-1] == 0.0
    assert all(step.divides(own) for own in mixture.steps)
    assert step in mixture.steps


def test_values_of_no_step_are_told_from_those_of_one():
    assert shares_of(measured(RNG.random(N) * 1000.0)) == {None: 1.0}
    half = np.where(RNG.random(N) < 0.5, np.rint(RNG.random(N) * 1000.0), RNG.random(N) * 1000.0)
    shares = shares_of(measured(half))
    assert shares[None] == pytest.approx(0.5, abs=0.05)
    assert sum(share for name, share in shares.items() if name is not None) == pytest.approx(0.5, abs=0.05)


def test_too_few_rows_for_the_noise_tell_nothing():
    assert measured(KINDS["whole"][0][:300]) is None


def test_heaped_values_have_their_share_which_a_plain_count_overstates():
    """A tenth of evenly spread whole numbers are multiples of ten, so a count of these finds heaps everywhere."""
    errors, naive = [], []
    for seed in range(20):
        heaped = np.where(RNG.random(N) < 0.3, RNG.integers(1, 99, N) * 10.0, RNG.integers(1, 1000, N))
        shares = shares_of(measured(heaped, seed=seed))
        errors.append(shares.get((10, 1, 0), 0.0) - 0.3)
        naive.append(counts_of([TENS], heaped)[0] / N - 0.3)
    assert np.sqrt(np.mean(np.square(errors))) < 0.5 * np.sqrt(np.mean(np.square(naive)))


def test_a_step_is_found_in_noise_as_rarely_as_claimed_and_often_where_the_noise_is_larger():
    def false_steps(times):
        found = 0
        for seed in range(200):
            counts = counts_of(NUMBERS, KINDS["tens"][0])
            noisy = counts + np.random.default_rng(seed).normal(0.0, 130.0 * times, len(counts))
            mixture = step_mixture(NUMBERS, noisy, 130.0, (0.0, 1000.0), N)
            found += any(not TENS.divides(step) for step in mixture.steps) or mixture.shares[-1] > 0.0
        return found / 200

    assert false_steps(1.0) <= 0.03
    assert false_steps(2.0) > 0.2


def test_shares_do_not_overflow_however_far_out_the_bounds_are():
    bounds, rows = (-1e300, 1e300), 1e6
    steps = public_steps("float", bounds[1] - bounds[0])
    for place in range(len(steps)):
        mixture = step_mixture(steps, np.where(np.arange(len(steps) + 1) == place, rows, 0.0), 130.0, bounds, rows)
        assert shares_of(mixture) == {(steps[place].numerator, steps[place].denominator, 0): 1.0, None: 0.0}


@pytest.mark.parametrize(
    ("bounds", "whole", "mixture"),
    [
        ((0.0, 5.0), False, StepMixture.only(HALVES)),
        ((0.0, 1000.0), False, StepMixture.only(HUNDREDTHS)),
        ((-40.0, 60.0), False, StepMixture((TENS, WHOLE), np.array([0.3, 0.7, 0.0]))),
        ((0.0, 20_000 * DAY), True, StepMixture((TIMES[0], TIMES[2]), np.array([0.2, 0.8, 0.0]))),
        ((0.0, 1e6), True, StepMixture((TENS, WHOLE), np.array([0.9, 0.1, 0.0]))),
    ],
)  # fmt: skip
def test_values_of_a_leaf_lie_in_it_and_follow_a_step(bounds, whole, mixture):
    grid = leaf_grid(*bounds, whole=whole)
    leaves = WrittenLeaves(grid, mixture)
    held = np.repeat(np.flatnonzero(leaves.weights > 0.0), 20)
    values = values_at(leaves, held, np.tile((np.arange(20) + 0.5) / 20, len(held) // 20))
    assert np.array_equal(grid.index(values), held)
    assert mixture.steps[-1].holds(values).all()
    assert leaves.weights.mean() == pytest.approx(1.0, abs=0.55)


def test_rows_raked_by_step_have_its_share():
    grid, mixture = (
        leaf_grid(0.0, 20_000 * DAY, whole=True),
        StepMixture((TIMES[0], TIMES[2]), np.array([0.2, 0.8, 0.0])),
    )
    masses = np.random.default_rng(3).random(grid.n_leaves) * (WrittenLeaves(grid, mixture).weights > 0.0)
    own, scaled = raked(WrittenLeaves(grid, mixture), masses, np.ones(grid.n_leaves, dtype=bool))

    def share_of_years(mixture, masses):
        leaf = np.random.default_rng(4).choice(grid.n_leaves, 40_000, p=masses / masses.sum())
        drawn = values_at(WrittenLeaves(grid, mixture), leaf, np.random.default_rng(6).random(len(leaf)))
        return TIMES[0].holds(drawn).mean()

    assert share_of_years(own, scaled) == pytest.approx(0.2 + 0.8 / 365.25, abs=0.01)
    assert abs(share_of_years(mixture, masses) - 0.202) > 0.02, "without it the leaves' noise moves the share"
