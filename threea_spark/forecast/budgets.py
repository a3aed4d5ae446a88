"""What other budgets, fewer rows of a unit or more rows would buy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from threea_spark.forecast.case import Case
from threea_spark.forecast.columns import column_outlooks
from threea_spark.forecast.curves import model_outlook
from threea_spark.privacy.gaussian import NORMAL_95
from threea_spark.privacy.terms import Stage

EPSILONS = (0.5, 1.0, 2.0, 4.0)
MORE_ROWS = 4


@dataclass(frozen=True)
class BudgetOutlook:
    """One budget, and what it leaves.

    Attributes:
      name: In words.
      epsilon, max_rows, n_rows: The budget, the rows read of a unit at most, and the rows assumed.
      is_planned: Whether it is the configuration's own.
      within_rows: A count of a value in a column is right within so many rows, 19 times of 20; None without noise.
      lost_columns: Columns that are likely lost.
      kept_low, kept_middle, kept_high: Shares of what real rows give that models keep; None where not measured.
      released_low, released_middle, released_high: The same in the example of `ModelOutlook`.
    """

    name: str
    epsilon: float
    max_rows: int
    n_rows: int
    is_planned: bool
    within_rows: float | None
    lost_columns: int
    kept_low: float | None
    kept_middle: float | None
    kept_high: float | None
    released_low: float | None
    released_middle: float | None
    released_high: float | None


def budget_outlooks(case: Case) -> tuple[BudgetOutlook, ...]:
    """Describes the planned budget among others, by epsilon, then one row of each unit and more rows."""
    return tuple(_outlooks(case))


def _outlooks(case: Case) -> Iterator[BudgetOutlook]:
    own = case.plan.epsilon
    for epsilon in sorted({*EPSILONS, own}):
        at = case if epsilon == own else case.under(epsilon)
        yield outlook_of(f"epsilon {epsilon:g}", at, is_planned=epsilon == own)
    if case.plan.unit.max_rows > 1:
        yield outlook_of("max_rows 1", case.of_single_rows())
    yield outlook_of(f"{MORE_ROWS} x the rows", case.of_rows(MORE_ROWS * case.n_rows))


def outlook_of(name: str, case: Case, *, is_planned: bool = False) -> BudgetOutlook:
    """Describes one case."""
    noise, models = case.noise_of(Stage.ENCODE, "histograms"), model_outlook(case)
    lost = sum(column.verdict == "likely lost" for column in column_outlooks(case))
    within = None if noise is None else NORMAL_95 * noise
    unit = case.plan.unit.max_rows
    shares = (
        (None,) * 6
        if models is None
        else (
            models.kept_low,
            models.kept_middle,
            models.kept_high,
            models.released_low,
            models.released_middle,
            models.released_high,
        )
    )
    return BudgetOutlook(name, case.plan.epsilon, unit, case.n_rows, is_planned, within, lost, *shares)
