"""Line and point charts: trade-off curves, ROC curves, projections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from threea_spark.arrays import Float64Array
from threea_spark.report.charts.scales import Scale, short, ticks
from threea_spark.report.charts.svg import drawn, polyline

WIDTH, HEIGHT = 360, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 12, 42


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
      label: The axis title.
      low, high: Its range.
      text: Formats a tick.
    """

    label: str
    low: float
    high: float
    text: Callable[[float], str] = short


@dataclass(frozen=True)
class Series:
    """One line or cloud.

    Attributes:
      name: Name in the legend.
      x, y: Coordinates, shape (n,).
      style: Class in the style sheet, which sets colour and dashes.
    """

    name: str
    x: Float64Array
    y: Float64Array
    style: str


def line_chart(title: str, description: str, x: Axis, y: Axis, series: Sequence[Series]) -> Markup:
    """Draws lines, clipped to the axes.

    Args:
      title, description: Text for screen readers.
      x, y: The axes.
      series: One line each.
    """
    across, up = _scales(x, y)
    paths = []
    for line in series:
        inside = (line.x >= x.low) & (line.x <= x.high)
        high = np.clip(line.y[inside], y.low, y.high)
        points = [(across.at(a), up.at(b)) for a, b in zip(line.x[inside], high, strict=True)]
        paths.append({"name": line.name, "style": line.style, "path": polyline(points)})
    return drawn("lines", **_frame(title, description, x, y), paths=paths, points=False)


def point_cloud(title: str, description: str, x: Axis, y: Axis, clouds: Sequence[Series]) -> Markup:
    """Draws one dot for each point within the axes; see `line_chart`."""
    across, up = _scales(x, y)
    paths = []
    for cloud in clouds:
        inside = (cloud.x >= x.low) & (cloud.x <= x.high) & (cloud.y >= y.low) & (cloud.y <= y.high)
        dots = zip(cloud.x[inside], cloud.y[inside], strict=True)
        path = "".join(f"M{across.at(a):.4g} {up.at(b):.4g}h0" for a, b in dots)
        paths.append({"name": cloud.name, "style": cloud.style, "path": path})
    return drawn("lines", **_frame(title, description, x, y), paths=paths, points=True)


def _scales(x: Axis, y: Axis) -> tuple[Scale, Scale]:
    return Scale(x.low, x.high, _LEFT, WIDTH - _RIGHT), Scale(y.low, y.high, HEIGHT - _BOTTOM, _TOP)


def _frame(title: str, description: str, x: Axis, y: Axis) -> dict[str, object]:
    across, up = _scales(x, y)
    return {
        "title": title,
        "description": description,
        "width": WIDTH,
        "height": HEIGHT,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "top": _TOP,
        "bottom": HEIGHT - _BOTTOM,
        "x_label": x.label,
        "y_label": y.label,
        "x_ticks": [(across.at(value), x.text(value)) for value in ticks(x.low, x.high)],
        "y_ticks": [(up.at(value), y.text(value)) for value in ticks(y.low, y.high)],
    }
