"""The guarantee in words that need no formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.privacy.statement import PrivacyStatement
from threea_spark.report.charts.scales import percent_at_most
from threea_spark.report.trade_off import Pairs, right_answers, true_positive_rate

_RATES = (0.001, 0.01, 0.05, 0.1, 0.25)
_STAGES = {
    "encode": "Encode: reads how values are spread, to turn cells into coordinates",
    "approximate": "Approximate: describes groups of similar rows by noisy sums",
    "adapt": "Adapt: learns how the label depends on the rest",
    "anonymize": "Anonymize: adds noise to the averages that are released",
}


@dataclass(frozen=True)
class Reach:
    """What attackers reach at most: how many units they find, where they accuse so many wrongly."""

    wrongly_accused: str
    found_at_most: str


def pairs_of(statement: PrivacyStatement) -> Pairs:
    """All pairs (epsilon, delta) that hold at once: the receipt's curve, and the claim itself."""
    return [*statement.curve, (statement.epsilon, statement.delta)]


def is_whole(statement: PrivacyStatement) -> bool:
    """Whether the guarantee covers everything that read a row."""
    return statement.accounting == "end_to_end"


def guarantee_in_words(statement: PrivacyStatement) -> list[str]:
    """Explains to a reader without mathematics what holds; one paragraph an entry."""
    best = percent_at_most(right_answers(pairs_of(statement)))
    apart = (
        "which hold different rows of one unit (in the data means: the first of the two)"
        if "replace_one" in statement.relation
        else "one with and one without the unit"
    )
    promise = (
        "The release looks nearly the same whether or not any one unit's data were in it: random noise hides the "
        "difference."
        if is_whole(statement)
        else "The groups that rows were put into are taken as given, and what they give away is not part of this. "
        "Given the groups, the noisy averages look nearly the same whether or not any one unit's data were in them."
    )
    scope = (
        "This report and everything else that is made from the released rows is covered too."
        if is_whole(statement)
        else "This holds for the last step alone. It is no bound on what attackers learn from the whole release."
    )
    return [
        f"Protected is {statement.unit}. We call that a unit. {promise}",
        "Picture attackers who know every other row of the source, and have all the time and computers they want. They "
        f"have two candidates for the source, {apart}, and must say which of them was "
        f"released. If both are equally likely, they are right in at most {best} of such cases. A coin is right in "
        "50\u00a0%.",
        "Careful attackers accuse rarely. The table says how many of the units that are in the data they find at most, "
        "for each share of units that they accuse although those are not in it. Whoever guesses blindly finds just as "
        f"many as they wrongly accuse. {scope}",
    ]


def reach_of(statement: PrivacyStatement) -> list[Reach]:
    """What an attacker reaches at a few rates of false alarm, rounded up."""
    found = true_positive_rate(pairs_of(statement), np.array(_RATES))
    return [
        Reach(f"{100 * rate:g}\u00a0%", percent_at_most(float(hit))) for rate, hit in zip(_RATES, found, strict=True)
    ]


def stage_in_words(stage: str) -> str:
    """What a stage does, in one line."""
    return _STAGES.get(stage, stage)
