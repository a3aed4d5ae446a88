import json
import re
from collections import defaultdict
from functools import cache
from unittest.mock import patch

import promises
import pytest
from dp_accounting import GaussianDpEvent, NonPrivateDpEvent
from noise_sources import SeededNoise
from queries import Rows, ask

from threea_spark.errors import PrivacyError
from threea_spark.privacy import budget as plans
from threea_spark.privacy import statement as statements
from threea_spark.privacy.budget import calibrate
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.statement import PrivacyStatement, plan_in_words, statement_of
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit

ADD = Relation.ADD_OR_REMOVE_ONE


def plan_of(accounting=Accounting.END_TO_END, **changes):
    shares = {Stage.ANONYMIZE: 1.0} if accounting is Accounting.CONDITIONAL else dict.fromkeys(Stage, 0.25)
    given = {
        "epsilon": 1.0, "delta": 1e-5, "shares": shares, "relation": ADD, "unit": PrivacyUnit("patient_id", 4),
        "accounting": accounting,
    }  # fmt: skip
    return calibrate(**{**given, **changes})


def meter_of(accounting=Accounting.END_TO_END, **changes):
    return PrivacyMeter(plan_of(accounting, **changes), SeededNoise(1), "r1")


def spend_all(meter):
    for stage, mu in meter.plan.stage_mu.items():
        ask(meter, stage, "all", mu=mu)
    return meter


@cache
def release_of(kind):
    return released(**KINDS[kind])


def released(**changes):
    """A release that spent its plan but for half of Encode's, with all that it granted by stage."""
    meter, granted = meter_of(**changes), defaultdict(list)
    grant = PrivacyMeter._granted

    def kept(self, query, mu):
        granted[query.stage].append(grant(self, query, mu))
        return granted[query.stage][-1]

    with patch.object(PrivacyMeter, "_granted", kept):
        for stage, mu in meter.plan.stage_mu.items():
            if stage is Stage.ADAPT and meter.plan.is_sampled:
                with meter.sample(stage, Rows(), meter.plan.sampling_probability):
                    ask(meter, stage, "all", mu=mu)
            else:
                price = mu * (0.7 if stage is Stage.ENCODE else 1.0)
                ask(meter, stage, "a", squared=700, mu=0.6 * price, moved=2)
                ask(meter, stage, "b", squared=9, mu=0.8 * price * (1 - 1e-12), moved=2)
    return meter, granted


