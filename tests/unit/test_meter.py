import math
from dataclasses import replace

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, NonPrivateDpEvent, PoissonSampledDpEvent
from noise_sources import NoNoise, SeededNoise
from queries import ZEROS, Rows, Unread, ask, granted, query_of

from threea_spark.errors import PrivacyError
from threea_spark.privacy.accounting import gaussian_mu_of
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import RowBound, ValueQuery
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit

ADD, REPLACE = Relation.ADD_OR_REMOVE_ONE, Relation.REPLACE_ONE


def flat_events(meter):
    return [event for events in meter.events_by_stage().values() for event in events]


def plan_of(*, relation=ADD, max_rows=1, accounting=Accounting.END_TO_END, q=1.0, mu=1.0, delta_selection=0.0):
    return PrivacyPlan(
        epsilon=5.0,
        delta=1e-5,
        delta_selection=delta_selection,
        relation=relation,
        unit=PrivacyUnit("person", max_rows),
        accounting=accounting,
        sampling_probability=q,
        stage_mu=dict.fromkeys(Stage, mu),
    )


def meter_of(plan=None, *, noise=None, release_id="r1", **changes):
    return PrivacyMeter(plan or plan_of(**changes), noise or SeededNoise(1), release_id)


def test_a_sum_is_booked_with_the_noise_it_got():
    meter = meter_of()
    measured = ask(meter, Stage.ENCODE, "counts", ZEROS, squared=9, mu=0.5)
    assert measured.stddev == pytest.approx(6.0)
    assert measured.event == GaussianDpEvent(2.0)
    assert meter.events_by_stage() == {Stage.ENCODE: [measured.event]}
    assert meter.spent_mu(Stage.ENCODE) == pytest.approx(0.5)
    assert meter.remaining_mu(Stage.ENCODE) == pytest.approx(math.sqrt(0.75))


def test_the_noise_is_added_to_the_exact_sum():
    exact = np.array([5, -3, 10, 0])
    assert np.array_equal(ask(meter_of(noise=NoNoise()), Stage.ENCODE, "a", exact, squared=1, mu=0.1).value, exact)
    drawn = ask(meter_of(), Stage.ENCODE, "a", exact, squared=10_000, mu=0.1).value
    assert drawn.shape == exact.shape
    assert not np.array_equal(drawn, exact)


def test_a_stage_cannot_overspend():
    meter = meter_of()
    ask(meter, Stage.ENCODE, "a", ZEROS, squared=1, mu=0.8)
    with pytest.raises(PrivacyError, match=r"encode/b: spends mu .*, the plan holds"):
        ask(meter, Stage.ENCODE, "b", ZEROS, squared=1, mu=0.7)
    ask(meter, Stage.ENCODE, "b", ZEROS, squared=1, mu=0.6)  # 0.8^2 + 0.6^2 is all of it
    ask(meter, Stage.ANONYMIZE, "b", ZEROS, squared=1, mu=1.0)  # another stage pays by itself


def test_a_refused_sum_books_nothing():
    meter = meter_of()
    with pytest.raises(PrivacyError):
        ask(meter, Stage.ENCODE, "a", ZEROS, squared=1, mu=1.1)
    assert flat_events(meter) == []


@pytest.mark.parametrize("mu", [math.nan, math.inf, 0.0, -0.5])
def test_a_price_that_is_no_positive_number_is_refused(mu):
    with pytest.raises(PrivacyError):
        ask(meter_of(), Stage.ENCODE, "a", ZEROS, squared=1, mu=mu)


def test_a_name_serves_once():
    meter = meter_of()
    ask(meter, Stage.ENCODE, "a", ZEROS, squared=1, mu=0.1)
    with pytest.raises(PrivacyError, match="used before"):
        ask(meter, Stage.ENCODE, "a", ZEROS, squared=1, mu=0.1)
    ask(meter, Stage.APPROXIMATE, "a", ZEROS, squared=1, mu=0.1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.uint64])
def test_only_exact_int64_sums_are_taken(dtype):
    with pytest.raises(PrivacyError, match="int64"):
        ask(meter_of(), Stage.ENCODE, "a", ZEROS.astype(dtype), squared=1, mu=0.1)


