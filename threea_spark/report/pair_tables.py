"""Tables of two columns: the share of each group of one among the rows of each group of the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.report.bins import OTHER, OTHERS, Values
from threea_spark.report.charts.heat_map import strongest
from threea_spark.report.spread import number_in_words

MAX_TABLES = 6
MIN_STRENGTH = 0.1
MAX_LEVELS = 7
_N_GROUPS = 6
NULL = "null"


@dataclass(frozen=True)
class Grouped:
    """One column in few groups.

    Attributes:
      name: The column's name.
      labels: What each group holds.
      group: Group of each row, shape (n,).
    """

    name: str
    labels: tuple[str, ...]
    group: Int64Array


@dataclass(frozen=True)
class Counted:
    """What is known of a table that was counted under the guarantee.

    Attributes:
      within: Noise moves the count of a cell by at most so many rows, 19 times of 20.
      apart: Share of the released rows that would have to move to another cell for both tables to be the same.
    """

    within: float
    apart: float


@dataclass(frozen=True)
class PairTable:
    """How one column depends on another, in groups.

    Attributes:
      given, name: The columns of the table's rows and of its columns.
      given_labels, labels: Their groups.
      shares: Share of each group of `name` among the rows of each group of `given`, shape (n_given, n); rows sum to 1.
      strength: Their association, in the released rows.
      counted: Of a table that the fit counted; None of one that was counted in the released rows.
    """

    given: str
    name: str
    given_labels: tuple[str, ...]
    labels: tuple[str, ...]
    shares: Float64Array
    strength: float
    counted: Counted | None = None


def strongest_tables(
    columns: Sequence[Values], names: Sequence[str], strengths: Float64Array, label: str | None
) -> list[PairTable]:
    """Tables of the pairs with the strongest associations: at most `MAX_TABLES`, each at least `MIN_STRENGTH`.

    Args:
      columns: Columns of one table of rows.
      names, strengths: Columns whose associations are known, and the associations, shape (k, k).
      label: The label is the column of its tables, so that they read as what the other column tells of it.
    """
    by_name = {values.name: values for values in columns}
    tables = []
    for pair in strongest(names, strengths, MAX_TABLES):
        if abs(pair.value) >= MIN_STRENGTH:
            given, name = (pair.right, pair.left) if pair.left == label else (pair.left, pair.right)
            tables.append(pair_table(grouped(by_name[given]), grouped(by_name[name]), pair.value))
    return tables


def pair_table(given: Grouped, of: Grouped, strength: float) -> PairTable:
    """Counts one column's groups among the rows of each of the other's; groups without rows are left out."""
    counts = joint_counts(given, of)
    held, seen = counts.sum(axis=1) > 0, counts.sum(axis=0) > 0
    counts = counts[held][:, seen]
    return PairTable(
        given.name,
        of.name,
        tuple(np.array(given.labels, dtype=object)[held]),
        tuple(np.array(of.labels, dtype=object)[seen]),
        counts / counts.sum(axis=1, keepdims=True),
        strength,
    )


def joint_counts(first: Grouped, second: Grouped) -> Float64Array:
    """Counts rows by both columns' groups, shape (groups of the first, groups of the second)."""
    shape = (len(first.labels), len(second.labels))
    flat = first.group * shape[1] + second.group
    return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)


def grouped(values: Values, like: Values | None = None) -> Grouped:
    """Puts a column into few groups: frequent categories and the rest, or numbers cut at quantiles; null has its own.

    Args:
      values: The column.
      like: Where the groups come from; the column itself if None.
    """
    known, basis = values.known, like if like is not None else values
    labels, group = _levels(values, basis) if values.kind == "category" else _cut(values, basis)
    found = np.full(len(known), len(labels), dtype=np.int64)
    found[known] = group
    return Grouped(values.name, (*labels, NULL), found)


def _levels(values: Values, basis: Values) -> tuple[tuple[str, ...], Int64Array]:
    names, counts = np.unique(basis.cells[basis.known].astype(str), return_counts=True)
    ordered = [str(names[place]) for place in np.lexsort((names, -counts)) if names[place] != OTHER]
    kept = ordered if len(names) <= MAX_LEVELS + 1 else ordered[:MAX_LEVELS]
    rest = OTHER if len(kept) == len(ordered) else OTHERS
    place = {name: number for number, name in enumerate(kept)}
    own = [place.get(str(cell), len(kept)) for cell in values.cells[values.known]]
    return (*kept, rest), np.array(own, dtype=np.int64)


def _cut(values: Values, basis: Values) -> tuple[tuple[str, ...], Int64Array]:
    numbers = np.sort(basis.cells[basis.known].astype(np.float64))
    own = values.cells[values.known].astype(np.float64)
    if not len(numbers):
        return ("any",), np.zeros(len(own), dtype=np.int64)
    places = np.arange(1, _N_GROUPS) * len(numbers) // _N_GROUPS
    edges = np.unique(numbers[places])
    edges = edges[edges > numbers[0]]
    ends = [numbers[0], *edges, numbers[-1]]
    span = float(ends[-1] - ends[0])
    texts = [number_in_words(float(end), values.kind, span) for end in ends]
    labels = tuple(f"{low} to {high}" if low != high else low for low, high in itertools.pairwise(texts))
    return labels, np.searchsorted(edges, own, side="right").astype(np.int64)
