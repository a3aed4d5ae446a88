import dataclasses
import math

import numpy as np
import pytest
from report_pages import statement
from scipy.special import ndtr

from threea_spark.errors import PrivacyError
from threea_spark.privacy.gaussian import gaussian_delta, trade_off
from threea_spark.privacy.terms import Accounting
from threea_spark.report.guarantee import budget_chart, budget_rows
from threea_spark.report.trade_off import (
    curve_rates,
    delta_between,
    false_negative_rate,
    right_answers,
    true_positive_rate,
)
from threea_spark.report.words import guarantee_in_words, pairs_of, reach_of

RATES = np.linspace(0.0, 1.0, 501)
MUS = [0.05, 0.27, 1.0, 3.0]


def gaussian_pairs(mu, n_pairs=800, most=30.0):
    return [
        (float(e), gaussian_delta(mu, float(e)))
        for e in (0.0, *np.geomspace(1e-3, 0.1, n_pairs // 4), *np.linspace(0.1, most, n_pairs))
    ]


@pytest.mark.parametrize("mu", MUS)
def test_the_curve_of_a_gaussian_mechanism_is_its_closed_form_and_never_above_it(mu):
    found, exact = false_negative_rate(gaussian_pairs(mu), RATES), trade_off(mu, RATES)
    assert np.all(found <= exact + 1e-12)
    assert np.max(exact - found) < 5e-4


@pytest.mark.parametrize("wrong", [0.8, 1.25])
def test_another_mu_gives_another_curve(wrong):
    assert np.max(np.abs(false_negative_rate(gaussian_pairs(wrong), RATES) - trade_off(1.0, RATES))) > 0.02


def test_one_pair_bends_where_the_formula_says():
    pair = [(math.log(3.0), 0.0)]
    assert false_negative_rate(pair, np.array([0.0, 0.25, 0.5, 1.0])) == pytest.approx([1.0, 0.25, 1.0 / 6.0, 0.0])
    assert false_negative_rate([(0.0, 0.0)], RATES) == pytest.approx(1.0 - RATES)
    assert false_negative_rate([(0.0, 0.1)], np.array([0.0, 0.5, 0.95])) == pytest.approx([0.9, 0.4, 0.0])
    assert false_negative_rate([(1.0, 1.0)], RATES) == pytest.approx(0.0)


def test_each_further_pair_can_only_help():
    pairs = gaussian_pairs(1.0, 12)
    fewer = np.zeros_like(RATES)
    for count in range(1, len(pairs) + 1):
        more = false_negative_rate(pairs[:count], RATES)
        assert np.all(more >= fewer)
        fewer = more


def test_a_curve_is_convex_symmetric_and_below_blind_guessing():
    pairs = gaussian_pairs(1.0, 30)
    f = false_negative_rate(pairs, RATES)
    assert np.all(np.diff(f, 2) >= -1e-12)
    assert np.all(f <= 1.0 - RATES + 1e-12)
    inner = f[(f > 0.0) & (f < 1.0)]
    assert false_negative_rate(pairs, inner) == pytest.approx(RATES[(f > 0.0) & (f < 1.0)], abs=1e-9)
    assert true_positive_rate(pairs, RATES) == pytest.approx(1.0 - f)


@pytest.mark.parametrize("mu", MUS)
def test_right_answers_are_those_of_the_best_test(mu):
    pairs = gaussian_pairs(mu)
    assert right_answers(pairs) == pytest.approx(float(ndtr(mu / 2.0)), abs=1e-6)
    fine = np.linspace(0.0, 1.0, 100_001)
    assert right_answers(pairs) == pytest.approx(1.0 - np.min(fine + false_negative_rate(pairs, fine)) / 2.0, abs=1e-5)
    assert right_answers([(math.log(3.0), 0.0)]) == pytest.approx(0.75)
    assert right_answers([(5.0, 1.0)]) == 1.0


@pytest.mark.parametrize("mu", MUS)
def test_between_two_pairs_a_delta_is_given_that_holds(mu):
    pairs = gaussian_pairs(mu, 12, 6.0)
    epsilons = np.linspace(0.0, 6.0, 333)
    exact = np.array([gaussian_delta(mu, float(e)) for e in epsilons])
    assert np.all(delta_between(pairs, epsilons) >= exact - 1e-12)
    assert delta_between(pairs, np.array([e for e, _ in pairs])) == pytest.approx([d for _, d in pairs])


def test_delta_never_rises_with_epsilon_where_a_receipt_has_rounding():
    assert delta_between([(0.0, 0.5), (1.0, 1e-9), (2.0, 2e-9)], np.array([1.5, 2.0])) == pytest.approx(1e-9)


@pytest.mark.parametrize("pair", [(-0.1, 0.1), (1.0, 1.1), (1.0, -0.1), (math.nan, 0.1), (1.0, math.nan)])
def test_what_is_no_guarantee_is_refused(pair):
    with pytest.raises(PrivacyError, match="epsilon"):
        false_negative_rate([pair], RATES)


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(PrivacyError, match="rate"):
        false_negative_rate([(1.0, 0.0)], np.array([rate]))


def test_a_huge_epsilon_promises_nothing_and_does_not_overflow():
    assert true_positive_rate([(1000.0, 1e-6)], np.array([0.1])) == pytest.approx(1.0)
    assert right_answers([(1000.0, 0.0)]) == pytest.approx(1.0)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 10.0])
