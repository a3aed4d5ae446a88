"""Bar charts: histograms, with a second table as an outline over the bars, and horizontal bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from threea_spark.arrays import Float64Array
from threea_spark.report.bins import OTHERS, Bins
from threea_spark.report.charts.scales import Scale, moment, percent, short
from threea_spark.report.charts.svg import clipped, drawn

_WIDTH = 300
_HIGH, _LEFT, _RIGHT = 84, 2, 298
_ROW = 18
_LABEL, _MAX_LABEL_LENGTH, _BAR_END = 114, 15, 248
_BOTH_END = 206  # of bars beside two numbers


def spread_chart(name: str, bins: Bins, released: Float64Array, real: Float64Array | None = None) -> Markup:
    """Draws the distribution of one column.

    Args:
      name: The column's name.
      bins: The groups of its values.
      released: Share of each group, shape (k,): drawn as bars.
      real: The same for real rows, drawn as an outline or a second bar. INTERNAL if given.
    """
    if bins.kind == "category":
        labels = [*bins.categories, *([OTHERS] if bins.has_others else [])]
        return bar_list(f"Shares of the values of {clipped(name)}", labels, released, real)
    return _histogram(name, bins, released, real)


def bar_list(
    title: str,
    labels: Sequence[str],
    first: Float64Array,
    second: Float64Array | None = None,
    *,
    top: float | None = None,
) -> Markup:
    """Draws one horizontal bar for each label, with its percentage.

    Args:
      title: Text for screen readers.
      labels: Labels, in order.
      first, second: Shares, shape (k,); the second bar is drawn below the first.
      top: Share that fills the whole width; the largest one if None.
    """
    both = first if second is None else np.concatenate([first, second])
    end = _BAR_END if second is None else _BOTH_END
    across = Scale(0.0, top or max(float(both.max(initial=0.0)), 1e-9), _LABEL, end)
    rows = [
        {
            "label": clipped(label, _MAX_LABEL_LENGTH),
            "full": clipped(label),
            "text": _shares_in_words(first, second, index),
            "y": index * _ROW,
            "width": across.at(float(first[index])) - _LABEL,
            "second": None if second is None else across.at(float(second[index])) - _LABEL,
        }
        for index, label in enumerate(labels)
    ]
    said = " ".join(f"{row['full']} {row['text']}." for row in rows)
    height = max(_ROW * len(rows), _ROW)
    return drawn("bar_list", title=title, description=said, width=_WIDTH, height=height, left=_LABEL, rows=rows)


def _shares_in_words(first: Float64Array, second: Float64Array | None, index: int) -> str:
    if second is None:
        return percent(float(first[index]))
    return f"{percent(float(first[index]))} | {percent(float(second[index]))}"


def _histogram(name: str, bins: Bins, released: Float64Array, real: Float64Array | None) -> Markup:
    edges = np.array(bins.edges)
    across = Scale(float(edges[0]), float(edges[-1]), _LEFT, _RIGHT)
    tallest = max(float(released.max(initial=0.0)), 0.0 if real is None else float(real.max(initial=0.0)), 1e-9)
    up = Scale(0.0, tallest, _HIGH, 8)
    lefts = [across.at(float(edge)) for edge in edges]
    bars = "".join(
        f"M{left:.4g} {_HIGH}V{up.at(float(share)):.4g}H{right - 0.6:.4g}V{_HIGH}z"
        for left, right, share in zip(lefts, lefts[1:], released, strict=False)
        if share > 0.0
    )
    outline = None
    if real is not None:
        steps = "".join(f"V{up.at(float(s)):.4g}H{right:.4g}" for right, s in zip(lefts[1:], real, strict=False))
        outline = f"M{lefts[0]:.4g} {_HIGH}{steps}V{_HIGH}"
    low, middle, high = (_edge_text(bins, share) for share in (0.0, 0.5, 1.0))
    tallest_released = float(released.max(initial=0.0))
    return drawn(
        "histogram",
        title=f"Distribution of the values of {clipped(name)}",
        description=f"From {low} to {high}; the fullest bin of {len(released)} holds {percent(tallest_released)}.",
        width=_WIDTH, height=_HIGH + 18, base=_HIGH, bars=bars, outline=outline,
        low=low, middle=middle, high=high, most=percent(tallest),
    )  # fmt: skip


def _edge_text(bins: Bins, share: float) -> str:
    low, high = bins.edges[0], bins.edges[-1]
    if bins.kind == "time":
        return moment(low + share * (high - low), high - low)
    if bins.kind == "number" and all(edge % 1.0 == 0.5 for edge in bins.edges):  # bins of whole numbers
        low, high = low + 0.5, high - 0.5
    return short(low + share * (high - low))
