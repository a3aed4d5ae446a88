"""The figures, one a claim, drawn from records alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from paper_lab import EPSILON, Record  # these lie beside this file
from paper_panels import (
    COLOURS,
    MODEL_NAMES,
    bars,
    curve,
    curves,
    level,
    log_axis,
    means,
    panels,
    select,
    tables_of,
    values,
    with_legend,
)

WIDE_CLIP = 4.0
"""Clip norm of the toy that cuts no row short; `auto` is sqrt(2) there."""
KIP_PLACES = ("sample", "mix", "mix, conditional")
SHAPES = ("isotropic", "diagonal", "full")
CLUSTER_FIGURES = {
    "inertia_ratio": "inertia relative to KMeans on real rows",
    "ari": "adjusted Rand index with the same",
}
SHAPE_COLOURS = ("tab:purple", "tab:olive", "tab:cyan")


def draw_toy(records: Sequence[Record]) -> Figure:
    """(a) Real rows, then released ones by budget: a row of panels for each way to release."""
    budgets, _ = means(records, EPSILON, "centre_error")
    ways = {"sample": ("sample", None), f"sample, clip {WIDE_CLIP:g}": ("sample", WIDE_CLIP), "mix": ("mix", None)}
    figure, axes = panels(len(budgets) + 1, len(ways), (2.3, 2.3))
    for row, (name, (generator, clip)) in enumerate(ways.items()):
        found = select(records, anonymize__generator=generator, encode__clip_norm=clip)
        shown = {"real rows": select(records, anonymize__generator="real")}
        shown |= {f"{name}, $\\epsilon$ = {e:g}": select(found, privacy__epsilon=e) for e in budgets}
        for panel, (title, runs) in zip(axes[row * len(shown) :], shown.items(), strict=False):
            _scatter(panel, runs)
            errors = values(runs, "centre_error")
            panel.set_title(f"{title}\ncentre error {np.mean(errors):.2f}" if errors else title, fontsize=9)
    figure.supxlabel("x0", fontsize=9)
    figure.supylabel("x1", fontsize=9)
    return figure


def _scatter(axes: Axes, records: Sequence[Record]) -> None:
    points: list[list[Any]] = next((row["outcome"]["points"] for row in records if "points" in row["outcome"]), [])
    for label, colour in (("a", "tab:red"), ("b", "tab:blue")):
        chosen = [point for point in points if point[2] == label]
        axes.scatter([point[0] for point in chosen], [point[1] for point in chosen], s=4, color=colour)
    axes.set(xlim=(-6, 6), ylim=(-6, 6))
    axes.tick_params(labelsize=7)


def draw_mixing(records: Sequence[Record]) -> Figure:
    """(b) AUC over the mix size."""
    figure, axes = panels(len(tables_of(records)))
    for panel, table in zip(axes, tables_of(records), strict=True):
        own = select(records, table)
        lines = {"mix": select(own, anonymize__generator="mix", approximate__per_class=None)}
        lines["mix, no classes"] = select(own, anonymize__generator="mix", approximate__per_class=False)
        lines["random"] = select(own, anonymize__generator="random")
        curves(panel, own, "anonymize.mix_size", lines)
        panel.set(title=table, xlabel="mix size (rows averaged)", ylabel="AUC on real rows")
    return with_legend(figure, axes[0])


def draw_budgets(records: Sequence[Record]) -> Figure:
    """(g) AUC over epsilon."""
    figure, axes = panels(len(tables_of(records)))
    for panel, table in zip(axes, tables_of(records), strict=True):
        own = select(records, table)
        lines = {generator: select(own, anonymize__generator=generator) for generator in ("sample", "mix")}
        curves(panel, own, EPSILON, lines)
        panel.set(title=table, xlabel="$\\epsilon$", ylabel="AUC on real rows")
    return with_legend(figure, axes[0])


def draw_kip(records: Sequence[Record]) -> Figure:
    """(c) AUC without and with KIP."""
    figure, axes = panels(len(tables_of(records)))

    def found(table: str, method: str) -> Callable[[str], list[float]]:
        def of_place(place: str) -> list[float]:
            generator, _, mode = place.partition(", ")
            chosen = select(records, table, anonymize__generator=generator, adapt__method=method)
            return values(select(chosen, privacy__accounting=mode or None), "auc_lgbm")

        return of_place

    for panel, table in zip(axes, tables_of(records), strict=True):
        bars(panel, KIP_PLACES, {"no KIP": found(table, "none"), "KIP": found(table, "kip")}, ("0.75", "tab:blue"))
        level(panel, select(records, table), "auc_lgbm", linestyle="-", label="real rows")
        panel.set(title=table, ylabel="AUC on real rows (LightGBM)", ylim=(0.5, 1.0))
    return with_legend(figure, axes[0])


def draw_alpha(records: Sequence[Record]) -> Figure:
    """(d) Density against utility, a dot for each alpha, and AUC over alpha below."""
    tables = tables_of(records)
    figure, axes = panels(len(tables), 2)
    for column, table in enumerate(tables):
        over, against = axes[column], axes[len(tables) + column]
        found = select(records, table, anonymize__generator="mix")
        for model, name in MODEL_NAMES.items():
            curve(over, found, "adapt.alpha", f"auc_{model}", label=name)
            _against_density(against, found, f"auc_{model}", marked=model == "lgbm")
        over.set(title=table, xlabel="alpha (0 classifier, 1 density)", ylabel="AUC on real rows")
        against.margins(0.12)
        against.set(xlabel="energy distance to real rows", ylabel="AUC on real rows")
    return with_legend(figure, axes[0])


def _against_density(axes: Axes, records: Sequence[Record], figure: str, marked: bool) -> None:
    alphas, utility = means(records, "adapt.alpha", figure)
    _, density = means(records, "adapt.alpha", "energy")
    axes.plot(density, utility, marker="o", markersize=4)
    for alpha, x, y in zip(alphas, density, utility, strict=True) if marked else ():
        axes.annotate(f"{alpha:g}", (x, y), (4, 4), textcoords="offset points", fontsize=8)


def draw_clusterability(records: Sequence[Record]) -> Figure:
    """(e) AUC by how clearly the rows cluster."""
    figure, axes = panels(1, 1, (7.0, 3.6))

    def found(generator: str, components: Any = None) -> Callable[[str], list[float]]:
        wanted = {"anonymize__generator": generator, "approximate__components": components}
        return lambda table: values(select(records, table, **wanted), "auc_lgbm")

    series = {
        "real rows": found("real"),
        "sample, 1 component a class": found("sample", "auto"),
        "sample, 4 components a class": found("sample", 4),
        "mix": found("mix"),
    }
    bars(axes[0], tables_of(records), series, (COLOURS["real"], COLOURS["sample"], "tab:cyan", COLOURS["mix"]))
    axes[0].set(ylabel="AUC on real rows (LightGBM)", ylim=(0.5, 1.08))
    return with_legend(figure, axes[0])


def draw_sensitivity(records: Sequence[Record]) -> Figure:
    """(f) AUC over three settings."""
    settings = {
        "approximate.min_cluster_size": "min_cluster_size (mix, conditional)",
        "approximate.components": "components a class (sample)",
        "adapt.support_size": "support_size (sample)",
    }
    figure, axes = panels(len(settings), 1, (3.6, 3.4))
    for panel, (setting, name) in zip(axes, settings.items(), strict=True):
        found = [row for row in records if setting in row["settings"]]
        for model, style in (("lgbm", "-"), ("linear", ":")):
            curve(panel, found, setting, f"auc_{model}", color="tab:blue", linestyle=style, label=model)
            level(panel, records, f"auc_{model}", linestyle=style, label=f"real rows, {model}")
        log_axis(panel, [row["settings"][setting] for row in found])
        panel.set(xlabel=name, ylabel="AUC on real rows")
    return with_legend(figure, axes[0])


def draw_tasks(records: Sequence[Record]) -> Figure:
    """(h) R2 of regressions, and clusters kept without a label."""
    figure, axes = panels(3, 1, (4.0, 3.6))
    bare = [table for table in tables_of(records) if table.endswith("/unlabelled")]
    numbers = [table for table in tables_of(records) if table not in bare]

    def found(generator: str, epsilon: float | None, figure: str) -> Callable[[str], list[float]]:
        wanted = {"anonymize__generator": generator, "privacy__epsilon": epsilon}
        return lambda table: values(select(records, table, **wanted), figure)

    real = {"real rows": found("real", None, "r2_lgbm")}
    ours = {f"sample, $\\epsilon$ = {e:g}": found("sample", e, "r2_lgbm") for e in (1.0, 10.0)}
    bars(axes[0], numbers, real | ours, (COLOURS["real"], "tab:blue", "tab:cyan"))
    axes[0].set(title="regression", ylabel="R2 on real rows (LightGBM)")
    for panel, (figure_name, name) in zip(axes[1:], CLUSTER_FIGURES.items(), strict=True):
        runs = {f"{g}, $\\epsilon$ = {e:g}": found(g, e, figure_name) for g in ("sample", "mix") for e in (1.0, 10.0)}
        bars(panel, bare, runs, ("tab:blue", "tab:cyan", "tab:orange", "gold"))
        panel.set_xticks(range(len(bare)), [table.removesuffix("/unlabelled") for table in bare])
        panel.set(title="no label", ylabel=name)
        panel.margins(y=0.12)
    for panel, top in ((axes[0], 1.3), (axes[2], 1.35)):
        panel.set_ylim(0.0, top)
        panel.legend(fontsize=8, loc="upper right", ncols=2)
    return figure


def draw_covariances(records: Sequence[Record]) -> Figure:
    """(i) AUC by the covariance of the mixture, and over the number of columns."""
    wide = [table for table in tables_of(records) if table.startswith("wide-")]
    few = [table for table in tables_of(records) if table not in wide]
    figure, axes = panels(len(few) + 1, 1, (4.6, 3.8))

    def found(table: str, shape: str) -> Callable[[str], list[float]]:
        wanted = {"approximate__covariance": shape}
        return lambda generator: values(select(records, table, anonymize__generator=generator, **wanted), "auc_lgbm")

    for panel, table in zip(axes, few, strict=False):
        bars(panel, ("sample", "mix"), {shape: found(table, shape) for shape in SHAPES}, SHAPE_COLOURS)
        level(panel, select(records, table), "auc_lgbm", linestyle="-", label="real rows")
        panel.set(title=table, ylabel="AUC on real rows (LightGBM)", ylim=(0.5, 1.12))
    axes[0].legend(fontsize=8, loc="upper right", ncols=2)
    _over_columns(axes[-1], [{**row, "settings": {**row["settings"], "columns": _n_columns(row)}} for row in records])
    return figure


def _over_columns(axes: Axes, records: Sequence[Record]) -> None:
    found = [row for row in records if row["settings"]["columns"]]
    lines = {"real rows": (select(found, anonymize__generator="real"), COLOURS["real"])}
    lines["sample"] = (select(found, anonymize__generator="sample"), COLOURS["sample"])
    for shape, colour in zip(SHAPES, SHAPE_COLOURS, strict=True):
        lines[f"mix, {shape}"] = (select(found, anonymize__generator="mix", approximate__covariance=shape), colour)
    for name, (chosen, colour) in lines.items():
        curve(axes, chosen, "columns", "auc_lgbm", color=colour, label=name)
    log_axis(axes, [row["settings"]["columns"] for row in found])
    axes.set(title="generated, 8 informative columns", xlabel="columns", ylabel="AUC on real rows (LightGBM)")
    axes.legend(fontsize=7)


def _n_columns(record: Record) -> int:
    return int(record["table"].removeprefix("wide-")) if record["table"].startswith("wide-") else 0
