"""The forecast in words: tables and paragraphs in lines of at most 80 characters, where names are not longer."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from threea_spark.forecast.budgets import BudgetOutlook
from threea_spark.forecast.case import Case
from threea_spark.forecast.columns import ColumnOutlook
from threea_spark.forecast.curves import CURVES, ModelOutlook, metric_of, why_not_measured
from threea_spark.forecast.stages import StageOutlook

WIDTH = 80
MOST_NAMES = 12
"""Columns of one kind that are named; JSON has all."""
_ORDER = ("likely lost", "coarse", "kept")
_NAMES = {"auc": "AUC", "r2": "R2"}
_RULES = (
    "kept: a value of mean size is right within a fifth, a number has 16 cells, or names of 1 % of the rows are found. "
    "coarse: most values stand out from the noise. likely lost: most do not; rare values are merged, rare names become "
    "`other`. Values are taken for equally frequent."
)
_RECIPES = {
    "draw": "draws rows from counts of each column within each class",
    "draw-pairs": "draws rows from a model that is fitted to counts of all pairs of columns",
    "draw-wide": "draws rows from averages of each class, since the rows are few for so many columns",
    "mix": "averages rows of a cluster",
}


def paragraphs(sentences: Sequence[str]) -> str:
    """One paragraph each."""
    return "\n".join(textwrap.fill(sentence, WIDTH, break_on_hyphens=False) for sentence in sentences)


def stages(recipe: str, found: Sequence[StageOutlook], n_rows: int) -> str:
    """What each stage spends, on what, and how far that is right."""
    lines = [f"Recipe {recipe}: {_RECIPES[recipe]}. The budget goes to (ranges hold 19 times of 20):"]
    for stage in found:
        head = f"  {stage.stage:<12}{100.0 * stage.share:>3.0f} %  "
        text = " ".join(f"{sentence}." for sentence in (stage.does, *_in_rows(stage, n_rows)))
        lines.append(_hanging(head, text))
    return "\n".join(textwrap.fill(line, WIDTH) if number == 0 else line for number, line in enumerate(lines))


def _in_rows(stage: StageOutlook, n_rows: int) -> list[str]:
    if stage.within_rows is not None and stage.counts is not None:
        return [f"A count of {stage.counts} is right within {rows(stage.within_rows)} of {n_rows:,} rows"]
    if stage.needed_rows is not None:
        few = "rows are drawn class by class" if "class" in (stage.needs or "") else "the label is not learned"
        return [f"It needs {rows(stage.needed_rows)} {stage.needs}; with fewer, {few}"]
    return []


def columns(found: Sequence[ColumnOutlook]) -> str:
    """The columns by verdict and by what they hold, and the rule of the verdicts."""
    if not found:
        return ""
    alike: dict[tuple[int, str, str], list[str]] = {}
    for column in found:
        key = (
            _ORDER.index(column.verdict),
            _holds(column),
            "-" if column.kind == "open names" else rows(column.typical_rows),
        )
        alike.setdefault(key, []).append(column.column)
    lines = [f"{'Verdict':<13}{'what it holds':<26}{'rows each':>9}  columns"]
    for (order, holds, typical), names in sorted(alike.items()):
        head = f"{_ORDER[order]:<13}{holds:<26}{typical:>9}  "
        shown = ", ".join(names[:MOST_NAMES])
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        lines.append(_hanging(head, f"{shown}{more}"))
    return "\n".join([*lines, textwrap.fill(_RULES, WIDTH)])


def _holds(column: ColumnOutlook) -> str:
    if column.kind == "open names":
        return f"names from {rows(column.merged_below)} rows on"
    if column.kind in ("number", "time"):
        return f"{column.kind}, {column.values} cells"
    if column.kind == "mean and spread":
        return "number, mean and spread"
    return f"{column.values} {'values' if column.kind == 'part of a time' else 'listed values'}"


def _hanging(head: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)


def models(case: Case, found: ModelOutlook | None) -> str:
    """What is expected of models that are trained on released rows."""
    if found is None:
        return f"Models: no expectation, since {why_not_measured(case)}."
    curves, name = CURVES[metric_of(case.config)], _NAMES[found.metric]
    kept = f"{percent(found.kept_low)} to {percent(found.kept_high)} %"
    gain = f"of the {name} above .5" if found.metric == "auc" else f"of the {name}"
    beyond = "" if curves.signals[0] <= found.signal <= curves.signals[1] else " No measured table was like this one."
    low, middle, high = (plain(own) for own in (found.released_low, found.released_middle, found.released_high))
    return (
        f"Models: trained on released rows, they keep {kept} {gain} that real rows give. So {name} {plain(found.real)} "
        f"becomes about {middle}, or {low} to {high}. Measured on {curves.n_tables} tables: "
        f"{percent(curves.covered)} % of {curves.n_runs} releases lay in the range that the other tables gave.{beyond}"
    )


def budgets(found: Sequence[BudgetOutlook], example: ModelOutlook | None) -> str:
    """The table of other budgets; `*` marks the planned one."""
    title = "" if example is None else f"{_NAMES[example.metric]} for {plain(example.real)}"
    lines = [f"{'Other budgets':<18}{'a count is right within':>24}{'columns lost':>14}  {title}".rstrip()]
    for budget in found:
        within = "-" if budget.within_rows is None else f"{rows(budget.within_rows)} rows"
        released = (budget.released_middle, budget.released_low, budget.released_high)
        known = [plain(own) for own in released if own is not None]
        expected = "{} ({} to {})".format(*known) if known else ""
        name = f"{'*' if budget.is_planned else ' '} {budget.name}"
        lines.append(f"{name:<18}{within:>24}{budget.lost_columns:>14}  {expected}".rstrip())
    return "\n".join(lines)


def rows(value: float) -> str:
    """A number of rows: three digits where it is small."""
    return f"{value:,.0f}" if value >= 100.0 else f"{value:.3g}"


def plain(value: float) -> str:
    """Three digits behind the point, without the zero before it."""
    return f"{value:.3f}".removeprefix("0")


def percent(share: float) -> str:
    """A share in whole percent."""
    return f"{100.0 * share:.0f}"
