import math

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, NeighboringRelation, NonPrivateDpEvent, PoissonSampledDpEvent
from dp_accounting.pld import PLDAccountant
from scipy.integrate import trapezoid
from scipy.stats import norm
from some import some

from threea_spark.errors import PrivacyError
from threea_spark.privacy.accounting import (
    calibrate_scale,
    delta_curve,
    epsilon_of,
    gaussian_event,
    gaussian_mu_of,
    merge_gaussians,
)
from threea_spark.privacy.budget import calibrate, planned_events
from threea_spark.privacy.gaussian import gaussian_delta, gaussian_epsilon, gaussian_mu
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit

ADD, REPLACE = Relation.ADD_OR_REMOVE_ONE, Relation.REPLACE_ONE
SAMPLE = {Stage.ENCODE: 0.05, Stage.APPROXIMATE: 0.25, Stage.ADAPT: 0.70, Stage.ANONYMIZE: 0.0}
EVEN = dict.fromkeys(Stage, 0.25)
MIX = {Stage.ENCODE: 0.1, Stage.ANONYMIZE: 0.9}
ONLY_ADAPT = {Stage.ENCODE: 0.0, Stage.ADAPT: 1.0}


def plan_of(**changes):
    given = {
        "epsilon": 1.0,
        "delta": 1e-5,
        "shares": SAMPLE,
        "relation": ADD,
        "unit": PrivacyUnit(),
        "accounting": Accounting.END_TO_END,
    }
    return calibrate(**(given | changes))


def certified_epsilon(plan):
    """The accountant's word, asked directly and at a finer grid than the library's."""
    relation = NeighboringRelation[plan.relation.name]
    accountant = PLDAccountant(relation, value_discretization_interval=min(1e-3, plan.epsilon / 1000.0))
    for event in planned_events(plan):
        accountant.compose(event)
    return accountant.get_epsilon(plan.delta_composition)


@pytest.mark.parametrize("relation", [ADD, REPLACE])
@pytest.mark.parametrize("delta", some([1e-5, 1e-6], [1e-6]))
@pytest.mark.parametrize("epsilon", some([0.1, 1.0, 10.0], [0.1, 10.0]))
@pytest.mark.parametrize("shares", some([SAMPLE, EVEN, MIX, ONLY_ADAPT], [SAMPLE, ONLY_ADAPT]))
def test_the_planned_events_cost_the_claim_and_never_more(shares, epsilon, delta, relation):
    spent = certified_epsilon(plan_of(shares=shares, epsilon=epsilon, delta=delta, relation=relation))
    assert 0.99 * epsilon <= spent <= epsilon


@pytest.mark.parametrize(
    ("epsilon", "delta", "q", "relation", "shares"),
    [
        pytest.param(0.1, 1e-5, 0.1, ADD, ONLY_ADAPT, marks=pytest.mark.slow),
        (0.1, 1e-6, 0.01, REPLACE, EVEN),
        (1.0, 1e-5, 0.01, ADD, SAMPLE),
        pytest.param(10.0, 1e-5, 0.01, REPLACE, SAMPLE, marks=pytest.mark.slow),
    ],
)
def test_a_sampled_stage_is_planned_to_the_claim_and_never_above_it(epsilon, delta, q, relation, shares):
    plan = plan_of(epsilon=epsilon, delta=delta, relation=relation, shares=shares, sampling_probability=q)
    assert any(isinstance(event, PoissonSampledDpEvent) for event in planned_events(plan))
    assert 0.99 * epsilon <= certified_epsilon(plan) <= epsilon


def test_a_plan_with_more_mu_than_calibrated_would_break_the_claim():
    plan = plan_of()
    events = [gaussian_event(1.01 * mu, ADD) for mu in plan.stage_mu.values()]
    assert epsilon_of(events, plan.delta_composition, ADD) > plan.epsilon


def test_sampling_buys_mu_for_the_sampled_stage():
    assert plan_of(sampling_probability=0.01).mu_of(Stage.ADAPT) > 2.0 * plan_of().mu_of(Stage.ADAPT)


def test_a_zero_share_leaves_its_part_to_the_others():
    plan = plan_of(shares={Stage.ENCODE: 0.5, Stage.ADAPT: 0.0, Stage.ANONYMIZE: 0.0})
    whole = gaussian_mu((1.0 - plan.numeric_share) * (1.0 - 1e-3), plan.delta_composition)
    assert plan.mu_of(Stage.ENCODE) == pytest.approx(whole)
    assert plan.mu_of(Stage.ADAPT) == 0.0
    assert Stage.ADAPT not in plan.stage_mu


def test_shares_are_parts_of_squared_mu():
    plan = plan_of(shares={Stage.ENCODE: 1.0, Stage.ANONYMIZE: 3.0})
    assert plan.mu_of(Stage.ANONYMIZE) ** 2 == pytest.approx(3.0 * plan.mu_of(Stage.ENCODE) ** 2)


def test_delta_is_split_without_remainder():
    plan = plan_of(selects_categories=True)
    assert plan.delta_selection == pytest.approx(0.1 * plan.delta)
    composed = plan.delta_composition * math.exp(plan.numeric_epsilon)  # unlikely losses may be likelier by so much
    total = plan.delta_selection + plan.delta_noise + composed
    assert total == pytest.approx(plan.delta, rel=1e-12)
    assert plan.mu_of(Stage.ENCODE) < plan_of().mu_of(Stage.ENCODE)


