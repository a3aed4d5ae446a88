"""The forecast that `threea plan` prints: every number follows from the configuration and the assumed rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from threea_spark.config.release import ConfigLike, ReleaseConfig
from threea_spark.encode.prices import BOUNDS_SHARE
from threea_spark.forecast import words
from threea_spark.forecast.budgets import BudgetOutlook, budget_outlooks
from threea_spark.forecast.case import Case
from threea_spark.forecast.columns import ColumnOutlook, column_outlooks
from threea_spark.forecast.curves import ModelOutlook, model_outlook
from threea_spark.forecast.stages import StageOutlook, stage_outlooks
from threea_spark.forecast.verdict import PlanVerdict, verdict_of
from threea_spark.model.more_rows import more_rows_in_words
from threea_spark.planned import make_plan
from threea_spark.privacy import large_delta
from threea_spark.recipes.recipe import Mix, Recipe

WEAK_EPSILON = 8.0
"""A larger epsilon hides little of a single unit."""


@dataclass(frozen=True)
class Outlook:
    """What a release would have to live with.

    Attributes:
      n_rows: Assumed number of rows that are read.
      case: The release.
      privacy: Epsilon, delta and unit, in words; with what there is to say of a large epsilon or delta.
      stages, columns, models, budgets, verdict: See their classes; models are None where nothing alike was measured.
      models_words: What is expected of models, in words.
      released_rows: How many rows come out, about, and why.
      delta: What there is to say about delta.
      more_rows: What models gained from more rows than the source holds; None if none can be drawn or classified.
      bounds: Columns whose bounds will be found, in words; None if all are declared.
    """

    n_rows: int
    case: Case
    privacy: tuple[str, ...]
    stages: tuple[StageOutlook, ...]
    columns: tuple[ColumnOutlook, ...]
    models: ModelOutlook | None
    models_words: str
    budgets: tuple[BudgetOutlook, ...]
    verdict: PlanVerdict
    released_rows: tuple[int, str]
    delta: tuple[str, ...]
    more_rows: str | None
    bounds: str | None

    @property
    def recipe(self) -> Recipe:
        """What would run."""
        return self.case.recipe

    @property
    def resolved(self) -> dict[str, Any]:
        """What every `auto` would become, as the receipt will have it."""
        return dict(self.recipe.values)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: all that `in_words` says."""
        n_released, why = self.released_rows
        return {
            "epsilon": self.case.plan.epsilon,
            "n_rows": self.n_rows,
            "privacy": list(self.privacy),
            "recipe": self.resolved["recipe"],
            "stages": [asdict(stage) for stage in self.stages],
            "columns": [asdict(column) for column in self.columns],
            "models": None if self.models is None else asdict(self.models),
            "models_words": self.models_words,
            "budgets": [asdict(budget) for budget in self.budgets],
            "released_rows": {"rows": n_released, "why": why},
            "delta": list(self.delta),
            "bounds": self.bounds,
            "more_rows": self.more_rows,
            "verdict": asdict(self.verdict),
        }

    def in_words(self) -> str:
        """The outlook as text for a person, in lines of at most 80 characters where names allow."""
        blocks = [
            words.paragraphs([*self.privacy, *self.delta]),
            words.stages(self.resolved["recipe"], self.stages, self.n_rows),
            words.columns(self.columns),
            words.paragraphs(list(self._sentences())),
            words.budgets(self.budgets, self.models),
            words.paragraphs([f"Verdict: {self.verdict.in_words()}"]),
        ]
        return "\n\n".join(block for block in blocks if block)

    def _sentences(self) -> Iterator[str]:
        yield self.released_rows[1]
        if self.bounds is not None:
            yield self.bounds
        yield self.models_words
        if self.more_rows is not None:
            yield self.more_rows


def outlook(config: ConfigLike, *, n_rows: int) -> Outlook:
    """Works out what a release would have to live with; reads no row and needs no Spark.

    Args:
      config: The release's configuration.
      n_rows: Assumed number of rows that are read.

    Raises:
      ConfigError: if the configuration is none.
      PrivacyError: if no plan for this claim can be certified.
    """
    config = ReleaseConfig.of(config)
    case = Case(config, make_plan(config), n_rows)
    plan, columns, models = case.plan, column_outlooks(case), model_outlook(case)
    allowed = config.privacy.allow_large_delta
    return Outlook(
        n_rows=n_rows,
        case=case,
        privacy=tuple(_privacy(case)),
        stages=stage_outlooks(case),
        columns=columns,
        models=models,
        models_words=words.models(case, models),
        budgets=budget_outlooks(case),
        verdict=verdict_of(case, columns, models),
        released_rows=_released_rows(case),
        delta=large_delta.outlook_words(plan.delta, plan.unit.max_rows, n_rows, is_allowed=allowed),
        more_rows=more_rows_in_words(str(case.recipe.values["recipe"]), n_rows) if config.domain.classes else None,
        bounds=_bounds_in_words(config),
    )


def _privacy(case: Case) -> Iterator[str]:
    plan = case.plan
    yield f"Plan for {case.n_rows:,} rows (assumed: no row is read), at epsilon {plan.epsilon:g}, delta {plan.delta:g}."
    unit = plan.unit
    if unit.column is None:
        yield "Each row is protected by itself."
    else:
        yield f"All rows with the same {unit.column!r} are protected together; at most {unit.max_rows} are read."
    if plan.is_conditional:
        yield "accounting: conditional. NOT COVERED: everything but the mixing step is computed without noise."
    if plan.epsilon > WEAK_EPSILON:
        yield (
            f"warning: privacy.epsilon {plan.epsilon:g} is above {WEAK_EPSILON:g}. It promises little: an attacker may "
            "become almost certain whether someone's rows were read."
        )


def _released_rows(case: Case) -> tuple[int, str]:
    """How many rows come out, about, and why."""
    wanted, unit, own = case.config.anonymize.rows, case.plan.unit, case.recipe
    read = (
        ""
        if unit.column is None
        else f" Of each {unit.column!r} at most {unit.max_rows} rows are read, so the table may hold more."
    )
    if isinstance(own, Mix):
        n_rows = case.n_rows // own.mix_size
        return n_rows, f"Rows: about {n_rows:,} come out, one for {own.mix_size:,} rows that are read.{read}"
    if wanted == "match":
        return case.n_rows, f"Rows: about {case.n_rows:,} come out, as many as are read (anonymize.rows: match).{read}"
    return int(wanted), f"Rows: {wanted:,} come out, as many as anonymize.rows asks for.{read}"


def _bounds_in_words(config: ReleaseConfig) -> str | None:
    names = ", ".join(map(repr, config.domain.columns_without_bounds))
    return f"Bounds of {names} will be found, for {BOUNDS_SHARE:.0%} of what encode may spend." if names else None
