import math

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, NonPrivateDpEvent, PoissonSampledDpEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from noise_sources import NoNoise, SeededNoise

from threea_spark.errors import PrivacyError
from threea_spark.privacy.accounting import Relation, gaussian_mu_of
from threea_spark.privacy.budget import Accounting, PrivacyPlan, Stage
from threea_spark.privacy.clipping import clip_rows
from threea_spark.privacy.meter import NoisySum, PrivacyMeter
from threea_spark.privacy.unit import PrivacyUnit

ADD, REPLACE = Relation.ADD_OR_REMOVE_ONE, Relation.REPLACE_ONE
ZEROS = np.zeros(4, dtype=np.int64)


def flat_events(meter):
    return [event for events in meter.events_by_stage().values() for event in events]


def meter_of(*, relation=ADD, max_rows=1, accounting=Accounting.END_TO_END, q=1.0, mu=1.0, noise=None, release_id="r1"):
    plan = PrivacyPlan(
        epsilon=5.0,
        delta=1e-5,
        delta_selection=0.0,
        relation=relation,
        unit=PrivacyUnit("person", max_rows),
        accounting=accounting,
        sampling_probability=q,
        stage_mu=dict.fromkeys(Stage, mu),
    )
    return PrivacyMeter(plan, noise or SeededNoise(1), release_id)


def test_a_sum_is_booked_with_the_noise_it_got():
    meter = meter_of()
    measured = meter.noisy_sum(Stage.ENCODE, "counts", ZEROS, squared_bound=9, mu=0.5)
    assert measured.stddev == pytest.approx(6.0)
    assert measured.event == GaussianDpEvent(2.0)
    assert meter.events_by_stage() == {Stage.ENCODE: [measured.event]}
    assert meter.spent_mu(Stage.ENCODE) == pytest.approx(0.5)
    assert meter.remaining_mu(Stage.ENCODE) == pytest.approx(math.sqrt(0.75))


def test_the_noise_is_added_to_the_exact_sum():
    exact = np.array([[5, -3], [10, 0]])
    assert np.array_equal(
        meter_of(noise=NoNoise()).noisy_sum(Stage.ENCODE, "a", exact, squared_bound=1, mu=0.1).value, exact
    )
    drawn = meter_of().noisy_sum(Stage.ENCODE, "a", exact, squared_bound=10_000, mu=0.1).value
    assert drawn.shape == exact.shape
    assert not np.array_equal(drawn, exact)


def test_a_stage_cannot_overspend():
    meter = meter_of()
    meter.noisy_sum(Stage.ENCODE, "a", ZEROS, squared_bound=1, mu=0.8)
    with pytest.raises(PrivacyError, match=r"encode/b: spends mu .*, the plan holds"):
        meter.noisy_sum(Stage.ENCODE, "b", ZEROS, squared_bound=1, mu=0.7)
    meter.noisy_sum(Stage.ENCODE, "b", ZEROS, squared_bound=1, mu=0.6)  # 0.8^2 + 0.6^2 is all of it
    meter.noisy_sum(Stage.ANONYMIZE, "b", ZEROS, squared_bound=1, mu=1.0)  # another stage pays by itself


def test_a_refused_sum_books_nothing():
    meter = meter_of()
    with pytest.raises(PrivacyError):
        meter.noisy_sum(Stage.ENCODE, "a", ZEROS, squared_bound=1, mu=1.1)
    assert flat_events(meter) == []


@pytest.mark.parametrize("mu", [math.nan, math.inf, 0.0, -0.5])
def test_a_price_that_is_no_positive_number_is_refused(mu):
    with pytest.raises(PrivacyError):
        meter_of().noisy_sum(Stage.ENCODE, "a", ZEROS, squared_bound=1, mu=mu)


def test_a_name_serves_once():
    meter = meter_of()
    meter.noisy_sum(Stage.ENCODE, "a", ZEROS, squared_bound=1, mu=0.1)
    with pytest.raises(PrivacyError, match="used before"):
        meter.noisy_sum(Stage.ENCODE, "a", ZEROS, squared_bound=1, mu=0.1)
    meter.noisy_sum(Stage.APPROXIMATE, "a", ZEROS, squared_bound=1, mu=0.1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.uint64])
def test_only_exact_int64_sums_are_taken(dtype):
    with pytest.raises(PrivacyError, match="int64"):
        meter_of().noisy_sum(Stage.ENCODE, "a", ZEROS.astype(dtype), squared_bound=1, mu=0.1)


@pytest.mark.parametrize("bound", [0, -1])
def test_a_sum_without_a_bound_is_refused(bound):
    with pytest.raises(PrivacyError, match="squared sensitivity"):
        meter_of().grant(Stage.ENCODE, "a", squared_bound=bound, mu=0.1, moved=1)


def test_the_rows_of_a_unit_multiply_the_noise():
    one = meter_of().grant(Stage.ENCODE, "a", squared_bound=5, mu=0.3, moved=1)
    four = meter_of(max_rows=4).grant(Stage.ENCODE, "a", squared_bound=5, mu=0.3, moved=1)
    assert four.stddev == pytest.approx(4.0 * one.stddev)
    assert four.event == one.event


def test_replace_one_doubles_the_noise():
    add = meter_of().grant(Stage.ENCODE, "a", squared_bound=5, mu=0.3, moved=1)
    replace = meter_of(relation=REPLACE).grant(Stage.ENCODE, "a", squared_bound=5, mu=0.3, moved=1)
    assert replace.stddev == pytest.approx(2.0 * add.stddev)


