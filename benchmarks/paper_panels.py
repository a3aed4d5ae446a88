"""What the figures are made of: records picked by their settings, curves and bars of means with a dot for each run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from paper_lab import Record  # beside this file
from PIL import Image

COLOURS = {
    "real": "0.45",
    "sample": "tab:blue",
    "mix": "tab:orange",
    "random": "tab:green",
    "mix, no classes": "tab:red",
}
MODELS = {"lgbm": "-", "linear": ":"}
MODEL_NAMES = {"lgbm": "LightGBM", "linear": "linear"}
_PANEL = (4.4, 3.4)
_DPI = 90
_N_COLOURS = 64


def save(figure: Figure, path: Path) -> None:
    """Writes a small PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(_DPI)
    canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image.quantize(_N_COLOURS).save(path, optimize=True)  # a palette: a third of the bytes


def panels(n_columns: int, n_rows: int = 1, panel: tuple[float, float] = _PANEL) -> tuple[Figure, list[Axes]]:
    """An empty figure of panels, row by row."""
    figure = Figure(figsize=(panel[0] * n_columns, panel[1] * n_rows), layout="constrained")
    return figure, list(figure.subplots(n_rows, n_columns, squeeze=False).flat)


def select(records: Sequence[Record], table: str | None = None, **settings: Any) -> list[Record]:
    """Records of a table with these settings; a name's dot is written as two underscores, None means not set."""
    wanted = {name.replace("__", "."): value for name, value in settings.items()}
    return [
        row
        for row in records
        if table in (None, row["table"]) and all(row["settings"].get(name) == value for name, value in wanted.items())
    ]


def values(records: Sequence[Record], figure: str) -> list[float]:
    """One outcome of all records that have it."""
    return [float(value) for row in records if (value := row["outcome"].get(figure)) is not None]


def means(records: Sequence[Record], setting: str, figure: str) -> tuple[list[float], list[float]]:
    """Mean outcome by the value of a setting, in its order."""
    by_value: dict[float, list[float]] = {}
    for row in records:
        if setting in row["settings"]:
            by_value.setdefault(float(row["settings"][setting]), []).extend(values([row], figure))
    kept = sorted(value for value, found in by_value.items() if found)
    return kept, [float(np.mean(by_value[value])) for value in kept]


def tables_of(records: Sequence[Record]) -> list[str]:
    """Tables in the order of the records."""
    return list(dict.fromkeys(row["table"] for row in records))


def curve(axes: Axes, records: Sequence[Record], setting: str, figure: str, **style: Any) -> None:
    """A line through the means, dots for the runs."""
    x, y = means(records, setting, figure)
    (line,) = axes.plot(x, y, marker="o", markersize=4, **style)
    pairs = [(float(row["settings"][setting]), value) for row in records for value in values([row], figure)]
    if len(pairs) > len(x):
        axes.scatter([pair[0] for pair in pairs], [pair[1] for pair in pairs], s=8, color=line.get_color(), alpha=0.5)


def level(axes: Axes, records: Sequence[Record], figure: str, **style: Any) -> None:
    """A level line at the mean of real rows."""
    if found := values(select(records, **{"anonymize__generator": "real"}), figure):
        axes.axhline(float(np.mean(found)), color=COLOURS["real"], linewidth=1, **style)


def bars(
    axes: Axes, groups: Sequence[str], series: Mapping[str, Callable[[str], list[float]]], colours: Sequence[str]
) -> None:
    """Grouped bars of means with their figures written above, and a dot for each run."""
    width = 0.8 / len(series)
    for place, ((name, found_in), colour) in enumerate(zip(series.items(), colours, strict=True)):
        for column, group in enumerate(groups):
            x, found = column - 0.4 + (place + 0.5) * width, found_in(group)
            if not found:
                continue
            label = name if column == min(c for c, g in enumerate(groups) if found_in(g)) else None
            axes.bar(x, np.mean(found), 0.92 * width, color=colour, label=label)
            axes.scatter([x] * len(found), found, s=8, color="black", zorder=3)
            _write(axes, f"{np.mean(found):.2f}", x, max(found))
    axes.set_xticks(range(len(groups)), groups)


def _write(axes: Axes, text: str, x: float, y: float) -> None:
    axes.annotate(text, (x, y), (0, 3), textcoords="offset points", ha="center", fontsize=8)


def curves(axes: Axes, records: Sequence[Record], setting: str, lines: Mapping[str, Sequence[Record]]) -> None:
    """A curve for each named line and model, real rows as levels; the setting on a logarithmic axis."""
    for model, style in MODELS.items():
        for name, found in lines.items():
            look = {"color": COLOURS[name], "linestyle": style, "label": f"{name}, {MODEL_NAMES[model]}"}
            curve(axes, found, setting, f"auc_{model}", **look)
        level(axes, records, f"auc_{model}", linestyle=style, label=f"real rows, {MODEL_NAMES[model]}")
    log_axis(axes, [row["settings"][setting] for row in records if setting in row["settings"]])


def log_axis(axes: Axes, marks: Sequence[float]) -> None:
    """A logarithmic x axis with these marks alone."""
    axes.set_xscale("log")
    axes.set_xticks(sorted(set(marks)), [f"{mark:g}" for mark in sorted(set(marks))])
    axes.minorticks_off()


def with_legend(figure: Figure, axes: Axes) -> Figure:
    """Puts the legend of a panel below all of them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=math.ceil(len(labels) / 2), fontsize=8)
    return figure
