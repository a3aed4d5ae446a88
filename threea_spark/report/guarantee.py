"""Draws the guarantee as two curves and the budget as bars, from a statement alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from threea_spark.privacy.statement import PrivacyStatement, rounded_up
from threea_spark.report.charts.bar_charts import bar_list
from threea_spark.report.charts.charts import Axis, Series, line_chart
from threea_spark.report.charts.scales import percent, percent_at_most
from threea_spark.report.trade_off import curve_rates, delta_between, right_answers, true_positive_rate
from threea_spark.report.words import is_whole, pairs_of, stage_in_words

_MIN_DELTA = 1e-12
_POINTS = 161
_MAX_EPSILONS = 1.5  # of the claimed epsilon; beyond that there is only rounding error


@dataclass(frozen=True)
class StageRow:
    """One stage's line of the budget, with all texts formatted."""

    name: str
    words: str
    covers: str
    sums: int
    cost: str
    share: str


def trade_off_chart(statement: PrivacyStatement) -> Markup:
    """Draws the best possible attack compared with a blind guess.

    Source: Dong, Roth, Su 2022, arXiv 1905.02383; see trade_off.py.
    """
    rates = curve_rates()
    found = true_positive_rate(pairs_of(statement), rates)
    at_five = percent_at_most(float(true_positive_rate(pairs_of(statement), np.array([0.05]))[0]))
    scope = "" if is_whole(statement) else ", of the mixing step alone"
    return line_chart(
        f"Trade-off curve{scope}",
        f"The largest true positive rate for each false positive rate: at 5 % it is {at_five}. The diagonal is a blind "
        f"guess. At best {percent_at_most(right_answers(pairs_of(statement)))} of all answers are right.",
        Axis("false positive rate", 0.0, 1.0),
        Axis("true positive rate", 0.0, 1.0),
        [
            Series("best attacker the guarantee allows" + scope, rates, found, "s1"),
            Series("blind guess", np.array([0.0, 1.0]), np.array([0.0, 1.0]), "s0"),
        ],
    )


def delta_chart(statement: PrivacyStatement) -> Markup:
    """Draws delta, on a logarithmic scale, against epsilon, and marks the claim with a dot."""
    pairs = pairs_of(statement)
    known = [epsilon for epsilon, _ in pairs]
    epsilons = np.linspace(min(known), min(max(known), _MAX_EPSILONS * statement.epsilon), _POINTS)
    powers = np.log10(np.maximum(delta_between(pairs, epsilons), _MIN_DELTA))
    low = math.floor(min(math.log10(statement.delta) - 1.0, float(powers.min())))
    claim = Series(
        f"the claim: epsilon {statement.epsilon:g}, delta {statement.delta:g}",
        np.array([statement.epsilon]),
        np.array([math.log10(statement.delta)]),
        "s2 claim",
    )
    return line_chart(
        "Delta for each epsilon",
        f"The same guarantee as pairs: at epsilon {statement.epsilon:g} it is at or below delta {statement.delta:g}.",
        Axis("epsilon", 0.0, float(epsilons[-1])),
        Axis("delta", float(low), 0.0, lambda power: "1" if power == 0 else f"1e{power:.0f}" if power % 1 == 0 else ""),
        [Series("pairs that hold", epsilons, powers, "s1"), claim],
    )


def budget_rows(statement: PrivacyStatement) -> list[StageRow]:
    """Returns what each stage was allowed to spend, in the order in which the stages ran."""
    whole = math.fsum(spend.mu**2 for spend in statement.stages if spend.mu is not None)
    rows = []
    for spend in statement.stages:
        cost = "no noise: not covered" if spend.mu is None else rounded_up(spend.mu)
        sampled = spend.sampling_probability < 1.0
        if sampled:
            cost += f" on a random sample of {percent(spend.sampling_probability)}"
        share = "-" if spend.mu is None or not whole > 0.0 else percent(spend.mu**2 / whole)
        rows.append(StageRow(spend.stage, stage_in_words(spend.stage), spend.covers, spend.mechanisms, cost, share))
    return rows


def budget_chart(statement: PrivacyStatement) -> Markup | None:
    """Draws each stage's share of the squared mu, which adds up over stages; None if no stage added noise."""
    spent = [(spend.stage, spend.mu**2) for spend in statement.stages if spend.mu is not None]
    whole = math.fsum(square for _, square in spent)
    if not whole > 0.0:
        return None
    shares = np.array([square / whole for _, square in spent])
    return bar_list("Share of the budget by stage", [name for name, _ in spent], shares, top=1.0)


def is_sampled(statement: PrivacyStatement) -> bool:
    """Tells whether a stage read only a random sample, so that it cost less than its mu."""
    return any(spend.sampling_probability < 1.0 for spend in statement.stages)
