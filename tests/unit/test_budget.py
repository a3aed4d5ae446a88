import json
import math

import promises
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent

from threea_spark.errors import BudgetError
from threea_spark.privacy.accounting import gaussian_event
from threea_spark.privacy.budget import calibrate
from threea_spark.privacy.cohorts import Cohort
from threea_spark.privacy.gaussian import gaussian_epsilon, gaussian_mu
from threea_spark.privacy.spend import Spend, check_budget, composed_epsilon, planned_spend, total_epsilon
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit

ADD, REPLACE = Relation.ADD_OR_REMOVE_ONE, Relation.REPLACE_ONE
ONE = gaussian_mu(1.0, 1e-6)  # the mu of epsilon 1


def spend(name, mu, relation=ADD, outside=0.0, **more):
    return Spend(name, (gaussian_event(mu, relation),), outside, relation, **{"numeric": 0.0, **more})


def plan_of(accounting=Accounting.END_TO_END):
    conditional = accounting is Accounting.CONDITIONAL
    return calibrate(
        epsilon=1.0,
        delta=1e-6,
        shares={Stage.ANONYMIZE: 1.0} if conditional else dict.fromkeys(Stage, 0.25),
        relation=ADD,
        unit=PrivacyUnit(),
        accounting=accounting,
        selects_categories=not conditional,
    )


def test_two_releases_compose_below_the_sum_of_their_epsilons():
    both = total_epsilon([spend("a", ONE), spend("b", ONE)], 1e-6)
    assert both == pytest.approx(gaussian_epsilon(ONE * 2**0.5, 1e-6), rel=1e-3)
    assert both < 1.6
    check_budget([spend("a", ONE)], spend("b", ONE), epsilon=1.6, delta=1e-6)  # a sum would be 2


def test_a_release_that_does_not_fit_is_refused_with_what_is_spent():
    with pytest.raises(BudgetError, match=r"1 earlier release\(s\) spent epsilon 1; with this one it would be 1\.4"):
        check_budget([spend("a", ONE)], spend("b", ONE), epsilon=1.4, delta=1e-6)


def test_what_float64_may_add_is_in_every_total():
    """Of each release its own, and of one of 0.1.0, which did not say, what its claim had kept for it."""
    plain, counted, unsaid = (spend("a", ONE, numeric=numeric) for numeric in (0.0, 0.02, None))
    assert total_epsilon([counted, counted], 1e-6) > total_epsilon([plain, plain], 1e-6) + 0.04
    assert total_epsilon([counted], 1e-6) < 1.0 + 0.03
    assert total_epsilon([unsaid], 1e-6) == pytest.approx(1.001 * total_epsilon([plain], 1e-6))
    check_budget([], plain, epsilon=1.01, delta=1e-6)
    with pytest.raises(BudgetError):
        check_budget([], counted, epsilon=1.01, delta=1e-6)
    assert planned_spend(plan_of(), "r").numeric == plan_of().numeric_epsilon > 0.0


@pytest.mark.parametrize("n_releases", [1, 3])
def test_a_total_is_never_below_the_truth_nor_one_percent_above_it(n_releases):
    """Against the closed form in 40 digits: so a total that were a hundredth too small would be found."""
    spends = [planned_spend(plan_of(), f"r{number}") for number in range(n_releases)]
    total = total_epsilon(spends, 3e-6)
    mu = math.sqrt(n_releases * sum(mu * mu for mu in plan_of().stage_mu.values()))
    numeric, outside = sum(own.numeric for own in spends), sum(own.delta_outside for own in spends)

    def delta_at(epsilon):
        return math.exp(numeric) * promises.gaussian_delta(mu, epsilon - numeric) + outside

    assert delta_at(total) <= 3e-6
    assert delta_at(0.99 * total) > 3e-6


def test_the_first_release_may_spend_the_whole_budget_but_not_more():
    check_budget([], spend("a", gaussian_mu(0.999, 1e-6)), epsilon=1.0, delta=1e-6)
    with pytest.raises(BudgetError):
        check_budget([], spend("a", 1.01 * ONE), epsilon=1.0, delta=1e-6)


def test_delta_spent_outside_the_events_is_counted():
    with pytest.raises(BudgetError):
        check_budget([spend("a", 0.1, outside=6e-7)], spend("b", 0.1, outside=6e-7), epsilon=5.0, delta=1e-6)
    check_budget([spend("a", 0.1, outside=4e-7)], spend("b", 0.1, outside=4e-7), epsilon=5.0, delta=1e-6)


def test_other_relations_are_not_composed():
    with pytest.raises(BudgetError, match="neighbouring relation"):
        check_budget([spend("a", 0.1, REPLACE)], spend("b", 0.1), epsilon=5.0, delta=1e-6)


def test_a_spend_survives_json():
    sampled = PoissonSampledDpEvent(0.05, GaussianDpEvent(0.7))
    before = Spend("a", (GaussianDpEvent(1.25), sampled), 1e-8, REPLACE)
    assert Spend.from_json("a", before.to_json()) == before
    assert set(json.loads(before.to_json())) == {"events", "delta_outside", "relation", "accounting"}
    for accounting in Accounting:
        planned = planned_spend(plan_of(accounting), "b", Cohort(2, 5))
        assert (planned.accounting, planned.epsilon, planned.delta) == (accounting, 1.0, 1e-6)
        assert Spend.from_json("b", planned.to_json()) == planned


@pytest.mark.parametrize("accounting", Accounting)
def test_an_entry_of_0_1_0_is_conditional_where_it_books_one_step_alone(accounting):
    said = json.loads(planned_spend(plan_of(accounting), "a").to_json())
    for name in ("accounting", "epsilon", "delta"):  # which 0.1.0 did not write
        del said[name]
    old = Spend.from_json("a", json.dumps(said))
    assert (old.accounting, old.epsilon) == (accounting, None)


def test_no_epsilon_bounds_a_conditional_release_whatever_its_mixing_step_costs():
    mixing = planned_spend(plan_of(Accounting.CONDITIONAL), "a")
    assert composed_epsilon([mixing], 1e-6) <= 1.0
    assert total_epsilon([mixing], 1e-6) == float("inf")
    assert total_epsilon([spend("b", 0.1), mixing], 1e-6) == float("inf")


def test_no_epsilon_is_stated_for_mixed_relations():
    """Replacing a unit costs twice what adding one costs: either order of the two would be read too small."""
    for pair in ([spend("a", ONE, REPLACE), spend("b", ONE)], [spend("b", ONE), spend("a", ONE, REPLACE)]):
        assert total_epsilon(pair, 1e-6) == float("inf")


def test_a_planned_release_fits_a_budget_of_its_own_claim():
    plan = plan_of()
    booked = planned_spend(plan, "r1")
    assert booked.delta_outside == pytest.approx(plan.delta_selection + plan.delta_noise)
    check_budget([], booked, epsilon=1.0, delta=1e-6)
    with pytest.raises(BudgetError):
        check_budget([], booked, epsilon=0.99, delta=1e-6)


def test_nothing_spent_costs_nothing_and_too_small_a_delta_costs_everything():
    assert total_epsilon([], 1e-6) == 0.0
    assert total_epsilon([spend("a", 0.1, outside=1e-6)], 1e-6) == float("inf")
