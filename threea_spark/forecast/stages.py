"""What each stage spends, on what, and how far that is right, in rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from threea_spark.adapt.labelling import settings_of
from threea_spark.forecast.case import Case
from threea_spark.privacy.gaussian import NORMAL_95
from threea_spark.privacy.terms import Stage
from threea_spark.recipes import choice
from threea_spark.recipes.recipe import Draw, DrawPairs, DrawWide, Mix

_COUNTS = {Draw: "marginals", DrawPairs: "pairs", DrawWide: "norms", Mix: "sizes"}
"""The counts that Approximate makes for each recipe."""


@dataclass(frozen=True)
class StageOutlook:
    """One stage that may spend.

    Attributes:
      stage: Its name.
      mu: What it may spend, in mu of Gaussian differential privacy.
      share: Its part of the whole budget: of the square of mu.
      does: What it spends it on, as a sentence.
      counts: What its counts are of; None where it counts nothing, or nothing that is like others.
      noise_rows: Standard deviation of the noise on a count, in rows.
      within_rows: A count is right within so many rows, 19 times of 20.
      typical_rows: Rows of a count of mean size.
      needs: What a label function needs; None where none is learned.
      needed_rows: How many of these; None where it learns from however few.
    """

    stage: str
    mu: float
    share: float
    does: str
    counts: str | None = None
    noise_rows: float | None = None
    within_rows: float | None = None
    typical_rows: float | None = None
    needs: str | None = None
    needed_rows: float | None = None


def stage_outlooks(case: Case) -> tuple[StageOutlook, ...]:
    """Describes each stage that has a part of the budget, by the sums that the plan is certified for."""
    return tuple(_outlooks(case))


def _outlooks(case: Case) -> Iterator[StageOutlook]:
    whole = sum(mu * mu for mu in case.plan.stage_mu.values())
    for stage, mu in case.plan.stage_mu.items():
        share = mu * mu / whole
        if stage is Stage.ENCODE:
            yield _counting(case, stage, share, "counts the values of each column by itself", "values in a column")
        elif stage is Stage.APPROXIMATE:
            yield _counting(case, stage, share, *_approximation(case))
        elif stage is Stage.ADAPT:
            yield _adaptation(case, mu, share)
        else:
            yield StageOutlook(stage.value, mu, share, _anonymization(case))


def _counting(case: Case, stage: Stage, share: float, does: str, counts: str) -> StageOutlook:
    wanted = "histograms" if stage is Stage.ENCODE else _COUNTS[type(case.recipe)]
    noise, mu = case.noise_of(stage, wanted), case.plan.mu_of(stage)
    if noise is None:
        return StageOutlook(stage.value, mu, share, does)
    typical = case.n_rows / (_parts(case) if stage is Stage.APPROXIMATE else case.recipe.n_cells)
    return StageOutlook(stage.value, mu, share, does, counts, noise, NORMAL_95 * noise, typical)


def _approximation(case: Case) -> tuple[str, str]:
    """What Approximate does, and what it counts."""
    own = case.recipe
    if isinstance(own, DrawPairs):
        does = f"counts all pairs of columns, each in up to {own.n_groups} groups of values, and {own.n_tables} pairs"
        return f"{does} once more in full", "rows in a cell of a pair of columns"
    if isinstance(own, Draw):
        part = "cluster" if own.clusters is not None else "class" if case.shape.n_classes > 1 else "table"
        found = "finds clusters of rows, and " if own.clusters is not None else ""
        return f"{found}counts each column within each {part}", f"values in a column of one {part}"
    if isinstance(own, DrawWide):
        return "averages the rows of each class", "the rows of a class"
    n_clusters, least = own.clusters.n_components, own.clusters.min_size
    found = "a cluster" if n_clusters == 1 else f"{n_clusters} clusters"
    within = " in each class" if own.clusters.per_class and case.shape.n_classes > 1 else ""
    return f"finds {found}{within}, of at least {least:,} rows", "the rows of a cluster"


def _parts(case: Case) -> float:
    """By what the rows are divided among counts of mean size."""
    own, n_classes = case.recipe, case.shape.n_classes
    if isinstance(own, DrawPairs):
        return float(own.n_groups**2)
    if isinstance(own, DrawWide):
        return float(n_classes)
    if own.clusters is None:
        return float(own.n_cells * n_classes)
    n_clusters = own.clusters.n_components * (n_classes if own.clusters.per_class else 1)
    return float(n_clusters * (own.n_cells if isinstance(own, Draw) else 1))


def _adaptation(case: Case, mu: float, share: float) -> StageOutlook:
    own, labels = case.recipe, case.config.domain.labels
    if isinstance(own, Draw | DrawPairs) and own.functions.learned:
        names = ", then ".join(repr(name) for name in own.functions.learned)
        steps = settings_of(case.config.domain.task == "regression").steps
        does = f"learns how {names} depends on the other columns, in {steps} passes over {_rows_of_steps(case, own)}"
        of_class = "" if case.config.domain.task == "regression" else " outside the largest class"
        return StageOutlook(Stage.ADAPT.value, mu, share, does, needs=f"rows{of_class}", needed_rows=_needed_rows(case))
    if isinstance(own, Draw) and Stage.ADAPT in own.counts_again:
        few = f"the rows are too few to learn {labels[0]!r}" if labels else "there is no label"
        return _counts_again(case, Stage.ADAPT, share, f"counts each column within each class once more: {few}")
    if isinstance(own, DrawWide):
        return StageOutlook(Stage.ADAPT.value, mu, share, "looks again at the columns that tell the classes apart")
    if isinstance(own, Mix) and own.moves_centres:
        does = f"moves the clusters' centres in {case.config.adapt.steps} passes, so that they tell the classes apart"
        return StageOutlook(Stage.ADAPT.value, mu, share, does)
    return StageOutlook(Stage.ADAPT.value, mu, share, "spends nothing: this recipe does not use it")


def _rows_of_steps(case: Case, own: Draw | DrawPairs) -> str:
    """Which rows the steps of the label functions read."""
    if case.config.adapt.rows == "sample":
        return "a sample of the rows"
    rate = own.functions.step_rate
    return "all rows" if rate >= 1.0 else f"a random sample of about {rate * case.n_rows:,.0f} rows"


def _needed_rows(case: Case) -> float | None:
    """Rows that each function needs; None where labels are learned from however few."""
    if not choice.may_count_classes(case.config, case.plan, case.shape):
        return None
    return choice.needed_to_learn(case.plan, case.shape, len(choice.labels_to_learn(case.config, case.shape)))


def _counts_again(case: Case, stage: Stage, share: float, does: str) -> StageOutlook:
    noise, mu = case.noise_of(stage, "marginals"), case.plan.mu_of(stage)
    if noise is None:
        return StageOutlook(stage.value, mu, share, does)
    counts, typical = "values in a column of one class", case.n_rows / _parts(case)
    return StageOutlook(stage.value, mu, share, does, counts, noise, NORMAL_95 * noise, typical)


def _anonymization(case: Case) -> str:
    own = case.recipe
    if isinstance(own, Mix):
        return f"averages {own.mix_size:,} rows into one, with noise on each average"
    if isinstance(own, Draw) and Stage.ANONYMIZE in own.counts_again:
        return "counts each column within each class once more"
    return "spends nothing: this recipe does not use it"