def test_the_rows_of_a_unit_multiply_the_noise():
    one = granted(meter_of(), Stage.ENCODE, "a", squared=5, mu=0.3, moved=1)
    four = granted(meter_of(max_rows=4), Stage.ENCODE, "a", squared=5, mu=0.3, moved=1)
    assert four.stddev == pytest.approx(4.0 * one.stddev)
    assert four.event == one.event


def test_replace_one_doubles_the_noise():
    add = granted(meter_of(), Stage.ENCODE, "a", squared=5, mu=0.3, moved=1)
    other = granted(meter_of(relation=REPLACE), Stage.ENCODE, "a", squared=5, mu=0.3, moved=1)
    assert other.stddev == pytest.approx(2.0 * add.stddev)


def test_a_retried_part_gets_the_same_noise_and_another_part_another():
    mechanism = NoisySum(context=("r1", "anonymize", "groups"), squared_sensitivity=100, mu=0.1, relation=ADD, moved=4)
    first, again = (mechanism.noised(ZEROS, SeededNoise(1), part=(7,)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, mechanism.noised(ZEROS, SeededNoise(1), part=(8,)))


def test_two_releases_share_no_noise():
    one, two = (
        ask(meter_of(release_id=name), Stage.ENCODE, "a", ZEROS, squared=10_000, mu=0.1) for name in ("r1", "r2")
    )
    assert not np.array_equal(one.value, two.value)


def test_a_poisson_sample_books_one_event_for_all_its_sums():
    meter = meter_of(q=0.1)
    with meter.sample(Stage.ADAPT, Rows(), 0.1):
        for step in range(4):
            ask(meter, Stage.ADAPT, f"step-{step}", ZEROS, squared=1, mu=0.5)
        assert meter.spent_mu(Stage.ADAPT) == pytest.approx(1.0)
    (event,) = meter.events_by_stage()[Stage.ADAPT]
    assert isinstance(event, PoissonSampledDpEvent)
    assert event.sampling_probability == 0.1
    assert gaussian_mu_of(event.event, ADD) == pytest.approx(1.0)


def test_a_sample_of_everyone_is_priced_as_no_sample():
    meter = meter_of()
    with meter.sample(Stage.ADAPT, Rows(), 1.0):
        ask(meter, Stage.ADAPT, "a", ZEROS, squared=1, mu=0.5)
    assert flat_events(meter) == [GaussianDpEvent(2.0)]


def test_a_sample_larger_than_planned_is_refused():
    with pytest.raises(PrivacyError, match="planned"), meter_of(q=0.1).sample(Stage.ADAPT, Rows(), 0.2):
        pass


def test_a_sample_whose_block_fails_is_booked_all_the_same():
    meter = meter_of(q=0.1)

    def fails_midway():
        with meter.sample(Stage.ADAPT, Rows(), 0.1):
            ask(meter, Stage.ADAPT, "a", ZEROS, squared=1, mu=0.5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_midway()
    assert len(flat_events(meter)) == 1


def test_another_stage_cannot_hide_in_a_sample():
    meter = meter_of(q=0.1)
    with pytest.raises(PrivacyError), meter.sample(Stage.ADAPT, Rows(), 0.1):
        ask(meter, Stage.ENCODE, "a", ZEROS, squared=1, mu=0.5)


def test_a_sample_cannot_open_inside_another():
    meter = meter_of(q=0.1)
    with meter.sample(Stage.ADAPT, Rows(), 0.1):
        ask(meter, Stage.ADAPT, "a", ZEROS, squared=1, mu=0.5)
        with pytest.raises(PrivacyError), meter.sample(Stage.ADAPT, Rows(), 0.1):
            pass
    assert len(flat_events(meter)) == 1


def test_exact_readings_are_for_the_conditional_mode_only():
    with pytest.raises(PrivacyError, match="conditional"), meter_of().sample(Stage.APPROXIMATE, Rows(), 1.0) as held:
        meter_of().expose(Stage.APPROXIMATE, held)
    meter = meter_of(accounting=Accounting.CONDITIONAL)
    measured = ask(meter, Stage.APPROXIMATE, "a", np.array([3, 4]), mu=0.5)
    assert measured.value.tolist() == [3.0, 4.0]
    assert measured.stddev == 0.0
    assert measured.event == NonPrivateDpEvent()
    assert flat_events(meter) == [NonPrivateDpEvent()]


def test_the_conditional_mode_books_each_sum_of_a_pass_and_each_sample_that_is_exposed():
    meter = meter_of(accounting=Accounting.CONDITIONAL)
    asked = [(query_of(Stage.APPROXIMATE, name), 0.5) for name in ("a", "b")]
    assert [found.stddev for found in meter.ask_together(asked, Rows())] == [0.0, 0.0]
    with meter.sample(Stage.ADAPT, Rows(), 1.0) as held:
        assert meter.expose(Stage.ADAPT, held.seen_as(lambda rate: 7 * rate)) == 7.0
    exact = NonPrivateDpEvent()
    assert meter.events_by_stage() == {Stage.APPROXIMATE: [exact, exact], Stage.ADAPT: [exact]}
    assert [len(meter.asked(stage)) for stage in (Stage.APPROXIMATE, Stage.ADAPT)] == [2, 1]


def test_the_conditional_mode_still_noises_the_mixing_step():
    meter = meter_of(accounting=Accounting.CONDITIONAL)
    measured = ask(meter, Stage.ANONYMIZE, "a", ZEROS, squared=10_000, mu=0.5)
    assert measured.stddev == pytest.approx(200.0)
    assert np.any(measured.value != 0.0)


def test_sums_of_one_pass_are_priced_each_by_its_own_bound():
    meter = meter_of()
    asked = [(query_of(Stage.ENCODE, "a", squared=9), 0.6), (query_of(Stage.ENCODE, "b", squared=16), 0.8)]
    found = meter.ask_together(asked, Rows())
    assert [own.stddev for own in found] == pytest.approx([5.0, 5.0])
    assert meter.remaining_mu(Stage.ENCODE) == pytest.approx(0.0, abs=1e-9)


# --- refused before a row is read


def value_query(name="values-of-c"):
    return ValueQuery(
        stage=Stage.ENCODE, name=name, bound=RowBound.count(), size=None, column="c0", min_units=2, n_columns=1,
        max_values=5,
    )  # fmt: skip


@pytest.mark.parametrize(
    "ask_for",
    [
        lambda meter, mu: meter.ask(query_of(Stage.ENCODE, "a"), Unread(), mu),
        lambda meter, mu: meter.ask_together([(query_of(Stage.ENCODE, n), 0.8 * mu) for n in "ab"], Unread()),
        lambda meter, mu: meter.select(value_query(), Unread(), mu),
    ],
    ids=["ask", "ask together", "select"],
)
def test_a_query_beyond_its_stage_s_share_reads_no_row(ask_for):
    with pytest.raises(PrivacyError, match="the plan holds"):
        ask_for(meter_of(), 1.1)
    with pytest.raises(AssertionError, match="rows were read"):  # the twin: within the share they are
        ask_for(meter_of(plan_of(delta_selection=1e-6)), 0.5)


def test_a_name_that_was_used_reads_no_row():
    meter = meter_of()
    ask(meter, Stage.ENCODE, "a", mu=0.1)
    with pytest.raises(PrivacyError, match="used before"):
        ask(meter, Stage.ENCODE, "a", mu=0.1, rows=Unread())


def test_a_sample_above_the_planned_rate_reads_no_row():
    with pytest.raises(PrivacyError, match="planned"), meter_of(q=0.1).sample(Stage.ADAPT, Unread(), 0.2):
        pass
    with pytest.raises(AssertionError, match="rows were read"), meter_of(q=0.1).sample(Stage.ADAPT, Unread(), 0.1):
        pass


def test_the_rows_are_sampled_at_the_rate_that_is_asked_for():
    with meter_of(q=0.5).sample(Stage.ADAPT, Rows(), 0.25) as held:
        (drawn,) = held.sums([replace(query_of(Stage.ADAPT, "a"), contribution=lambda rate: np.array([rate]))])
    assert drawn == [0.25]


@pytest.mark.parametrize("read", [ask, granted])
def test_another_stages_query_inside_a_sample_is_refused(read):
    meter = meter_of(q=0.1)
    with pytest.raises(PrivacyError, match="another stage"), meter.sample(Stage.ADAPT, Rows(), 0.1):
        read(meter, Stage.ENCODE, "a", mu=0.1)
    assert flat_events(meter) == []
    ask(meter, Stage.ENCODE, "a", mu=0.1)  # the sample is closed
