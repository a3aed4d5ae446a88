"""Draws the pictures of the tutorial from a run of it: the folder in which its steps 1 to 5 were carried out.

Usage: python docs/tutorial_pictures.py FOLDER docs/tutorial
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

mpl.use("Agg")

from matplotlib import pyplot as plt

COLORS = {"private": "#6b6b6b", "released": "#0072B2"}
N_ROWS = 6
Tables = dict[str, pd.DataFrame]


def draw_rows(tables: Tables, path: Path) -> None:
    """Six rows of each table, as tables; the private one has one column more."""
    figure, axes = plt.subplots(2, 1, figsize=(9.6, 4.6), layout="constrained")
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        shown = table.head(N_ROWS).copy()
        shown["admitted"] = pd.to_datetime(shown["admitted"]).dt.strftime("%Y-%m-%d")
        text = [["" if pd.isna(value) else str(value) for value in row] for row in shown.to_numpy(dtype=object)]
        cells = axis.table(
            text, colLabels=list(shown.columns), cellLoc="left", colLoc="left", loc="center left", edges="horizontal"
        )
        cells.auto_set_font_size(False)
        cells.set_fontsize(9)
        cells.scale(1, 1.25)
        cells.auto_set_column_width(range(len(shown.columns)))
        for column in range(len(shown.columns)):
            cells[0, column].get_text().set(weight="bold", color=COLORS[name])
        axis.set_title(f"{name} rows", loc="left", color=COLORS[name], fontsize=11)
        axis.axis("off")
    figure.savefig(path, dpi=110)


def draw_columns(tables: Tables, path: Path) -> None:
    """Two numbers, one category and the label by that category."""
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 5.6), layout="constrained")
    _histogram(axes[0, 0], tables, "age", np.arange(18, 104, 4))
    _histogram(axes[0, 1], tables, "lactate", np.arange(0, 5.1, 0.25))
    shares = {name: table["diagnosis"].value_counts(normalize=True) for name, table in tables.items()}
    deaths = {name: (table["died"] == "yes").groupby(table["diagnosis"]).mean() for name, table in tables.items()}
    _bars(axes[1, 0], shares, "share of stays")
    _bars(axes[1, 1], deaths, "share of stays that end in death")
    axes[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=90)


def _histogram(axis: Axes, tables: Tables, column: str, edges: np.ndarray) -> None:
    for name, table in tables.items():
        values = table[column].dropna().astype(float)
        weights = np.full(len(values), 1.0 / len(values))
        axis.hist(values, edges, weights=weights, histtype="step", color=COLORS[name], label=name, linewidth=1.6)
    axis.set(title=column, ylabel="share of rows")
    axis.spines[["top", "right"]].set_visible(False)


def _bars(axis: Axes, figures: dict[str, pd.Series], title: str) -> None:
    order = figures["private"].sort_values().index
    for offset, (name, figure) in zip((0.2, -0.2), figures.items(), strict=True):
        axis.barh(np.arange(len(order)) + offset, figure.reindex(order), height=0.38, color=COLORS[name])
    axis.set(title=title, yticks=range(len(order)), yticklabels=order)
    axis.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Reads the tutorial's files and writes both pictures."""
    run, pictures = Path(sys.argv[1]), Path(sys.argv[2])
    pictures.mkdir(parents=True, exist_ok=True)
    tables = {"private": pd.read_parquet(run / "stays.parquet"), "released": pd.read_parquet(run / "released.parquet")}
    draw_rows(tables, pictures / "rows.png")
    draw_columns(tables, pictures / "columns.png")


if __name__ == "__main__":
    main()
