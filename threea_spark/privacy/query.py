"""Questions to private rows, each with the bound on what one row can add to its answer.

The module that knows the mathematics of a sum builds its query: name, size, bound and contribution are one value, so
that none of them can be changed without the others. The meter (`privacy.meter`) is the only one who puts a query to
rows, and what it returns is noisy, booked, or both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from threea_spark.arrays import Int64Array
from threea_spark.errors import PrivacyError
from threea_spark.privacy.terms import Stage

R = TypeVar("R")
"""A batch of rows: an Arrow batch, packed rows, or what a sample was turned into."""
S = TypeVar("S")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True)
class RowBound:
    """A bound on what one row adds to a sum, whatever the row holds.

    Attributes:
      squared_norm: Bound on the squared L2 norm of its integer contribution, in grid units.
      moved: Bound on the coordinates to which it adds anything.
    """

    squared_norm: int
    moved: int

    def __post_init__(self) -> None:
        if self.squared_norm < 1 or self.moved < 1:
            raise PrivacyError(f"the bounds on a row's contribution must be positive integers, got {self}")

    @classmethod
    def count(cls, cells: int = 1) -> RowBound:
        """The bound of a row that adds one to each of at most `cells` counts."""
        return cls(cells, cells)


@dataclass(frozen=True, kw_only=True)
class Query:
    """What the meter needs to know to price a question.

    Attributes:
      stage: The stage that pays.
      name: Unique within the stage; a second use is refused, since two sums under one noise differ exactly.
      bound: On the contribution of one row.
      size: Number of coordinates of the answer; None if it is not known beforehand.
    """

    stage: Stage
    name: str
    bound: RowBound
    size: int | None


@dataclass(frozen=True, kw_only=True)
class SumQuery(Query, Generic[R]):
    """A sum over all rows.

    Attributes:
      size: Length of the sum.
      contribution: Returns the exact sum over one batch, int64, shape (size,). Runs on executors.
    """

    size: int
    contribution: Callable[[R], Int64Array]

    def over(self, view: Callable[[S], R]) -> SumQuery[S]:
        """The same sum over rows in another form, which `view` turns into this one's, row by row."""
        own = self.contribution
        return SumQuery(
            stage=self.stage,
            name=self.name,
            bound=self.bound,
            size=self.size,
            contribution=lambda rows: own(view(rows)),
        )


@dataclass(frozen=True, kw_only=True)
class GroupQuery(Query, Generic[R]):
    """The sum of every group of rows; which group a row falls into depends on the row and its secret token alone.

    Attributes:
      n_groups, length: Number of groups, and length of each group's sum.
      groups_of: Returns the group of each row of a batch, shape (n,).
      sums_of: Takes a batch, its rows' groups, and a range of groups (first, number); returns the exact sums of the
        range, int64, shape (number, length).
    """

    n_groups: int
    length: int
    groups_of: Callable[[R], Int64Array]
    sums_of: Callable[[R, Int64Array, int, int], Int64Array]


@dataclass(frozen=True, kw_only=True)
class ValueQuery(Query):
    """Which values of a column may leave, by partition selection on their noisy counts.

    Attributes:
      column: Canonical name of the column.
      min_units: A value that fewer units hold is not selected, at least 2.
      n_columns: Number of columns that share the plan's delta of selection.
      max_values: Most values to keep, the most frequent ones.
    """

    column: str
    min_units: int
    n_columns: int
    max_values: int


class Summable(Protocol[R]):
    """Rows that can be summed."""

    def sums(self, queries: Sequence[SumQuery[R]]) -> list[Int64Array]:
        """Returns the exact sums of several queries, all in one pass. PRIVATE."""
        ...


class Samplable(Protocol[R_co]):
    """Rows of which a Poisson sample of units can be brought to the driver."""

    def sample(self, rate: float) -> R_co:
        """Returns the rows of units that are drawn independently, each with probability `rate`. PRIVATE."""
        ...


class ValueRows(Protocol):
    """Rows whose values can be counted column by column."""

    def passing_values(self, column: str, passes: Callable[[str, int], int | None]) -> list[tuple[str, int]]:
        """Returns the values for which `passes(value, exact count)` returns a noisy count, with that count."""
        ...

    def frequent_values(self, column: str, most: int, *, above: int) -> list[str]:
        """Returns the most frequent values among those of more than `above` rows, exactly. PRIVATE."""
        ...


class HeldRows(Generic[R]):
    """Rows on the driver that only sums can read. PRIVATE."""

    def __init__(self, rows: R) -> None:
        self._rows = rows

    def seen_as(self, view: Callable[[R], S]) -> HeldRows[S]:
        """Turns the rows into another form, row by row; nothing is read off them."""
        return HeldRows(view(self._rows))

    def sums(self, queries: Sequence[SumQuery[R]]) -> list[Int64Array]:
        """Returns the exact sums of several queries. PRIVATE."""
        return [query.contribution(self._rows) for query in queries]

    def exposed(self) -> R:
        """Returns the rows themselves: for `PrivacyMeter.expose`, which books it. PRIVATE."""
        return self._rows