@pytest.mark.parametrize(
    "shares", [{}, {Stage.ENCODE: 0.0}, {Stage.ENCODE: -0.1, Stage.ADAPT: 1.1}, {Stage.ENCODE: math.nan}]
)
def test_shares_that_give_nothing_are_refused(shares):
    with pytest.raises(PrivacyError, match="shares"):
        plan_of(shares=shares)


@pytest.mark.parametrize("q", [0.0, -0.1, 1.1, math.nan])
def test_a_sampling_probability_outside_its_range_is_refused(q):
    with pytest.raises(PrivacyError, match="sampling probability"):
        plan_of(sampling_probability=q)


def test_replace_one_doubles_the_noise_of_the_same_mu():
    assert gaussian_event(0.5, REPLACE).noise_multiplier == 2.0 * gaussian_event(0.5, ADD).noise_multiplier
    for relation in Relation:
        assert gaussian_mu_of(gaussian_event(0.7, relation), relation) == pytest.approx(0.7)


@pytest.mark.parametrize("relation", list(Relation))
@pytest.mark.parametrize("mu", [0.05, 0.5, 2.0])
def test_the_accountant_prices_a_mu_as_the_closed_form_does(mu, relation):
    event = gaussian_event(mu, relation)
    exact = gaussian_epsilon(mu, 1e-6)
    assert exact <= epsilon_of([event], 1e-6, relation, near=exact) <= exact * 1.001 + 1e-6
    assert delta_curve([event], [exact], relation)[0] == pytest.approx(1e-6, rel=0.01)


def test_gaussians_are_merged_and_the_others_left():
    sampled = PoissonSampledDpEvent(0.1, GaussianDpEvent(1.0))
    merged = merge_gaussians([gaussian_event(3.0, ADD), sampled, gaussian_event(4.0, ADD)], ADD)
    assert merged == [gaussian_event(5.0, ADD), sampled]


def test_what_is_not_private_costs_infinitely_much():
    events = [gaussian_event(0.1, ADD), NonPrivateDpEvent()]
    assert epsilon_of(events, 1e-5, ADD) == math.inf
    assert delta_curve(events, [1.0], ADD)[0] == 1.0


@pytest.mark.parametrize("delta", [0.0, 1.0, math.nan])
def test_the_accountant_is_not_asked_at_an_impossible_delta(delta):
    with pytest.raises(PrivacyError, match="delta"):
        epsilon_of([gaussian_event(1.0, ADD)], delta, ADD)


def test_a_claim_below_what_can_be_certified_is_refused():
    def never_cheap(scale):
        return [gaussian_event(2.0, ADD)]

    with pytest.raises(PrivacyError, match="below what can be certified"):
        calibrate_scale(never_cheap, epsilon=1.0, delta=1e-5, relation=ADD)


def test_calibrated_delta_is_met_by_the_closed_form():
    plan = plan_of()
    whole = math.sqrt(sum(mu * mu for mu in plan.stage_mu.values()))
    assert gaussian_delta(whole, plan.epsilon) <= plan.delta_composition


@pytest.mark.parametrize("epsilon", some([0.0, 0.2, 1.0], [0.2]))
@pytest.mark.parametrize("q", [0.05, 0.5])
def test_a_sample_under_replace_one_is_priced_for_the_worst_pair_of_rows(q, epsilon):
    """A unit adds v to a sum in the one table and w in the other: opposite directions of full length are the worst."""
    event = gaussian_event(1.4, REPLACE)
    axis = np.linspace(-9.0, 9.0, 601)
    x, y = np.meshgrid(axis, axis)

    def density(at):
        away = ((x - at[0]) ** 2 + (y - at[1]) ** 2) / event.noise_multiplier**2
        return np.exp(-0.5 * away) / (2.0 * math.pi * event.noise_multiplier**2)

    def delta(v, w):
        one, other = ((1.0 - q) * density((0.0, 0.0)) + q * density(own) for own in (v, w))
        return float(np.maximum(one - math.exp(epsilon) * other, 0.0).sum()) * (axis[1] - axis[0]) ** 2

    worst = delta((1.0, 0.0), (-1.0, 0.0))
    for angle in np.linspace(0.0, math.pi, 7):
        for length in (0.0, 0.5, 1.0):
            assert delta((1.0, 0.0), (length * math.cos(angle), length * math.sin(angle))) <= worst + 1e-9
            assert delta((length * math.cos(angle), length * math.sin(angle)), (1.0, 0.0)) <= worst + 1e-9
    fine = np.linspace(-20.0, 20.0, 400_001)
    away, here = ([norm.pdf(fine, at, event.noise_multiplier) for at in places] for places in ((1.0, -1.0), (0.0, 0.0)))
    mixed = [(1.0 - q) * stays + q * moves for stays, moves in zip(here, away, strict=True)]
    exact = trapezoid(np.maximum(mixed[0] - math.exp(epsilon) * mixed[1], 0.0), fine)
    assert exact == pytest.approx(worst, rel=0.05)  # the grid is coarse in two dimensions
    (priced,) = delta_curve([PoissonSampledDpEvent(q, event)], [epsilon], REPLACE)
    assert exact <= priced * (1.0 + 1e-7)
    (one_sided,) = delta_curve([PoissonSampledDpEvent(q, event)], [epsilon], ADD)
    assert worst > one_sided  # so a sample priced as if a unit were added would be too cheap
