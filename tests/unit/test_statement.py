import json

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent
from noise_sources import SeededNoise

from threea_spark.errors import PrivacyError
from threea_spark.privacy.accounting import Relation
from threea_spark.privacy.mechanism import PrivacyMeter
from threea_spark.privacy.plan import Accounting, Stage, calibrate
from threea_spark.privacy.statement import PrivacyStatement, plan_in_words, statement_of
from threea_spark.privacy.unit import PrivacyUnit

ADD = Relation.ADD_OR_REMOVE_ONE
ZEROS = np.zeros(4, dtype=np.int64)


def meter_of(accounting=Accounting.END_TO_END, *, relation=ADD, unit=None):
    shares = {Stage.ANONYMIZE: 1.0} if accounting is Accounting.CONDITIONAL else dict.fromkeys(Stage, 0.25)
    plan = calibrate(
        epsilon=1.0,
        delta=1e-5,
        shares=shares,
        relation=relation,
        unit=unit or PrivacyUnit("patient_id", 4),
        accounting=accounting,
    )
    return PrivacyMeter(plan, SeededNoise(1), "r1")


def spend_all(meter):
    for stage, mu in meter.plan.stage_mu.items():
        meter.noisy_sum(stage, "all", ZEROS, squared_bound=1, mu=mu)
    return meter


@pytest.mark.parametrize("relation", list(Relation))
def test_a_release_that_spends_its_plan_meets_its_claim(relation):
    statement = statement_of(spend_all(meter_of(relation=relation)))
    assert 0.99 <= statement.epsilon_spent <= statement.epsilon == 1.0
    assert statement.accounting == "end_to_end"
    assert relation.value in statement.relation


def test_events_that_cost_more_than_the_claim_are_refused():
    meter = spend_all(meter_of())
    meter._booked[Stage.ADAPT].append(GaussianDpEvent(20.0))  # a small mechanism the plan knows nothing of
    with pytest.raises(PrivacyError, match="nothing was written"):
        statement_of(meter)


def test_a_reading_without_noise_has_no_guarantee_end_to_end():
    meter = spend_all(meter_of())
    from dp_accounting import NonPrivateDpEvent

    meter._booked[Stage.ADAPT].append(NonPrivateDpEvent())
    with pytest.raises(PrivacyError, match="inf"):
        statement_of(meter)


def test_the_curve_falls_and_meets_the_claim():
    statement = statement_of(spend_all(meter_of()))
    deltas = [delta for _, delta in statement.curve]
    assert deltas == sorted(deltas, reverse=True)
    assert all(0.0 <= delta <= 1.0 for delta in deltas)
    assert dict(statement.curve)[1.0] <= statement.delta * (1.0 + 1e-9)


def test_a_release_that_read_less_spent_less():
    meter = meter_of()
    meter.noisy_sum(Stage.ENCODE, "a", ZEROS, squared_bound=1, mu=0.1)
    assert statement_of(meter).epsilon_spent < 0.6


def test_a_release_that_read_nothing_spent_next_to_nothing():
    assert statement_of(meter_of()).epsilon_spent < 1e-6


def test_the_conditional_mode_says_what_is_not_covered():
    meter = meter_of(Accounting.CONDITIONAL)
    meter.book_exact(Stage.APPROXIMATE)
    spend_all(meter)
    statement = statement_of(meter)
    assert "not bounded" in statement.not_covered[0]
    assert "mixing step alone" in statement.in_words()
    assert "NOT COVERED" in statement.in_words()
    assert "no noise" in statement.in_words()


def test_end_to_end_promises_everything_that_read_a_row():
    statement = statement_of(spend_all(meter_of()))
    assert "everything that read a row" in statement.in_words()
    assert not any("partition" in text for text in statement.not_covered)


def test_a_sampled_stage_gives_no_single_mu():
    plan = calibrate(
        epsilon=1.0,
        delta=1e-5,
        shares={Stage.ADAPT: 1.0},
        relation=ADD,
        unit=PrivacyUnit(),
        accounting=Accounting.END_TO_END,
        sampling_probability=0.1,
    )
    meter = PrivacyMeter(plan, SeededNoise(1), "r1")
    with meter.poisson_sample(Stage.ADAPT, 0.1):
        meter.noisy_sum(Stage.ADAPT, "a", ZEROS, squared_bound=1, mu=plan.mu_of(Stage.ADAPT))
    statement = statement_of(meter)
    assert statement.mu is None
    assert 0.99 <= statement.epsilon_spent <= 1.0
    assert "on a sample of 0.1" in statement.in_words()


def test_a_statement_survives_json():
    statement = statement_of(spend_all(meter_of()))
    assert PrivacyStatement.from_dict(json.loads(json.dumps(statement.as_dict()))) == statement


def test_the_unit_is_named_with_its_bound():
    assert "patient_id" in statement_of(spend_all(meter_of())).unit
    assert "at most 4" in statement_of(spend_all(meter_of())).unit
    assert statement_of(spend_all(meter_of(unit=PrivacyUnit()))).unit == "one row"


def test_a_plan_can_be_read_before_a_row_is():
    words = plan_in_words(meter_of().plan)
    assert "epsilon 1" in words
    assert words.count("25 % of mu^2") == 4
