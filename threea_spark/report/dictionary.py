"""The released table's dictionary: each column's type, what it may hold, and what its released rows hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from threea_spark.config.columns import BoundedColumn, CategoricalColumn, Column
from threea_spark.config.domain import Domain
from threea_spark.config.label_columns import added_names
from threea_spark.publish.receipt import Receipt
from threea_spark.report.charts.scales import percent
from threea_spark.report.spread import spread_in_words
from threea_spark.report.summary import TableSummary

_MAX_VALUES = 12


@dataclass(frozen=True)
class Entry:
    """One column.

    Attributes:
      name, type: The column's name and kind.
      allowed: What the configuration allows, bounds that were found included.
      holds: What released rows hold.
      nulls, other: Share of null, and of values that stand for all that were not kept; empty where there are none.
    """

    name: str
    type: str
    allowed: str
    holds: str
    nulls: str
    other: str


def dictionary_of(receipt: Receipt, domain: Domain, summary: TableSummary) -> list[Entry]:
    """Describes each released column, in the order of the released table.

    Args:
      receipt: Names the columns, and the bounds and categories that were found.
      domain: Declares columns and rules.
      summary: Of the released rows.
    """
    known = {column.name: column for column in summary.columns}
    entries = []
    for name in receipt.columns:
        column = domain.columns.get(name)
        if column is None or name not in known:
            entries.append(_added(name, domain))
            continue
        own = known[name]
        other = percent(own.spread.other_share) if column.is_open else ""
        nulls = percent(own.null_share) if column.nullable else ""
        allowed = "; ".join([*_allowed(name, column, receipt.domain_fit), *_roles(name, domain)])
        entries.append(Entry(name, _type(column), allowed, spread_in_words(own.bins.kind, own.spread), nulls, other))
    return entries


def _added(name: str, domain: Domain) -> Entry:
    if name in domain.keys:
        return Entry(name, "key", "a number of its own in each row, without meaning", "distinct numbers", "", "")
    meaning = "probability of a class, from 0 to 1" if name in added_names(domain) else "added by the release"
    return Entry(name, "float", meaning, "", "", "")


def _type(column: Column) -> str:
    if column.is_timestamp and column.time_zone is not None:
        return f"timestamp, parts in {column.time_zone}"
    return column.type


def _allowed(name: str, column: Column, fit: Mapping[str, Any]) -> list[str]:
    found = _values_allowed(name, column, fit) if column.is_categorical else _bounds_allowed(name, column, fit)
    return [*found, "null" if column.nullable else "no null"]


def _values_allowed(name: str, column: CategoricalColumn, fit: Mapping[str, Any]) -> list[str]:
    if column.is_open:
        own = fit.get("open columns", {}).get(name, {})
        found = own.get("values found")
        number = "values" if found is None else "1 value" if found == 1 else f"{found:,} values"
        return [f"{number} found in the data, each held by enough units, and other"]
    shown = ", ".join(column.values[:_MAX_VALUES])
    more = len(column.values) - _MAX_VALUES
    return [f"listed: {shown}" + (f" and {more:,} more" if more > 0 else "")]


def _bounds_allowed(name: str, column: BoundedColumn, fit: Mapping[str, Any]) -> list[str]:
    found = fit.get("bounds found", {}).get(name)
    low, high = (column.lower, column.upper) if found is None else found
    parts = [f"{_bound(low)} to {_bound(high)}{'' if found is None else ' (bounds found in the data)'}"]
    if column.step is not None:
        parts.append(f"multiples of {column.step}")
    return parts


def _bound(bound: Any) -> str:  # noqa: ANN401 - a number, a time, or either as text
    if isinstance(bound, int | float):
        return f"{bound:,.12g}"
    text = str(bound).removesuffix("+00:00")
    return text.replace("T", " ").removesuffix(" 00:00:00")


def _roles(name: str, domain: Domain) -> list[str]:
    label = ["the label"] if name == domain.label else ["a label"] if name in domain.labels else []
    return [*label, *[rule.in_words() for rule in domain.rules if name in rule.named]]
