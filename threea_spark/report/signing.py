"""The one-page summary that a privacy officer reads and signs: from the receipt alone."""

from __future__ import annotations

from dataclasses import dataclass

from threea_spark.privacy.large_delta import in_people
from threea_spark.publish.receipt import NO_VERSION, Receipt, budget_in_words, rows_in_words
from threea_spark.report.charts.scales import percent_at_most
from threea_spark.report.trade_off import right_answers
from threea_spark.report.words import is_whole, pairs_of, unit_in_words

_COVERED = (
    "Everything that read a row of the source: the statistics, the model, the released rows and this report.",
    "Whatever anyone computes from the released rows later, and whatever else they know.",
)
_COVERED_IN_PART = (
    "The mixing step alone, with the groups of rows taken as given.",
    "It does not bound what attackers learn from the whole release.",
)
_NOT_COVERED = "what is true of the population as a whole, and would be learned without any one unit's rows"


@dataclass(frozen=True)
class Signing:
    """What the summary says.

    Attributes:
      facts: Terms and what they are, in order.
      covered, not_covered: What the guarantee covers and what not, one sentence each.
    """

    facts: tuple[tuple[str, str], ...]
    covered: tuple[str, ...]
    not_covered: tuple[str, ...]


def signing_of(receipt: Receipt) -> Signing:
    """Collects what whoever answers for a release has to know before it is shared."""
    statement = receipt.privacy
    best = percent_at_most(right_answers(pairs_of(statement)))
    facts = [
        ("Made", _made(receipt)),
        ("Source", _source(receipt)),
        ("Target", receipt.target),
        ("Released", f"{receipt.n_released:,} artificial rows of {len(receipt.columns):,} columns"),
        *([("Rows", f"{text[0].upper()}{text[1:]}.")] if (text := rows_in_words(receipt)) else []),
        ("Protected", unit_in_words(statement)),
        ("Guarantee", f"Epsilon {statement.epsilon:g} at delta {statement.delta:g}; smaller is stronger."),
        ("In plain words", _in_plain_words(best, whole=is_whole(statement))),
        ("Delta", _sentences(in_people(statement.delta, receipt.n_units))),
        ("Budget", _budget(receipt)),
        ("Configuration", f"digest {receipt.config_digest}" if receipt.config_digest else "digest not recorded"),
    ]
    covered = _COVERED if is_whole(statement) else _COVERED_IN_PART
    return Signing(tuple(facts), covered, (*map(_sentence, statement.not_covered), _sentence(_NOT_COVERED)))


def _made(receipt: Receipt) -> str:
    if receipt.at is None:
        return "date and author not recorded"
    when = f"{receipt.at[:19].replace('T', ' ')} UTC"
    return f"{when}, by {receipt.by}" if receipt.by else f"{when}; the session did not tell by whom"


def _source(receipt: Receipt) -> str:
    if receipt.source_version == NO_VERSION:
        return receipt.source
    since = "" if receipt.source_since is None else f"; only units absent from version {receipt.source_since}"
    return f"{receipt.source}, version {receipt.source_version}{since}"


def _in_plain_words(best: str, *, whole: bool) -> str:
    of = "" if whole else " by the mixing step alone"
    return (
        f"Someone who knows everything but one unit's rows can tell{of} whether these were read in at most {best} of "
        "cases. A coin toss is right in 50\u00a0%."
    )


def _budget(receipt: Receipt) -> str:
    if receipt.ledger is None:
        return "No ledger was kept, so nothing here counts what other releases of the source spent."
    told = _sentences(". ".join(budget_in_words(receipt.ledger)))
    entry = f"Entry {receipt.ledger['entry']} of the ledger."
    return f"{told} {entry}" if told else entry


def _sentences(text: str) -> str:
    """Makes a sentence of each part that a semicolon ends."""
    return " ".join(_sentence(part.strip()) for part in text.replace(". ", "; ").split(";") if part.strip())


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
