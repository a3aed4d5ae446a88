"""The report of a release: only public numbers, DP numbers of receipt and model, and functions of released rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from threea_spark.config.domain import Domain
from threea_spark.model.more_rows import more_rows_in_words
from threea_spark.privacy.terms import Accounting
from threea_spark.publish.receipt import Receipt
from threea_spark.publish.standing import Standing
from threea_spark.report import guarantee, words
from threea_spark.report.charts.bar_charts import spread_chart
from threea_spark.report.charts.heat_map import heat_map, strongest
from threea_spark.report.charts.pair_map import pair_map
from threea_spark.report.charts.scales import percent
from threea_spark.report.charts.svg import templates
from threea_spark.report.dictionary import dictionary_of
from threea_spark.report.domain_fit import domain_fit_table
from threea_spark.report.findings import advice_on
from threea_spark.report.pair_tables import MIN_STRENGTH, PairTable
from threea_spark.report.settings import settings_in_words
from threea_spark.report.signing import signing_of
from threea_spark.report.summary import ColumnSummary, TableSummary

OPEN_ENTRIES = 60
"""Number of columns whose entries in the dictionary are shown open."""
OPEN_CHARTS = 24
"""Number of charts that are shown open; the rest is collapsed in groups."""
GROUP_CHARTS = 48
MAX_CHARTS = 600
STRONGEST_PAIRS = 10
_GENERATORS = {
    "sample": "drawn from noisy statistics of the source",
    "mix": "each a noisy average of similar rows of the source",
    "random": "each a noisy average of randomly chosen rows of the source",
}


@dataclass(frozen=True)
class Card:
    """The chart of one column and its caption."""

    name: str
    chart: Markup
    note: str


@dataclass(frozen=True)
class Together:
    """All releases in the table: their identifiers, and the claim for the whole in words."""

    release_ids: tuple[str, ...]
    claim: str


@dataclass(frozen=True)
class Group:
    """Cards that are collapsed together; `first` and `last` count columns from 1."""

    first: int
    last: int
    cards: Sequence[Card]


@dataclass(frozen=True)
class Map:
    """The heat map of one pair of columns; `source` says what was counted, and is empty where the page says it."""

    given: str
    name: str
    strength: float
    chart: Markup
    source: str


def public_page(receipt: Receipt, summary: TableSummary, domain: Domain, standing: Standing | None = None) -> str:
    """Renders the report as one HTML document.

    Args:
      receipt: The release's receipt.
      summary: The summary of the released rows.
      domain: As the release declared it.
      standing: The claim for the table as a whole, with all its releases; None if it holds only this one.

    Returns:
      HTML without scripts, network access or other files; it may be shown in a frame.
    """
    cards = [column_card(column) for column in summary.columns[:MAX_CHARTS]]
    pairs = summary.pairs
    statement, entries = receipt.privacy, dictionary_of(receipt, domain, summary)
    return templates().get_template("public.html").render(
        receipt=receipt,
        signing=signing_of(receipt),
        advice=advice_on(receipt, domain, summary),
        dictionary=entries[:OPEN_ENTRIES],
        more_columns=entries[OPEN_ENTRIES:],
        settings=settings_in_words(receipt.resolved),
        maps=maps_of(summary),
        apart=mean_apart(summary),
        all_counted=all(own.counted is not None for own in summary.tables),
        least=f"{MIN_STRENGTH:g}",
        statement=statement,
        made=_GENERATORS.get(receipt.generator, receipt.generator),
        more_rows=more_rows_in_words(str(receipt.resolved.get("recipe")), receipt.n_released),
        whole=words.is_whole(statement),
        paragraphs=words.guarantee_in_words(statement),
        reach=words.reach_of(statement),
        trade_off=guarantee.trade_off_chart(statement),
        curve=guarantee.delta_chart(statement),
        budget=guarantee.budget_chart(statement),
        stages=guarantee.budget_rows(statement),
        sampled=guarantee.is_sampled(statement),
        domain_fit=domain_fit_table(receipt),
        summary=summary,
        together=together_in_words(receipt.release_id, standing),
        cards=cards[:OPEN_CHARTS],
        groups=grouped(cards),
        without_chart=max(0, len(summary.columns) - MAX_CHARTS),
        heat=heat_map("Associations between columns", pairs.names, pairs.strengths),
        strongest=strongest(pairs.names, pairs.strengths, STRONGEST_PAIRS),
        pairs=pairs,
    )  # fmt: skip


def maps_of(summary: TableSummary) -> list[Map]:
    """Draws the tables of the strongest pairs."""
    return [Map(own.given, own.name, own.strength, pair_map(own), map_source(own, summary)) for own in summary.tables]


def map_source(table: PairTable, summary: TableSummary) -> str:
    """Says what a table of two columns was counted in; nothing where the model is not at hand."""
    if not summary.knows_counts:
        return ""
    if table.counted is None:
        return "Counted in the released rows: the fit did not count this pair."
    return (
        "Counted under the guarantee, before rows were drawn. Noise moves a cell's count by at most "
        f"{math.ceil(table.counted.within):,} rows, 19 times of 20. The released rows differ by "
        f"{percent(table.counted.apart)}."
    )


def mean_apart(summary: TableSummary) -> str | None:
    """How far the released rows differ from the counted tables, on average; None where none was counted."""
    apart = [own.counted.apart for own in summary.tables if own.counted is not None]
    return percent(sum(apart) / len(apart)) if apart else None


def together_in_words(release_id: str, standing: Standing | None) -> Together | None:
    """Describes a table that also holds rows of other releases; None if it holds only this one."""
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
    """Groups the cards after the first ones, so that a page with many columns opens quickly."""
    starts = range(OPEN_CHARTS, len(cards), GROUP_CHARTS)
    return [Group(at + 1, min(at + GROUP_CHARTS, len(cards)), cards[at : at + GROUP_CHARTS]) for at in starts]


def _note(column: ColumnSummary) -> str:
    return f"null: {percent(column.null_share)}" if column.null_share > 0.0 else "no nulls"
