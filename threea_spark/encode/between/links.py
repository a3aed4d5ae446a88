"""Columns that decide others are drawn after them: first the state, then a city of that state.

A decided column is coded like any other, so that what it tells of the label and of other columns is kept. A drawn row
then takes a cell of the deciding column that leads to the cells drawn of the decided ones; where a component has none,
the decided cells follow instead. Restored rows keep the rule value by value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.encode.between.row_rules import RowRules

if TYPE_CHECKING:
    from threea_spark.encode.codec import Feature


@dataclass(frozen=True)
class CellLink:
    """A column that decides others, in cells.

    Attributes:
      deciding: Place of its feature.
      decided: Places of the decided columns' features.
      leads: Whether a value of each deciding cell leads to each cell of a decided column, (n_deciding, n_decided) each.
    """

    deciding: int
    decided: tuple[int, ...]
    leads: tuple[BoolArray, ...]

    def allowed(self, drawn: Int64Array) -> BoolArray:
        """Which deciding cells lead to the cells of one row, shape (n_deciding,).

        Args:
          drawn: Cell of each decided column within its feature.
        """
        columns = [leads[:, cell] for leads, cell in zip(self.leads, drawn.tolist(), strict=True)]
        return np.asarray(np.logical_and.reduce(columns), dtype=np.bool_)

    def follow(self, number: int, deciding: Int64Array, drawn: Int64Array) -> Int64Array:
        """Cells of a decided column: those drawn where the deciding cells lead there, else where these lead.

        Args:
          number: Of the decided column.
          deciding, drawn: Cells within their features, shape (n,).
        """
        leads = self.leads[number]
        return np.where(leads[deciding, drawn], drawn, leads.argmax(axis=1)[deciding])


def cell_links(
    rules: RowRules, features: tuple[Feature, ...], places: Mapping[str, tuple[int, ...]]
) -> tuple[CellLink, ...]:
    """The links of an encoding, so that a column which others decide and which decides others is drawn in between.

    Args:
      rules: With the tables that were found.
      features: Of the encoding.
      places: Features of each coded column.
    """
    found: dict[str, list[tuple[int, BoolArray]]] = {}
    for deciding, decided, levels in rules.linked():
        own, other = features[places[deciding.name][0]], features[places[decided.name][0]]
        leads = np.zeros((own.n_cells, other.n_cells), dtype=np.bool_)
        from_cells = own.cells_of_values(deciding.feature_values(np.arange(deciding.n_levels)))
        to_cells = other.cells_of_values(decided.feature_values(levels))
        leads[from_cells, to_cells] = True
        found.setdefault(deciding.name, []).append((places[decided.name][0], leads))
    links = {
        name: CellLink(places[name][0], tuple(place for place, _ in own), tuple(leads for _, leads in own))
        for name, own in found.items()
    }
    return tuple(_roots_first(list(links.values())))


def _roots_first(links: list[CellLink]) -> list[CellLink]:
    ordered, left = list[CellLink](), {link.deciding: link for link in links}
    while left:  # ends, as no column decides itself: the domain's checks refuse it
        ready = [place for place, link in left.items() if not left.keys() & set(link.decided)]
        ordered += [left.pop(place) for place in ready]
    return ordered


def restricted(laws: Float64Array, allowed: BoolArray) -> Float64Array:
    """Laws of one feature's cells, given that only some may be drawn, shape (k, n_cells); zeros where none may."""
    kept = laws * allowed
    return np.asarray(kept / np.maximum(kept.sum(axis=1, keepdims=True), 1e-300), dtype=np.float64)
