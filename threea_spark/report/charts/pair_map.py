"""Heat map of a table of two columns: each row of cells adds up to 100 %."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from threea_spark.report.charts.svg import clipped, drawn
from threea_spark.report.pair_tables import PairTable

TONES = (0.02, 0.1, 0.25, 0.5, 0.75)
"""Lower bounds of the tones."""
_WIDTH, _LEFT, _TOP, _ROW = 340, 104, 62, 19
_MAX_CELL, _ROOM = 34.0, 222.0
_LABEL, _HEAD = 20, 13


def pair_map(table: PairTable) -> Markup:
    """Draws the share of each group of one column, row by row of the other's groups.

    Args:
      table: At most eight groups in each direction.
    """
    cell = round(min(_MAX_CELL, _ROOM / max(len(table.labels), 1)), 1)
    cells = [
        {
            "x": round(_LEFT + place * cell, 1),
            "y": _TOP + row * _ROW,
            "tone": int(np.searchsorted(TONES, share, side="right")),
            "text": _text(float(share)),
        }
        for row, shares in enumerate(table.shares)
        for place, share in enumerate(shares)
    ]
    rows = [
        {"label": clipped(label, _LABEL), "y": _TOP + row * _ROW + 12.5} for row, label in enumerate(table.given_labels)
    ]
    heads = [
        {"label": clipped(label, _HEAD), "x": round(_LEFT + (place + 0.4) * cell, 1)}
        for place, label in enumerate(table.labels)
    ]
    return drawn(
        "pair_map", title=f"{clipped(table.name)} by {clipped(table.given)}", description=_description(table),
        width=_WIDTH, height=_TOP + _ROW * len(table.given_labels) + 2, left=_LEFT, top=_TOP, cell=cell,
        cells=cells, rows=rows, heads=heads, given=clipped(table.given), name=clipped(table.name),
    )  # fmt: skip


def _text(share: float) -> str:
    return "<1" if 0.0 < share < 0.005 else f"{100.0 * share:.0f}"


def _description(table: PairTable) -> str:
    said = [
        f"{clipped(label, 40)}: {100.0 * share:.0f} % {clipped(table.labels[place], 40)}"
        for label, shares in zip(table.given_labels, table.shares, strict=True)
        for place, share in [(int(np.argmax(shares)), float(np.max(shares)))]
    ]
    return f"Most frequent {clipped(table.name)} by {clipped(table.given)}. {'. '.join(said)}."
