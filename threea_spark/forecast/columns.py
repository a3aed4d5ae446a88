"""What is left of each column by itself: the noise on a count against the rows of a value of mean size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from threea_spark.encode.categories import LEVEL_STDDEVS, CategoryField
from threea_spark.encode.fit import value_query
from threea_spark.encode.moments import MomentField
from threea_spark.encode.outline import expected_reader
from threea_spark.encode.quantiles import QuantileField
from threea_spark.encode.rules import CELL_STDDEVS, LABEL_CELLS, default_cells
from threea_spark.forecast.case import Case
from threea_spark.privacy.gaussian import NORMAL_95
from threea_spark.privacy.selection import threshold
from threea_spark.privacy.terms import Stage

Verdict: TypeAlias = Literal["kept", "coarse", "likely lost"]
KEPT_NOISES = 10.0
"""Standard deviations that a listed value of mean size holds at least; it is then right within a fifth."""
KEPT_CELLS, COARSE_CELLS = 16, 4
"""Cells of a number from which its distribution is kept, or coarse."""
KEPT_NAME_SHARE, COARSE_NAME_SHARE = 0.01, 0.1
"""Shares of all rows that a name of an open category must hold at most to be found, where it is kept or coarse."""
MEAN_NOISES = 16.0
"""Standard deviations of the noise on a moment that the rows hold at least, where only mean and spread are measured."""


@dataclass(frozen=True)
class ColumnOutlook:
    """One column, or a part of a timestamp, by itself.

    Attributes:
      column: Its name; of a part, the timestamp's and the part's.
      kind: What it is.
      values: Listed values with the one of null, expected cells of a number, names that an open category may keep at
        most, or 2 where a number is its mean and spread.
      typical_rows: Rows of a value or cell of mean size.
      within_rows: A count is right within so many rows, 19 times of 20.
      merged_below: Values, cells or names of fewer rows are merged with others.
      verdict: What is left of it by the rule of its kind; see `threea_spark.forecast.columns`.
    """

    column: str
    kind: Literal["number", "time", "listed values", "part of a time", "open names", "mean and spread"]
    values: int
    typical_rows: float
    within_rows: float
    merged_below: float
    verdict: Verdict


def column_outlooks(case: Case) -> tuple[ColumnOutlook, ...]:
    """Describes all columns that are counted, the label last; none where they are read without noise."""
    noise = case.noise_of(Stage.ENCODE, "histograms")
    return () if noise is None else tuple(_outlooks(case, noise))


def _outlooks(case: Case, noise: float) -> Iterator[ColumnOutlook]:
    reader, domain = expected_reader(case.config), case.config.domain
    for place, column in enumerate(reader.columns):
        is_label = reader.has_label and place == len(reader.columns) - 1
        for number, field in enumerate(column.fields):
            if field.is_category and field.catch_all and column.name in domain.open_columns:
                yield _open(case, column.name, noise)
            elif field.is_category:
                yield _listed(case, column.name, field, noise, is_part=number > 0)
            elif field.has_leaves:
                yield _number(case, field, noise, most=LABEL_CELLS if is_label else default_cells(case.config))
            else:
                yield _moments(case, field, noise)


def _listed(case: Case, name: str, field: CategoryField, noise: float, *, is_part: bool) -> ColumnOutlook:
    typical = case.n_rows / field.n_nodes
    return ColumnOutlook(
        f"{name} ({field.name})" if is_part else name,
        "part of a time" if is_part else "listed values",
        field.n_nodes,
        typical,
        NORMAL_95 * noise,
        LEVEL_STDDEVS * noise,
        _graded(typical / noise, KEPT_NOISES, LEVEL_STDDEVS),
    )


def _number(case: Case, field: QuantileField, noise: float, *, most: int) -> ColumnOutlook:
    """Cells hold at least CELL_STDDEVS of noise each, and no more than the values that the bounds allow."""
    possible = min(most, field.grid.n_leaves)
    cells = max(1, int(min(possible, case.n_rows / (CELL_STDDEVS * noise))))
    return ColumnOutlook(
        field.name,
        "time" if field.kind == "timestamp" else "number",
        cells,
        case.n_rows / cells,
        NORMAL_95 * noise,
        CELL_STDDEVS * noise,
        _graded(cells, min(KEPT_CELLS, possible), min(COARSE_CELLS, possible)),
    )


def _moments(case: Case, field: MomentField, noise: float) -> ColumnOutlook:
    verdict: Verdict = "coarse" if case.n_rows >= MEAN_NOISES * noise else "likely lost"
    return ColumnOutlook(field.name, "mean and spread", 2, case.n_rows, NORMAL_95 * noise, 0.0, verdict)


def _open(case: Case, name: str, noise: float) -> ColumnOutlook:
    """A name is found where its noisy count reaches the threshold of selection, which its rows do half of the time."""
    most = case.config.domain.open_columns[name].max_values
    needed = least_rows(case, name)
    names = int(min(most, case.n_rows / needed))
    verdict = _graded(case.n_rows / needed, 1.0 / KEPT_NAME_SHARE, 1.0 / COARSE_NAME_SHARE)
    return ColumnOutlook(name, "open names", names, case.n_rows / max(names, 1), NORMAL_95 * noise, needed, verdict)


def least_rows(case: Case, name: str) -> float:
    """The noisy count from which a name of an open column is found, in rows."""
    plan, query = case.plan, value_query(name, case.config.domain)
    return threshold(
        case.noise_of(Stage.ENCODE, query.name) or 0.0,
        max_rows=plan.unit.max_rows,
        distance=plan.relation.distance,
        n_columns=query.n_columns,
        delta=plan.delta_selection,
        min_units=query.min_units,
    )


def _graded(found: float, kept: float, coarse: float) -> Verdict:
    if found >= kept:
        return "kept"
    return "coarse" if found >= coarse else "likely lost"
