"""Explains the guarantee in words, without formulas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.privacy.statement import PrivacyStatement
from threea_spark.report.charts.scales import percent_at_most
from threea_spark.report.trade_off import Pairs, right_answers, true_positive_rate

_RATES = (0.001, 0.01, 0.05, 0.1, 0.25)
_STAGES = {
    "encode": "Encode: measures how values are distributed, to turn cells into coordinates",
    "approximate": "Approximate: describes groups of similar rows by noisy sums",
    "adapt": "Adapt: learns how the label depends on the other columns",
    "anonymize": "Anonymize: adds noise to the averages that are released",
}


@dataclass(frozen=True)
class Reach:
    """A bound on attackers: the share of units they find, at a given share of wrong accusations."""

    wrongly_accused: str
    found_at_most: str


def pairs_of(statement: PrivacyStatement) -> Pairs:
    """Returns all (epsilon, delta) pairs that hold simultaneously: the receipt's curve, and the claim itself."""
    return [*statement.curve, (statement.epsilon, statement.delta)]


def is_whole(statement: PrivacyStatement) -> bool:
    """Tells whether the guarantee covers everything that read a row."""
    return statement.accounting == "end_to_end"


def guarantee_in_words(statement: PrivacyStatement) -> list[str]:
    """Explains the guarantee to readers without mathematical background, one paragraph per entry."""
    best = percent_at_most(right_answers(pairs_of(statement)))
    apart = (
        "which contain different rows for one unit ('in the data' means in the first of the two)"
        if "replace_one" in statement.relation
        else "one with and one without the unit"
    )
    promise = (
        "The release looks nearly the same whether or not any one unit's data were in it: random noise hides the "
        "difference."
        if is_whole(statement)
        else "The groups that rows were put into are taken as given, and what they reveal is not part of this "
        "guarantee. Given the groups, the noisy averages look nearly the same whether or not any one unit's data were "
        "in them."
    )
    scope = (
        "This report and everything else that is computed from the released rows are covered too."
        if is_whole(statement)
        else "This holds for the last step alone. It does not bound what attackers learn from the whole release."
    )
    return [
        f"The guarantee protects {statement.unit}. We call this a unit. {promise}",
        "Imagine attackers who know every other row of the source, and have unlimited time and computing power. They "
        f"have two candidates for the source, {apart}, and must say which of them was "
        f"released. If both are equally likely, they are right in at most {best} of such cases. A coin toss is "
        "right in 50\u00a0%.",
        "Careful attackers rarely accuse. The table shows the largest share of the units in the data that they can "
        "find, for each share of the units not in the data that they wrongly accuse. Attackers who guess blindly "
        f"find the same share as they wrongly accuse. {scope}",
    ]


def reach_of(statement: PrivacyStatement) -> list[Reach]:
    """Returns what an attacker can achieve at a few false positive rates, rounded up."""
    found = true_positive_rate(pairs_of(statement), np.array(_RATES))
    return [
        Reach(f"{100 * rate:g}\u00a0%", percent_at_most(float(hit))) for rate, hit in zip(_RATES, found, strict=True)
    ]


def stage_in_words(stage: str) -> str:
    """Describes in one line what a stage does."""
    return _STAGES.get(stage, stage)
