"""Columns that are null together, or of which exactly one is not: read by one mark, and drawn by one mark.

Of columns that are null together the first one's null counts for all. Of columns of which exactly one holds a value, a
coded category says which; in a row of the source it is the first that holds one. A value that is missing against the
rule counts as the middle of the bounds, or as the first listed value. Drawn rows take the null mark cell by cell,
before they are labelled: a cell of null that may not be null is never drawn, or drawn again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from threea_spark.arrays import BoolArray, Float64Array, Int64Array
from threea_spark.config.coded import CodedNames, not_coded
from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.config.row_rules import ExactlyOneRule, TogetherRule
from threea_spark.encode.between.written import arrow_numbers, filled
from threea_spark.encode.cells import numbers_of

if TYPE_CHECKING:
    from threea_spark.encode.codec import Encoding

_UNLISTED = "other"  # of an open column: what its last value counts for
_TINY = 1e-12


@dataclass(frozen=True)
class NullGroup:
    """One rule `together` or `exactly_one`.

    Attributes:
      names: Columns of the rule, as rows of the source hold them.
      columns: As the domain declares them.
      coded: Coded columns that take their null from the mark; of `together` without the first.
      mark: Coded column that says which are null: the first of `together`, the choice of `exactly_one`.
      chooses: Whether exactly one holds a value.
    """

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    coded: tuple[str, ...]
    mark: str
    chooses: bool

    def bind(self, cells: dict[str, pa.Array]) -> None:
        """Makes the nulls of a batch keep the rule. PRIVATE."""
        null = np.stack([is_null(cells[name], column) for name, column in zip(self.names, self.columns, strict=True)])
        if self.chooses:
            chosen = (~null).argmax(axis=0)  # the first; the first of all where none is
            wanted = chosen != np.arange(len(self.names))[:, None]
            cells[self.mark] = pa.array(self.names, pa.string()).take(pa.array(chosen, pa.int64()))
        else:
            wanted = np.broadcast_to(null[0], null.shape)
        for name, column, own, is_so in zip(self.names, self.columns, wanted, null, strict=True):
            cells[name] = _with_nulls(cells[name], column, own, is_so)


def null_groups(domain: Domain) -> tuple[NullGroup, ...]:
    """The groups of a domain, in the order of its rules."""
    names, dropped = CodedNames.of(domain), not_coded(domain)

    def coded(held: Sequence[str]) -> tuple[str, ...]:
        return tuple(names.duration.get(name, name) for name in held if name not in dropped)

    def group(held: tuple[str, ...], mark: str, members: tuple[str, ...], *, chooses: bool) -> NullGroup:
        return NullGroup(held, tuple(domain.columns[name] for name in held), members, mark, chooses)

    found = []
    for rule in domain.rules:
        if isinstance(rule, TogetherRule):
            mark, *members = coded(rule.together)
            found.append(group(rule.together, mark, tuple(members), chooses=False))
        elif isinstance(rule, ExactlyOneRule):
            own = rule.exactly_one
            found.append(group(own, names.choice[own[0]], coded(own), chooses=True))
    return tuple(found)


def is_null(cells: pa.Array, column: Column) -> BoolArray:
    """Which cells count as null: a listed category also where its value is not listed, shape (n,). PRIVATE."""
    if not column.is_categorical:
        return np.isnan(numbers_of(cells))
    null = cells.is_null()
    if not column.is_open:
        null = pc.invert(pc.is_in(cells, value_set=pa.array(column.values, type=cells.type), skip_nulls=True))
    return np.asarray(null.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _with_nulls(cells: pa.Array, column: Column, wanted: BoolArray, null: BoolArray) -> pa.Array:
    """The same cells, null where wanted and only there. PRIVATE."""
    if not column.is_categorical:
        return arrow_numbers(np.where(wanted, np.nan, filled(numbers_of(cells), column)))
    first = _UNLISTED if column.is_open else column.values[0]
    kept = pc.if_else(pa.array(null), pa.scalar(first, cells.type), cells)
    return pc.if_else(pa.array(wanted), pa.scalar(None, cells.type), kept)


@dataclass(frozen=True)
class CellGroup:
    """A null group in the cells of an encoding.

    Attributes:
      mark: Place of the feature that marks.
      members: Places of the features of each coded column that takes its null from it.
      chooses: As in NullGroup.
    """

    mark: int
    members: tuple[tuple[int, ...], ...]
    chooses: bool

    @property
    def bound(self) -> tuple[int, ...]:
        """Features whose null is the mark's."""
        return tuple(place for own in self.members for place in own)


def cell_groups(groups: Sequence[NullGroup], places: Mapping[str, tuple[int, ...]]) -> tuple[CellGroup, ...]:
    """Finds the features of groups.

    Args:
      groups: Of the domain.
      places: Features of each coded column.
    """
    return tuple(
        CellGroup(
            places[group.mark][0],
            tuple(places[name] for name in group.coded) + (() if group.chooses else _rest(places[group.mark])),
            group.chooses,
        )
        for group in groups
    )


def _rest(places: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Parts of a timestamp that is itself the mark are null with it."""
    return (places[1:],) if len(places) > 1 else ()


def laws_without_nulls(laws: Float64Array, encoding: Encoding, groups: Sequence[CellGroup]) -> Float64Array:
    """Probabilities of cells, given that nothing is null whose null is marked elsewhere; shape (k, n_cells)."""
    kept = laws.copy()
    for place in (place for group in groups for place in group.bound):
        own, null = encoding.cell_layout.of(place), encoding.features[place].null_cell
        if null is not None:
            kept[:, own] += _TINY
            kept[:, own.start + null] = 0.0
    return encoding.cell_layout.normalise(kept)


def with_marked_nulls(
    cells: Int64Array, encoding: Encoding, groups: Sequence[CellGroup], rng: np.random.Generator
) -> Int64Array:
    """Makes the nulls of drawn rows keep the rules, shape (n, n_features), counted through all features.

    A cell of null that may not be null is drawn again from the whole column. RELEASED.
    """
    kept, starts = cells.copy(order="K"), encoding.cell_layout.offsets[:-1]
    for group in groups:
        mark = kept[:, group.mark] - starts[group.mark]
        is_null = mark == encoding.features[group.mark].null_cell
        for number, member in enumerate(group.members):
            wanted = mark != number if group.chooses else is_null
            for place in member:
                null = encoding.features[place].null_cell
                if null is None:
                    raise ValueError("a column that may be null by a rule has a cell of null")  # the domain says so
                wrong = np.flatnonzero(~wanted & (kept[:, place] - starts[place] == null))
                kept[wrong, place] = starts[place] + _drawn_again(encoding, place, null, len(wrong), rng)
                kept[wanted, place] = starts[place] + null
    return kept


def _drawn_again(encoding: Encoding, place: int, null: int, n_rows: int, rng: np.random.Generator) -> Int64Array:
    mass = np.zeros(encoding.features[place].n_cells)
    known = np.maximum(encoding.features[place].cell_mass, 0.0) + _TINY
    mass[: len(known)] = known
    mass[null] = 0.0
    return np.asarray(rng.choice(len(mass), n_rows, p=mass / mass.sum()), dtype=np.int64)
