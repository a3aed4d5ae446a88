"""Advice on single columns, from released rows and the receipt alone: what a reader can act on, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from threea_spark.config.domain import Domain
from threea_spark.publish.receipt import Receipt
from threea_spark.report.charts.scales import percent
from threea_spark.report.spread import number_in_words
from threea_spark.report.summary import ColumnSummary, TableSummary

MOSTLY = 0.5
_NAMED = 5
_CONSTANT = "one value in all released rows"


def advice_on(receipt: Receipt, domain: Domain, summary: TableSummary) -> list[str]:
    """Returns the receipt's advice, and what the released rows add to it: columns that are constant, lost, or far off.

    Args:
      receipt: Its diagnostics come first.
      domain: Declares the columns.
      summary: Of the released rows.
    """
    said = list(receipt.diagnostics)
    found = [_lost(summary, domain, said), _far(summary, domain)]
    if not any(text.startswith(_CONSTANT) for text in said):
        found.insert(0, _constant(summary))
    return said + [text for text in found if text]


def _constant(summary: TableSummary) -> str:
    names = [column.name for column in summary.columns if column.spread.is_constant]
    return (
        names
        and (
            f"{_CONSTANT}: {_named(names)}. A model learns nothing from them. Check their bounds and values, raise "
            "epsilon, or leave them out"
        )
    ) or ""


def _lost(summary: TableSummary, domain: Domain, said: Sequence[str]) -> str:
    lost = [
        column
        for column in summary.columns
        if domain.columns[column.name].is_open
        and column.spread.other_share > MOSTLY
        and not any(f"{column.name!r} became 'other'" in text for text in said)
    ]
    if not lost:
        return ""
    shares = _named([column.name for column in lost], lambda place: f" ({percent(lost[place].spread.other_share)})")
    return (
        f"mostly other: {shares}. Too few units held each value for it to be released. List the values, use coarser "
        "ones, raise epsilon, or leave the column out"
    )


def _far(summary: TableSummary, domain: Domain) -> str:
    far = [
        column
        for column in summary.columns
        if not domain.columns[column.name].is_categorical
        and column.bins.kind == "number"
        and column.spread.has_far_tail()
    ]
    if not far:
        return ""
    ends = _named([column.name for column in far], lambda place: f" ({_range(far[place])})")
    return (
        f"long tails: the highest 1 % of the released values lie far apart in {ends}. Noise may have made "
        "some of them. Where values are known to end earlier, lower the upper bound"
    )


def _range(column: ColumnSummary) -> str:
    low, high = (number_in_words(number, "number") for number in (column.spread.quantiles[4], column.spread.highest))
    return f"{low} to {high}"


def _named(names: Sequence[str], behind: Callable[[int], str] = lambda _: "") -> str:
    shown = ", ".join(f"{name!r}{behind(place)}" for place, name in enumerate(names[:_NAMED]))
    more = len(names) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown
