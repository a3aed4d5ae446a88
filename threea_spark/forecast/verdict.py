"""The verdict on a plan, and the change that would help it most, by written rules."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from threea_spark.forecast.case import Case
from threea_spark.forecast.columns import ColumnOutlook, Verdict, column_outlooks
from threea_spark.forecast.curves import ModelOutlook, model_outlook, signal_of_case
from threea_spark.privacy import large_delta

Grade: TypeAlias = Literal["good", "thin", "too thin", "refused"]
GOOD_KEPT, THIN_KEPT = 0.8, 0.6
"""What models keep of what real rows give: at the low end where a plan is good, in the middle where it is thin."""
GOOD_LOST, THIN_LOST = 0.1, 0.5
"""Parts of the columns that are likely lost at most, where a plan is good or thin."""
GOOD_WHOLE = 0.5
"""Part of the columns that are kept at least, where a plan is good."""
MOST_EPSILON = 8.0
"""No larger epsilon is advised."""


@dataclass(frozen=True)
class PlanVerdict:
    """What the plan is worth.

    Attributes:
      grade: good, thin or too thin; refused where a release would be, for its delta.
      because: What decided it.
      fix: The change that helps most; None where the plan is good, or where no single change helps.
    """

    grade: Grade
    because: str
    fix: str | None

    def in_words(self) -> str:
        """One line."""
        fix = "" if self.fix is None else f" What helps most: {self.fix}."
        return f"{self.grade}: {self.because}.{fix}"


@dataclass(frozen=True)
class _Change:
    """A change to the plan, and what it would leave of columns and models."""

    words: str
    models: ModelOutlook | None
    columns: tuple[ColumnOutlook, ...]

    @property
    def rank(self) -> tuple[int, float, float]:
        """Its grade, then what models keep, then columns: two points for one that is kept, one for a coarse one."""
        grades: tuple[Grade, ...] = ("too thin", "thin", "good")
        kept = 0.0 if self.models is None else self.models.kept_middle
        points = len(self.columns) + _n_of("kept", self.columns) - _n_of("likely lost", self.columns)
        return grades.index(grade_of(self.models, self.columns)), kept, points / max(len(self.columns), 1)


def verdict_of(case: Case, columns: Sequence[ColumnOutlook], models: ModelOutlook | None) -> PlanVerdict:
    """Judges a plan.

    Args:
      case: What is planned.
      columns, models: What is expected of it.
    """
    limit = large_delta.one_in_units(case.n_rows, case.plan.unit.max_rows)
    if case.plan.delta > limit and not case.config.privacy.allow_large_delta:
        why = f"delta {case.plan.delta:g} is above {limit:.3g}, one over the number of units that the rows hold"
        return PlanVerdict("refused", why, "lower privacy.delta")
    grade, because = grade_of(models, columns), _because(models, columns)
    if grade == "good":
        return PlanVerdict(grade, because, None)
    best = max(_changes(case, columns), key=lambda change: change.rank)
    helps = best.rank > _Change("as planned", models, tuple(columns)).rank
    return PlanVerdict(grade, because, best.words if helps else None)


def grade_of(models: ModelOutlook | None, columns: Sequence[ColumnOutlook]) -> Grade:
    """Grades what is expected: by models where any were measured, and by columns where they are counted."""
    low, middle = (1.0, 1.0) if models is None else (models.kept_low, models.kept_middle)
    lost, kept, every = _n_of("likely lost", columns), _n_of("kept", columns), len(columns)
    if low >= GOOD_KEPT and lost <= GOOD_LOST * every and kept >= GOOD_WHOLE * every:
        return "good"
    return "thin" if middle >= THIN_KEPT and lost <= THIN_LOST * every else "too thin"


def _n_of(verdict: Verdict, columns: Sequence[ColumnOutlook]) -> int:
    return sum(column.verdict == verdict for column in columns)


def _because(models: ModelOutlook | None, columns: Sequence[ColumnOutlook]) -> str:
    if not columns:
        return "columns are read without noise"
    kept, coarse, lost = (_n_of(verdict, columns) for verdict in ("kept", "coarse", "likely lost"))
    counted = f"of {len(columns)} columns {kept} kept, {coarse} coarse, {lost} likely lost"
    if models is None:
        return counted
    low, high = 100.0 * models.kept_low, 100.0 * models.kept_high
    return f"models keep {low:.0f} to {high:.0f} % of what real rows give; {counted}"


def _changes(case: Case, columns: Sequence[ColumnOutlook]) -> Iterator[_Change]:
    """Single changes; of those that help equally the first is named, and larger budgets come last."""

    def of(words: str, changed: Case) -> _Change:
        return _Change(words, model_outlook(changed), column_outlooks(changed))

    if case.plan.unit.max_rows > 1:
        yield of("set privacy.unit.max_rows to 1, if most units have one row", case.of_single_rows())
    lost = [own for own in columns if own.verdict == "likely lost" and own.column not in case.config.domain.labels]
    if lost and len(lost) <= THIN_LOST * len(columns):
        yield _without(case, columns, lost)
    doubled = 2.0 * case.plan.epsilon
    either = f"twice as many rows, or epsilon {doubled:g}" if doubled <= MOST_EPSILON else "twice as many rows"
    yield of(either, case.of_rows(2 * case.n_rows))


def _without(case: Case, columns: Sequence[ColumnOutlook], lost: Sequence[ColumnOutlook]) -> _Change:
    """Without the columns that are likely lost: the others share the signal."""
    left, models = tuple(column for column in columns if column not in lost), model_outlook(case)
    if models is not None:
        signal = signal_of_case(case) * math.sqrt(len(columns) / len(left))
        models = ModelOutlook.at(models.metric, signal)
    names = ", ".join(repr(column.column) for column in lost[:3]) + (" and others" if len(lost) > 3 else "")
    return _Change(f"leave out {names}, or list fewer values", models, left)
