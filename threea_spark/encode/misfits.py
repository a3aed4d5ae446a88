"""Counts of the rows that a column's declaration does not fit: unlisted values, nulls, numbers beyond a bound.

Such rows are read by fixed rules (`encode.cells`), which hides them. Here a row adds one for each column whose
declaration it does not fit, so its squared norm is at most the number of columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
from scipy.special import ndtri

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.domain import Domain
from threea_spark.encode.cells import levels_of, numbers_of
from threea_spark.engine.packed import column_name
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

Kind: TypeAlias = Literal["not listed", "null", "below", "above"]

CHANCE = 1e-3
"""Probability at most that noise alone makes any count of a table stand out."""
WORTH_A_WORD = 0.005
"""Share of the rows from which it is worth telling that something is wrong with them."""
_MOST_WORDS = 20
_UNKNOWN, _NULL = -1, -2


@dataclass(frozen=True)
class ColumnReading:
    """What can be wrong with a column, and where it is read.

    Attributes:
      name: The column's name.
      source: The canonical column.
      kinds: The counts of the column, in order; a row adds to one of them at most.
      values: Listed values; empty for open columns and numbers.
      lower, upper: Bounds of a number, or of the seconds of a time.
    """

    name: str
    source: str
    kinds: tuple[Kind, ...]
    values: tuple[str, ...] = ()
    lower: float = -np.inf
    upper: float = np.inf

    def counts(self, cells: pa.Array) -> Int64Array:
        """Exact counts of one batch, shape (n_kinds,). PRIVATE."""
        found: dict[Kind, int] = {}
        if "below" in self.kinds or "above" in self.kinds:
            numbers = numbers_of(cells)
            found["below"], found["above"] = int((numbers < self.lower).sum()), int((numbers > self.upper).sum())
            found["null"] = int(np.isnan(numbers).sum())
        elif "not listed" in self.kinds:
            levels = levels_of(cells, self.values, unknown=_UNKNOWN, null=_NULL)
            found["not listed"], found["null"] = int((levels == _UNKNOWN).sum()), int((levels == _NULL).sum())
        else:
            found["null"] = int(cells.null_count)
        return np.array([found[kind] for kind in self.kinds], dtype=np.int64)


@dataclass(frozen=True)
class Misfit:
    """A share of a column's rows that its declaration does not fit. RELEASED.

    Attributes:
      column: The column's name.
      kind: What is wrong.
      share: DP share of all rows, in [0, 1].
      stderr: Standard error of the share.
      stands_out: Whether noise hardly explains it, and it is worth a word.
    """

    column: str
    kind: Kind
    share: float
    stderr: float
    stands_out: bool

    def in_words(self, *, is_found: bool = False) -> str:
        """States the share, with its likely cause and what helps; `is_found`: whether the bound was found under DP."""
        what, helps = _WORDS[self.kind]
        if is_found and self.kind in ("below", "above"):
            helps = "that bound was found from noisy counts; declare it if it is known"
        return f"{percent(self.share)} of {self.column!r} {what}: {helps}"


_WORDS: dict[Kind, tuple[str, str]] = {
    "not listed": ("is none of the listed values", "check case, blanks and type, or list what is missing"),
    "null": ("is null, which the domain rules out", "set nullable: true, or fill it in the table"),
    "below": ("lies below its lower bound and counts as the bound", "check its unit, or lower the bound"),
    "above": ("lies above its upper bound and counts as the bound", "check its unit, or raise the bound"),
}


@dataclass(frozen=True)
class MisfitLayout:
    """Where each column's counts lie in the noisy sum.

    Attributes:
      columns: Those that something can be wrong with.
      counts_rows: Whether the sum begins with the number of all rows, where nothing else tells it.
    """

    columns: tuple[ColumnReading, ...]
    counts_rows: bool = False

    @property
    def size(self) -> int:
        """Coordinates of the sum."""
        return int(self.counts_rows) + sum(len(column.kinds) for column in self.columns)

    @property
    def bound(self) -> RowBound:
        """One for each column, and one for the row itself where rows are counted."""
        return RowBound.count(int(self.counts_rows) + len(self.columns))

    def query(self) -> SumQuery[pa.RecordBatch]:
        """The counts of all columns, as one sum."""
        columns, counts_rows = self.columns, self.counts_rows

        def contribution(batch: pa.RecordBatch) -> Int64Array:
            own = [np.array([batch.num_rows])] if counts_rows else []
            parts = [*own, *(column.counts(batch.column(column.source)) for column in columns)]
            return np.concatenate([np.zeros(0, dtype=np.int64), *parts]).astype(np.int64)

        return SumQuery(stage=Stage.ENCODE, name="misfits", bound=self.bound, size=self.size, contribution=contribution)

    def rows_in(self, noisy: Float64Array) -> float:
        """The number of rows, where the sum counts it."""
        return max(1.0, float(noisy[0]))

    def misfits(self, noisy: Float64Array, stddev: float, n_rows: float) -> tuple[Misfit, ...]:
        """Turns the noisy sum into shares, column after column.

        Args:
          noisy: Shape (size,). RELEASED.
          stddev: Standard deviation of the noise on each count.
          n_rows: DP number of rows, positive.
        """
        counts = iter(noisy[int(self.counts_rows) :].tolist())
        least = max(stands_out(self.size) * stddev / n_rows, WORTH_A_WORD)
        return tuple(
            Misfit(column.name, kind, min(max(share, 0.0), 1.0), stddev / n_rows, share >= least)
            for column in self.columns
            for kind, share in ((kind, next(counts) / n_rows) for kind in column.kinds)
        )


def misfit_layout(domain: Domain, *, counts_rows: bool = False) -> MisfitLayout:
    """Lists what can be wrong with each column of a domain.

    Args:
      domain: The table's domain; a bound that is to be found cannot be missed.
      counts_rows: As in `MisfitLayout`.
    """
    columns = []
    for place, (name, column) in enumerate(domain.columns.items()):
        if name in domain.keys:
            continue
        null: tuple[Kind, ...] = () if column.nullable else ("null",)
        if not column.is_categorical:
            low, high = column.lower_number, column.upper_number
            below: tuple[Kind, ...] = ("below",) if np.isfinite(low) else ()
            above: tuple[Kind, ...] = ("above",) if np.isfinite(high) else ()
            columns.append(ColumnReading(name, column_name(place), (*below, *above, *null), (), low, high))
        elif not column.is_open:
            listed = tuple(column.values)
            columns.append(ColumnReading(name, column_name(place), ("not listed", *null), listed))
        else:
            columns.append(ColumnReading(name, column_name(place), null))
    return MisfitLayout(tuple(column for column in columns if column.kinds), counts_rows)


def stands_out(n_counts: int) -> float:
    """Standard deviations that none of so many counts of noise exceeds, but with a probability of CHANCE."""
    return float(-ndtri(CHANCE / max(n_counts, 1)))


def words_of(misfits: Sequence[Misfit], found: Sequence[str] = ()) -> list[str]:
    """What stands out, in words, the largest shares where they are many.

    Args:
      misfits: Of all columns.
      found: Columns whose bounds were found under DP.
    """
    told = sorted((own for own in misfits if own.stands_out), key=lambda own: -own.share)
    lines = [own.in_words(is_found=own.column in found) for own in told[:_MOST_WORDS]]
    more = len(told) - _MOST_WORDS
    return [*lines, f"the domain does not fit {more} more columns: see the receipt's domain_fit"] if more > 0 else lines


def percent(share: float) -> str:
    """Formats a share: to one digit after the point where it is small."""
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
