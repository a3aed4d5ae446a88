"""The report of a release. It holds public numbers, DP numbers of the receipt, and functions of released rows only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from threea_spark.privacy.budget import Accounting
from threea_spark.publish.receipt import Receipt
from threea_spark.publish.standing import Standing
from threea_spark.report import guarantee, words
from threea_spark.report.charts.bar_charts import spread_chart
from threea_spark.report.charts.heat_map import heat_map, strongest
from threea_spark.report.charts.scales import percent
from threea_spark.report.charts.svg import templates
from threea_spark.report.summary import ColumnSummary, TableSummary

OPEN_CHARTS = 24
"""So many charts stand open; the rest is folded away in groups."""
GROUP_CHARTS = 48
MOST_CHARTS = 600
STRONGEST_PAIRS = 10
_GENERATORS = {
    "sample": "drawn from noisy statistics of the source",
    "mix": "each a noisy average of similar rows of the source",
    "random": "each a noisy average of rows of the source taken at random",
}


@dataclass(frozen=True)
class Card:
    """A chart of one column with what is said below it."""

    name: str
    chart: Markup
    note: str


@dataclass(frozen=True)
class Together:
    """All releases in the table: identifiers, and what holds for the whole in words."""

    release_ids: tuple[str, ...]
    claim: str


@dataclass(frozen=True)
class Group:
    """Cards that are folded away together; `first` and `last` count columns from 1."""

    first: int
    last: int
    cards: Sequence[Card]


def public_page(receipt: Receipt, summary: TableSummary, standing: Standing | None = None) -> str:
    """Writes the report as one HTML document.

    Args:
      receipt: Of the release.
      summary: Of the released rows.
      standing: What the table as a whole stands at, with all its releases; None where it holds this one alone.

    Returns:
      HTML without script, network or file beside it; it may stand in a frame.
    """
    cards = [column_card(column) for column in summary.columns[:MOST_CHARTS]]
    pairs = summary.pairs
    statement = receipt.privacy
    return templates().get_template("public.html").render(
        receipt=receipt,
        statement=statement,
        made=_GENERATORS.get(receipt.generator, receipt.generator),
        whole=words.is_whole(statement),
        paragraphs=words.guarantee_in_words(statement),
        reach=words.reach_of(statement),
        trade_off=guarantee.trade_off_chart(statement),
        curve=guarantee.delta_chart(statement),
        budget=guarantee.budget_chart(statement),
        stages=guarantee.budget_rows(statement),
        sampled=guarantee.is_sampled(statement),
        summary=summary,
        together=together_in_words(receipt.release_id, standing),
        cards=cards[:OPEN_CHARTS],
        groups=grouped(cards),
        without_chart=max(0, len(summary.columns) - MOST_CHARTS),
        heat=heat_map("How strongly columns go together", pairs.names, pairs.strengths),
        strongest=strongest(pairs.names, pairs.strengths, STRONGEST_PAIRS),
        pairs=pairs,
    )  # fmt: skip


def together_in_words(release_id: str, standing: Standing | None) -> Together | None:
    """What is said of a table that holds rows of other releases too; None where it holds one release alone."""
    if standing is None or set(standing.release_ids) <= {release_id}:
        return None
    is_whole = standing.accounting == Accounting.END_TO_END.value
    if standing.epsilon == "inf":
        claim = "no epsilon bounds all of them together"
    elif is_whole:
        claim = f"epsilon {standing.epsilon}, delta {standing.delta}"
    else:
        claim = f"epsilon {standing.epsilon}, delta {standing.delta}, for the mixing steps alone"
    ids = tuple(held.release_id if held.is_written else f"{held.release_id} (announced)" for held in standing.releases)
    return Together(ids, claim)


def column_card(column: ColumnSummary) -> Card:
    """Draws one column."""
    return Card(column.name, spread_chart(column.name, column.bins, column.shares), _note(column))


def grouped(cards: Sequence[Card]) -> list[Group]:
    """Groups the cards after the first ones, so that a page of many columns stays light to open."""
    starts = range(OPEN_CHARTS, len(cards), GROUP_CHARTS)
    return [Group(at + 1, min(at + GROUP_CHARTS, len(cards)), cards[at : at + GROUP_CHARTS]) for at in starts]


def _note(column: ColumnSummary) -> str:
    return f"null: {percent(column.null_share)}" if column.null_share > 0.0 else "no nulls"
