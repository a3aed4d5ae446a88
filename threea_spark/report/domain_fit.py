"""How the domain meets the rows, for the report: from the receipt alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from threea_spark.encode.domain_fit import values_found
from threea_spark.encode.misfits import Kind
from threea_spark.publish.receipt import Receipt, found_bounds_in_words
from threea_spark.report.charts.scales import percent

_KINDS: tuple[Kind, ...] = get_args(Kind)
SHOWN = 200
"""Columns in the table; of more, those with the largest shares."""


@dataclass(frozen=True)
class FitRow:
    """One column: the shares in words, in the order of `DomainFitTable.kinds`, and their standard error."""

    name: str
    shares: tuple[str, ...]
    error: str


@dataclass(frozen=True)
class DomainFitTable:
    """The table of all columns, and what was found of bounds and open columns in words."""

    kinds: tuple[str, ...]
    rows: Sequence[FitRow]
    n_columns: int
    found: Sequence[str]


def domain_fit_table(receipt: Receipt) -> DomainFitTable | None:
    """Reads the table off a receipt; None where the receipt is of a version that did not count."""
    columns = receipt.domain_fit.get("not in the domain", {})
    if not columns:
        return None
    found = [f"Bounds {text}." for text in found_bounds_in_words(receipt.domain_fit)]
    found += [
        f"Of {name!r}, {values_found(own['values found'])}; {percent(own['other'])} of its rows hold others."
        for name, own in receipt.domain_fit.get("open columns", {}).items()
    ]
    ordered = list(columns.items())
    if len(ordered) > SHOWN:
        largest = sorted(ordered, key=lambda item: -max(item[1].get(kind, 0.0) for kind in _KINDS))[:SHOWN]
        ordered = [item for item in ordered if item in largest]
    rows = [
        FitRow(name, tuple(_share(own, kind) for kind in _KINDS), percent(own["standard error"]))
        for name, own in ordered
    ]
    return DomainFitTable(_KINDS, rows, len(columns), found)


def _share(own: dict[str, float], kind: str) -> str:
    return percent(own[kind]) if kind in own else ""