def test_the_curve_of_a_receipt_is_sound_and_close_to_that_of_its_mechanisms(epsilon):
    found = statement(epsilon)
    f = false_negative_rate(pairs_of(found), RATES)
    assert np.all(f <= trade_off(found.mu, RATES) + 1e-6)
    assert np.max(trade_off(found.mu, RATES) - f) < 0.006


def test_the_curve_of_a_sampled_release_meets_its_claim():
    found = statement(sampled=True)
    assert found.mu is None
    f = false_negative_rate(pairs_of(found), RATES)
    assert np.all(f >= false_negative_rate([(1.0, 1e-5)], RATES))
    assert f[100] > false_negative_rate([(1.0, 1e-5)], RATES)[100] + 0.05  # the curve says more than the claim alone


def test_rates_to_draw_at_are_sorted_and_span_the_whole_axis():
    rates = curve_rates()
    assert rates[0] == 0.0
    assert rates[-1] == 1.0
    assert np.all(np.diff(rates) > 0.0)


def test_words_and_table_round_against_the_attackers_limit():
    found = statement()
    exact = true_positive_rate(pairs_of(found), np.array([0.001, 0.01, 0.05, 0.1, 0.25]))
    written = [float(reach.found_at_most.split("\u00a0")[0]) / 100.0 for reach in reach_of(found)]
    assert np.all(np.array(written) >= exact)
    assert np.max(written - exact) <= 0.001 + 1e-9
    best = math.ceil(1000.0 * right_answers(pairs_of(found))) / 10.0
    assert f"at most {best:.1f}\u00a0%" in " ".join(guarantee_in_words(found))


def test_words_name_no_formula_and_the_conditional_mode_promises_less():
    whole, part = (" ".join(guarantee_in_words(statement(accounting=mode))) for mode in Accounting)
    for word in ("epsilon", "delta", "log", "sup", "="):
        assert word not in whole
    assert "covered too" in whole
    assert "covered too" not in part
    assert "The release looks nearly the same" not in part
    assert "what they reveal is not part of this guarantee" in part
    assert "not bound what attackers learn from the whole release" in part


def test_budget_shares_add_up_and_a_stage_without_noise_is_marked():
    rows = budget_rows(statement())
    assert [row.share for row in rows] == ["10.0\u00a0%", "30.0\u00a0%", "60.0\u00a0%"]
    assert 'title>encode: 10.0\u00a0%' in budget_chart(statement())  # fmt: skip
    free, priced = budget_rows(statement(accounting=Accounting.CONDITIONAL))
    assert free.cost == "no noise: not covered"
    assert (free.share, priced.share) == ("-", "100.0\u00a0%")
    assert "random sample of 20.0" in budget_rows(statement(sampled=True))[-1].cost


def test_a_replaced_unit_is_told_from_one_that_is_added():
    found = statement()
    replaced = dataclasses.replace(
        found, relation="tables in which one unit's rows are replaced by others (replace_one)"
    )
    assert "One holds the unit and the other does not" in guarantee_in_words(found)[1]
    assert "They differ in the rows of one unit" in guarantee_in_words(replaced)[1]
