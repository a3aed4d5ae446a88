"""Shapes of columns and tables of pairs, released against real, as scores between 0 and 1. INTERNAL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.report.bins import Values
from threea_spark.report.pair_tables import Grouped, grouped, joint_counts

MAX_ROWS = 10_000


@dataclass(frozen=True)
class Score:
    """One minus the total variation between two tables: 1 where they are equal, 0 where they have nothing in common.

    Attributes:
      released: Of released rows, from the real ones.
      held_out: Of equally many held-out real rows, from the same real ones: what two samples of one table reach. None
        where no rows were held out.
    """

    released: float
    held_out: float | None


@dataclass(frozen=True)
class Fidelity:
    """Scores of a release. INTERNAL.

    Attributes:
      n_rows: Number of rows of each kind that were compared.
      shapes: By column.
      pairs: By pair of columns.
    """

    n_rows: int
    shapes: dict[str, Score]
    pairs: dict[tuple[str, str], Score]

    @property
    def columns_overall(self) -> Score:
        """The mean over columns."""
        return _mean(list(self.shapes.values()))

    @property
    def pairs_overall(self) -> Score:
        """The mean over pairs."""
        return _mean(list(self.pairs.values()))

    @property
    def overall(self) -> Score:
        """The mean of both means, or that of the columns where there are no pairs."""
        return _mean([self.columns_overall, *([self.pairs_overall] if self.pairs else [])])


def fidelity_of(
    released: Sequence[Values], real: Sequence[Values], held_out: Sequence[Values], paired: Sequence[str]
) -> Fidelity:
    """Scores columns, and pairs of some of them.

    Args:
      released, real, held_out: The same columns in the same order; equally many rows are drawn of each. PRIVATE.
      paired: Columns whose pairs are scored.
    """
    sizes = [len(own[0].cells) if own else 0 for own in (released, real, held_out)]
    n_rows = min(MAX_ROWS, *(size for size in (sizes if sizes[2] else sizes[:2])))
    kinds = [_drawn(own, n_rows) for own in (released, real, held_out) if own and len(own[0].cells)]
    if len(kinds) < 2 or not n_rows:
        return Fidelity(0, {}, {})
    groups = [{values.name: grouped(values, like) for values, like in zip(own, kinds[1], strict=True)} for own in kinds]
    names = [values.name for values in released]
    shapes = {name: _score([_shares(own[name]) for own in groups]) for name in names}
    kept = [name for name in names if name in set(paired)]
    pairs = {
        (first, second): _score([joint_counts(own[first], own[second]) / n_rows for own in groups])
        for place, second in enumerate(kept)
        for first in kept[:place]
    }
    return Fidelity(n_rows, shapes, pairs)


def _shares(own: Grouped) -> Float64Array:
    return np.bincount(own.group, minlength=len(own.labels)) / max(len(own.group), 1)


def _score(tables: Sequence[Float64Array]) -> Score:
    """Scores released rows, and held-out ones if there are any; the real rows come second."""
    released, real, *held_out = tables
    return Score(_near(released, real), _near(held_out[0], real) if held_out else None)


def _near(first: Float64Array, second: Float64Array) -> float:
    return 1.0 - 0.5 * float(np.abs(first - second).sum())


def _drawn(columns: Sequence[Values], n_rows: int) -> list[Values]:
    rows = np.random.default_rng(0).choice(len(columns[0].cells), n_rows, replace=False)
    return [Values(values.name, values.kind, values.cells[rows]) for values in columns]


def _mean(scores: Sequence[Score]) -> Score:
    if not scores:
        return Score(1.0, None)
    known = [score.held_out for score in scores if score.held_out is not None]
    return Score(float(np.mean([score.released for score in scores])), float(np.mean(known)) if known else None)