KINDS = {
    "plain": {},
    "tight": {"epsilon": 0.1, "delta": 1e-9},
    "loose": {"epsilon": 8.0, "delta": 1e-4, "relation": Relation.REPLACE_ONE},
    "names selected": {"selects_categories": True},
    "little certified": {"numeric_share": 0.05},
    "sampled": {"shares": {Stage.ADAPT: 1.0}, "sampling_probability": 0.1},
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return release_of(request.param)


def test_no_number_of_a_statement_is_smaller_than_the_truth(kind):
    promises.check_numbers(statement_of(kind[0]).as_dict(), *kind)


def test_a_number_that_is_one_percent_too_small_is_found(kind):
    """Every epsilon, delta, mu, rate and count on a receipt, one after the other; the curve's epsilons are the axis."""
    numbers, places = statement_of(kind[0]).as_dict(), []
    for place, mutant in promises.lowered(numbers):
        if place[0] == "curve" and place[2] == 0:
            continue
        places.append(place)
        with pytest.raises(AssertionError):
            promises.check_numbers(mutant, *kind)
    assert len(places) > len(numbers["curve"]) + 5


def curve_with(change):
    """The curve, each of its deltas changed by a function of the plan and the pair."""
    curve = statements._curve
    return patch.object(statements, "_curve", lambda plan: [(e, d - change(plan, e, d)) for e, d in curve(plan)])


def composed_at(shift):
    composed = statements.delta_curve

    def moved(events, epsilons, relation):
        return composed(events, [epsilon + shift for epsilon in epsilons], relation)

    return patch.object(statements, "delta_curve", moved)


FAULTS = {
    "all slack left out of the curve": lambda: curve_with(lambda plan, e, d: plan.delta_selection + plan.delta_noise),
    "draws that are not ideal left out": lambda: curve_with(lambda plan, e, d: plan.delta_noise),
    "selected names left out": lambda: curve_with(lambda plan, e, d: plan.delta_selection),
    "float64 left out of the curve": lambda: composed_at(0.05),
    "every delta a hundredth too small": lambda: curve_with(lambda plan, e, d: 0.01 * d),
    "float64 left out of epsilon": lambda: patch.object(
        statements, "certified_epsilon", lambda plan: plans.certified_epsilon(plan) - plan.numeric_epsilon
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_code_that_states_too_little_is_found(fault):
    found = released(numeric_share=0.05, selects_categories=True)
    with FAULTS[fault]():
        stated = statement_of(found[0]).as_dict()
    with pytest.raises(AssertionError, match=r"curve|epsilon_spent"):
        promises.check_numbers(stated, *found)


def test_printed_costs_are_rounded_up_and_never_down(kind):
    statement = statement_of(kind[0])
    words = statement.in_words()
    spent = float(re.search(r"spent +epsilon ([0-9.]+)", words).group(1))
    assert statement.epsilon_spent - 1e-9 <= spent <= statement.epsilon_spent + 1e-4
    for spend in statement.stages:
        printed = float(re.search(rf"  {spend.stage} +mu ([0-9.]+)", words).group(1))
        assert spend.mu - 1e-9 <= printed <= spend.mu + 1e-4
    curve = dict(statement.curve)
    for epsilon, delta in re.findall(r"epsilon ([0-9.]+): delta ([0-9.e-]+)", words):
        true = curve[float(epsilon)]
        assert true * (1.0 - 1e-9) <= float(delta) <= 1.11 * true + 1e-15


@pytest.mark.parametrize("relation", list(Relation))
def test_a_release_that_spends_its_plan_meets_its_claim(relation):
    statement = statement_of(spend_all(meter_of(relation=relation)))
    assert 0.99 <= statement.epsilon_spent <= statement.epsilon == 1.0
    assert statement.accounting == "end_to_end"
    assert relation.value in statement.relation


def test_what_is_promised_does_not_hang_on_what_ran():
    """How many sums run may follow from noisy figures: a promise read off them would be made after the fact."""
    whole, little = statement_of(spend_all(meter_of())), meter_of()
    ask(little, Stage.ENCODE, "a", mu=0.01)
    less = statement_of(little)
    assert (less.epsilon_spent, less.mu, less.curve) == (whole.epsilon_spent, whole.mu, whole.curve)
    assert [spend.mu for spend in less.stages] == [spend.mu for spend in whole.stages]
    assert less.stages[0].mu_ran == pytest.approx(0.01)
    assert "of which 0.0100 ran" in less.in_words()
    assert re.search(r"of which [0-9.]+ ran", whole.in_words()) is None


def test_events_that_cost_more_than_the_plan_are_refused():
    meter = spend_all(meter_of())
    meter._booked[Stage.ADAPT].append(GaussianDpEvent(20.0))  # a small mechanism the plan knows nothing of
    with pytest.raises(PrivacyError, match="nothing was written"):
        statement_of(meter)


def test_a_sample_larger_than_the_plans_or_none_at_all_is_refused():
    meter, _ = released(**KINDS["sampled"])
    (event,) = meter._booked[Stage.ADAPT]
    for wrong in (event.event, type(event)(0.2, event.event)):
        meter._booked[Stage.ADAPT] = [wrong]
        with pytest.raises(PrivacyError, match="nothing was written"):
            statement_of(meter)


def test_a_reading_without_noise_has_no_guarantee_end_to_end():
    meter = spend_all(meter_of())
    meter._booked[Stage.ADAPT].append(NonPrivateDpEvent())
    with pytest.raises(PrivacyError, match="inf"):
        statement_of(meter)


def test_noise_that_float64_draws_worse_than_planned_is_refused():
    meter = spend_all(meter_of())
    meter.squared_numeric_error = 1e-3
    with pytest.raises(PrivacyError, match="coarser in float64"):
        statement_of(meter)


def test_the_curve_falls_and_meets_the_claim():
    statement = statement_of(spend_all(meter_of()))
    deltas = [delta for _, delta in statement.curve]
    assert deltas == sorted(deltas, reverse=True)
    assert all(0.0 <= delta <= 1.0 for delta in deltas)
    assert dict(statement.curve)[1.0] <= statement.delta * (1.0 + 1e-9)


def test_the_conditional_mode_says_what_is_not_covered():
    meter = meter_of(Accounting.CONDITIONAL)
    ask(meter, Stage.APPROXIMATE, "all", mu=1.0)
    spend_all(meter)
    statement = statement_of(meter)
    for named in ("clusters", "groups", "class shares", "quantiles", "names of open columns", "not bounded"):
        assert named in statement.not_covered[0]
    assert "mixing step alone" in statement.in_words()
    assert "NOT COVERED" in statement.in_words()
    assert "no noise" in statement.in_words()
    assert "accounting: conditional. NOT COVERED" in plan_in_words(meter.plan)
    assert "conditional" not in plan_in_words(meter_of().plan)


def test_end_to_end_promises_everything_that_read_a_row():
    statement = statement_of(spend_all(meter_of()))
    assert "everything that read a row" in statement.in_words()
    assert not any("partition" in text for text in statement.not_covered)
    assert any("other releases" in text for text in statement.not_covered)


def test_mu_is_stated_where_it_describes_the_whole_and_nowhere_else():
    assert statement_of(release_of("plain")[0]).mu is not None
    assert statement_of(release_of("sampled")[0]).mu is None
    selected = statement_of(release_of("names selected")[0])
    assert selected.mu is None  # a name that passes its threshold is no Gaussian mechanism
    assert "Gaussian DP" not in selected.in_words()


def test_a_sampled_stage_says_its_rate():
    statement = statement_of(release_of("sampled")[0])
    assert 0.99 <= statement.epsilon_spent <= 1.0
    assert "on a sample of 0.1" in statement.in_words()


def test_a_statement_survives_json():
    statement = statement_of(spend_all(meter_of()))
    assert PrivacyStatement.from_dict(json.loads(json.dumps(statement.as_dict()))) == statement


def test_a_statement_from_before_0_2_is_read():
    content = statement_of(spend_all(meter_of())).as_dict()
    for spend in content["stages"]:
        del spend["mu_ran"]
    assert PrivacyStatement.from_dict(content).stages[0].mu_ran is None
    assert re.search(r"of which [0-9.]+ ran", PrivacyStatement.from_dict(content).in_words()) is None


def test_the_unit_is_named_with_its_bound():
    assert "patient_id" in statement_of(spend_all(meter_of())).unit
    assert "at most 4" in statement_of(spend_all(meter_of())).unit
    assert statement_of(spend_all(meter_of(unit=PrivacyUnit()))).unit == "one row"


def test_a_plan_can_be_read_before_a_row_is():
    words = plan_in_words(meter_of().plan)
    assert "epsilon 1" in words
    assert words.count("25 % of mu^2") == 4
