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
        "They differ in the rows of one unit, which is in the data if the first of them is."
        if "replace_one" in statement.relation
        else "One holds the unit and the other does not."
    )
    promise = (
        "The release looks nearly the same whether or not any one unit's rows were in it. Random noise hides the "
        "difference."
        if is_whole(statement)
        else "The groups that rows were put into are taken as given, and what they reveal is not part of this "
        "guarantee. Given the groups, the noisy averages look nearly the same whether or not any one unit's rows were "
        "in them."
    )
    scope = (
        "This report and everything else that is computed from the released rows are covered too."
        if is_whole(statement)
        else "This holds for the last step alone. It does not bound what attackers learn from the whole release."
    )
    return [
        f"{unit_in_words(statement)} {promise}",
        "Imagine attackers who know every other row of the source, and have unlimited time and computing power. They "
        f"have two candidates for the source. {apart} They must say which of the two was released. If both are "
        f"equally likely, they are right in at most {best} of such cases. A coin toss is right in 50\u00a0%.",
        "Careful attackers rarely accuse. The table shows how many of the units in the data they can find at most. "
        "That depends on how many of the units not in the data they wrongly accuse. Attackers who guess blindly find "
        f"the same share as they wrongly accuse. {scope}",
    ]


def unit_in_words(statement: PrivacyStatement) -> str:
    """Says in a sentence who is protected."""
    if statement.unit == "one row":
        return "Each row is protected; we call it a unit."
    return f"Each unit is protected: {statement.unit}."


def reach_of(statement: PrivacyStatement) -> list[Reach]:
    """Returns what an attacker can achieve at a few false positive rates, rounded up."""
    found = true_positive_rate(pairs_of(statement), np.array(_RATES))
    return [
        Reach(f"{100 * rate:g}\u00a0%", percent_at_most(float(hit))) for rate, hit in zip(_RATES, found, strict=True)
    ]


def stage_in_words(stage: str) -> str:
    """Describes in one line what a stage does."""
    return _STAGES.get(stage, stage)