def test_a_retried_part_gets_the_same_noise_and_another_part_another():
    mechanism = NoisySum(context=("r1", "anonymize", "groups"), squared_sensitivity=100, mu=0.1, relation=ADD, moved=4)
    first, again = (mechanism.noised(ZEROS, SeededNoise(1), part=(7,)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, mechanism.noised(ZEROS, SeededNoise(1), part=(8,)))


def test_two_releases_share_no_noise():
    one, two = (
        meter_of(release_id=name).noisy_sum(Stage.ENCODE, "a", ZEROS, squared_bound=10_000, mu=0.1)
        for name in ("r1", "r2")
    )
    assert not np.array_equal(one.value, two.value)


def test_a_poisson_sample_books_one_event_for_all_its_sums():
    meter = meter_of(q=0.1)
    with meter.poisson_sample(Stage.ADAPT, 0.1):
        for step in range(4):
            meter.noisy_sum(Stage.ADAPT, f"step-{step}", ZEROS, squared_bound=1, mu=0.5)
        assert meter.spent_mu(Stage.ADAPT) == pytest.approx(1.0)
    (event,) = meter.events_by_stage()[Stage.ADAPT]
    assert isinstance(event, PoissonSampledDpEvent)
    assert event.sampling_probability == 0.1
    assert gaussian_mu_of(event.event, ADD) == pytest.approx(1.0)


def test_a_sample_of_everyone_is_priced_as_no_sample():
    meter = meter_of()
    with meter.poisson_sample(Stage.ADAPT, 1.0):
        meter.noisy_sum(Stage.ADAPT, "a", ZEROS, squared_bound=1, mu=0.5)
    assert flat_events(meter) == [GaussianDpEvent(2.0)]


def test_a_sample_larger_than_planned_is_refused():
    with pytest.raises(PrivacyError, match="planned"), meter_of(q=0.1).poisson_sample(Stage.ADAPT, 0.2):
        pass


def test_a_sample_whose_block_fails_is_booked_all_the_same():
    meter = meter_of(q=0.1)

    def fails_midway():
        with meter.poisson_sample(Stage.ADAPT, 0.1):
            meter.noisy_sum(Stage.ADAPT, "a", ZEROS, squared_bound=1, mu=0.5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_midway()
    assert len(flat_events(meter)) == 1


def test_another_stage_cannot_hide_in_a_sample():
    meter = meter_of(q=0.1)
    with pytest.raises(PrivacyError), meter.poisson_sample(Stage.ADAPT, 0.1):
        meter.noisy_sum(Stage.ENCODE, "a", ZEROS, squared_bound=1, mu=0.5)


def test_a_sample_cannot_open_inside_another():
    meter = meter_of(q=0.1)
    with meter.poisson_sample(Stage.ADAPT, 0.1):
        meter.noisy_sum(Stage.ADAPT, "a", ZEROS, squared_bound=1, mu=0.5)
        with pytest.raises(PrivacyError), meter.poisson_sample(Stage.ADAPT, 0.1):
            pass
    assert len(flat_events(meter)) == 1


def test_exact_readings_are_for_the_conditional_mode_only():
    with pytest.raises(PrivacyError, match="conditional"):
        meter_of().book_exact(Stage.APPROXIMATE)
    meter = meter_of(accounting=Accounting.CONDITIONAL)
    values, stddev = meter.measure(Stage.APPROXIMATE, "a", np.array([3, 4]), squared_bound=1, mu=0.5)
    assert values.tolist() == [3.0, 4.0]
    assert stddev == 0.0
    assert flat_events(meter) == [NonPrivateDpEvent()]


def test_the_conditional_mode_still_noises_the_mixing_step():
    meter = meter_of(accounting=Accounting.CONDITIONAL)
    values, stddev = meter.measure(Stage.ANONYMIZE, "a", ZEROS, squared_bound=10_000, mu=0.5)
    assert stddev == pytest.approx(200.0)
    assert np.any(values != 0.0)


ANY_ROWS = st.integers(1, 40).flatmap(
    lambda d: arrays(np.int64, (3, d), elements=st.integers(-(2**20), 2**20) | st.integers(-3, 3))
)


@settings(max_examples=300, deadline=None)
@given(rows=ANY_ROWS, norm=st.integers(1, 2**21))
def test_no_clipped_row_is_longer_than_the_bound(rows, norm):
    clipped = clip_rows(rows, norm)
    squared = [sum(int(v) ** 2 for v in row) for row in clipped]  # Python integers: no overflow
    assert all(s <= norm * norm for s in squared)
    for before, after in zip(rows, clipped, strict=True):
        if sum(int(v) ** 2 for v in before) <= norm * norm:
            assert np.array_equal(before, after)
        else:
            assert np.all(np.abs(after) <= np.abs(before))
            assert np.all(before * after >= 0)


@pytest.mark.parametrize("value", [2**31, 2**40, 2**62, -(2**63), 2**63 - 1])
def test_coordinates_whose_squares_overflow_are_clipped_as_well(value):
    clipped = clip_rows(np.array([[value, value, value, value], [1, 1, 1, 1]]), 1000)
    assert sum(int(v) ** 2 for v in clipped[0]) <= 1000**2
    assert clipped[1].tolist() == [1, 1, 1, 1]


def test_clipping_keeps_most_of_a_long_row():
    clipped = clip_rows(np.array([[30_000, 40_000]]), 5_000)
    assert np.allclose(clipped, [[3_000, 4_000]], atol=1)


def test_clipping_leaves_its_input_as_it_was():
    rows = np.array([[10, 10]])
    clip_rows(rows, 1)
    assert rows.tolist() == [[10, 10]]
