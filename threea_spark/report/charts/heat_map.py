"""Heat map of the associations between columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from threea_spark.arrays import Float64Array
from threea_spark.report.charts.svg import clipped, drawn

LEVELS = (0.05, 0.2, 0.4, 0.6, 0.8)
"""Lower bounds of the shades; values below the first stay blank."""
_NEGLIGIBLE = 0.01
_CELLS, _LEFT, _TOP = 300.0, 116.0, 14.0
_MAX_CELL = 30.0
_CHARACTER = 0.62  # width of a character in a wide font, as a share of the font size


@dataclass(frozen=True)
class Pair:
    """Two columns and their association, or the difference of two associations."""

    left: str
    right: str
    value: float


def heat_map(title: str, names: Sequence[str], values: Float64Array) -> Markup:
    """Draws a symmetric matrix; blue is positive, orange negative, and a deeper shade is stronger.

    Args:
      title: Text for screen readers.
      names: Names of rows and columns; columns are labelled with the number of their row.
      values: Matrix, shape (k, k), in [-1, 1].
    """
    n = max(len(names), 1)
    cell = min(_CELLS / n, _MAX_CELL)
    size = round(min(11.0, max(0.86 * cell, 5.5)), 1)
    every = max(1, int(np.ceil(1.3 * size / cell)))
    longest, shades = int((_LEFT - 6.0) / (_CHARACTER * size)), []
    for sign, style in ((1.0, "plus"), (-1.0, "minus")):
        level = np.searchsorted(LEVELS, sign * values, side="right")
        for number in range(1, len(LEVELS) + 1):
            cells = np.argwhere(level == number)
            if len(cells):
                path = "".join(_square(int(row), int(column), cell) for row, column in cells)
                shades.append({"style": f"{style} shade{number}", "path": path})
    rows = [
        {"label": clipped(f"{index + 1} {name}", longest), "y": round(_TOP + (index + 0.5) * cell, 1)}
        for index, name in enumerate(names)
    ]
    heads = [(round(_LEFT + (index + 0.5) * cell, 1), index + 1) for index in range(0, len(names), every)]
    strong = ", ".join(
        f"{clipped(p.left, 40)} and {clipped(p.right, 40)} {p.value:.2f}" for p in strongest(names, values, 3)
    )
    width, height = round(_LEFT + n * cell + 2.0), round(_TOP + n * cell + 2.0)
    return drawn(
        "heat_map", title=title, description=f"Strongest: {strong or 'none'}.", width=width, height=height,
        left=_LEFT, top=_TOP, side=round(n * cell, 1), size=size, shades=shades, rows=rows, heads=heads,
    )  # fmt: skip


def strongest(names: Sequence[str], values: Float64Array, n_pairs: int) -> list[Pair]:
    """Lists the pairs of different columns with the largest absolute values, strongest first; none below 0.01."""
    rows, columns = np.triu_indices(len(names), k=1)
    order = np.argsort(-np.abs(values[rows, columns]), kind="stable")[:n_pairs]
    pairs = [Pair(names[rows[i]], names[columns[i]], float(values[rows[i], columns[i]])) for i in order]
    return [pair for pair in pairs if abs(pair.value) >= _NEGLIGIBLE]


def _square(row: int, column: int, cell: float) -> str:
    side = cell - (0.5 if cell > 5.0 else 0.0)
    return f"M{_LEFT + column * cell:.4g} {_TOP + row * cell:.4g}h{side:.3g}v{side:.3g}h-{side:.3g}z"
