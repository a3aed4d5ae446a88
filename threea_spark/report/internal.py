"""The INTERNAL report: real rows against released ones. The guarantee does not cover it; it must not be published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from threea_spark.evaluation.any_label import TargetFigure
from threea_spark.evaluation.comparison import ModelFigure
from threea_spark.report.charts.bar_charts import spread_chart
from threea_spark.report.charts.charts import Axis, Series, line_chart, point_cloud
from threea_spark.report.charts.heat_map import heat_map, strongest
from threea_spark.report.charts.scales import percent
from threea_spark.report.charts.svg import clipped, templates
from threea_spark.report.comparison import Clouds, ColumnComparison, Comparison
from threea_spark.report.public import MAX_CHARTS, OPEN_CHARTS, STRONGEST_PAIRS, Card, grouped
from threea_spark.report.spread import spread_in_words

_N_FARTHEST = 10
_EDGE = 0.005  # share of points that may be beyond each edge of the chart
_STYLES = {
    ("LightGBM", "released"): "s1",
    ("LightGBM", "real"): "s2",
    ("linear", "released"): "s3",
    ("linear", "real"): "s4",
}


def internal_page(title: str, comparison: Comparison) -> str:
    """Renders the internal report as one HTML document, with a banner on top and on every printed page.

    Args:
      title: The release's name.
      comparison: Everything to show. INTERNAL.
    """
    cards = [_card(column) for column in comparison.columns[:MAX_CHARTS]]
    fidelity = comparison.fidelity
    worst = sorted(fidelity.pairs.items(), key=lambda item: item[1].released)[:STRONGEST_PAIRS]
    return templates().get_template("internal.html").render(
        release=title,
        comparison=comparison,
        measure=comparison.models[0].measure if comparison.models else "",
        models=comparison.models,
        roc=roc_chart(comparison.models),
        farthest=sorted(comparison.columns, key=lambda column: -column.distance)[:_N_FARTHEST],
        cards=cards[:OPEN_CHARTS],
        groups=grouped(cards),
        without_chart=max(0, len(comparison.columns) - MAX_CHARTS),
        heat=heat_map("Difference of strengths", comparison.pair_names, comparison.pair_differences),
        strongest=strongest(comparison.pair_names, comparison.pair_differences, STRONGEST_PAIRS),
        left_out=len(comparison.columns) - len(comparison.pair_names),
        fidelity=fidelity,
        worst_pairs=[(*names, score) for names, score in worst],
        targets=comparison.targets,
        kept=kept_overall(comparison.targets),
        nearest=comparison.nearest,
        validity=comparison.validity,
        quality=comparison.quality,
        clouds=cloud_chart(comparison.clouds),
        n_shown=len(comparison.clouds.released) + len(comparison.clouds.real),
    )  # fmt: skip


def kept_overall(targets: Sequence[TargetFigure]) -> float | None:
    """The mean share that is kept of what real rows teach, over the columns that they teach; None if there are none."""
    kept = [target.kept for target in targets if target.is_learnable]
    return float(np.mean(kept)) if kept else None


def roc_chart(models: tuple[ModelFigure, ...]) -> Markup | None:
    """Draws the ROC curves; None if there are none."""
    series = [
        Series(f"{found.model} on {found.trained_on} rows", found.false_positives, found.true_positives, style)
        for found in models
        if len(found.false_positives) and (style := _STYLES[found.model, found.trained_on])
    ]
    if not series:
        return None
    said = "; ".join(f"{found.model} on {found.trained_on} rows: {found.figure.value:.3f}" for found in models)
    guess = Series("blind guess", np.array([0.0, 1.0]), np.array([0.0, 1.0]), "s0")
    axes = Axis("false positive rate", 0.0, 1.0), Axis("true positive rate", 0.0, 1.0)
    return line_chart("ROC curves on held-out real rows", f"Areas under the curves: {said}.", *axes, [*series, guess])


def cloud_chart(clouds: Clouds) -> Markup:
    """Draws both clouds in the released rows' first two principal components."""
    both = np.vstack([clouds.released, clouds.real])
    if len(both):
        low, high = np.quantile(both, [_EDGE, 1.0 - _EDGE], axis=0)
    else:
        low, high = np.zeros(2), np.ones(2)
    high = np.where(high > low, high, low + 1.0)
    across, up = (
        Axis(f"{name} axis ({percent(float(share))} of the variance)", float(a), float(b))
        for name, share, a, b in zip(("first", "second"), clouds.explained, low, high, strict=True)
    )
    return point_cloud(
        "Two clouds of rows",
        "Real and released rows, projected onto the released rows' first two principal components.",
        across,
        up,
        [
            Series("real rows", clouds.real[:, 0], clouds.real[:, 1], "s2"),
            Series("released rows", clouds.released[:, 0], clouds.released[:, 1], "s1"),
        ],
    )


def _card(column: ColumnComparison) -> Card:
    released, real = column.spreads
    note = f"distance {column.distance:.3f}"
    if column.released_nulls > 0.0 or column.real_nulls > 0.0:
        note += f"; null: {percent(column.released_nulls)} released, {percent(column.real_nulls)} real"
    if column.bins.kind != "category":
        kind = column.bins.kind
        note += f". Released: {spread_in_words(kind, released)}. Real: {spread_in_words(kind, real)}"
    chart = spread_chart(clipped(column.name), column.bins, column.released, column.real)
    return Card(column.name, chart, note)
