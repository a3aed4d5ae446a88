"""Counts of one column's values: in bins of equal width, by category, and how many are null."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from threea_spark.arrays import BoolArray, Float64Array

ObjectArray = NDArray[np.object_]
Kind: TypeAlias = Literal["number", "time", "category"]

MAX_BINS = 24
MAX_CATEGORIES = 10
OTHERS = "all others"
OTHER = "other"
"""Stands for every value of an open column that was not found."""
_TAIL = 0.005
_MAX_WHOLE_RANGE = 2.0**40


@dataclass(frozen=True)
class Values:
    """One column on the driver.

    Attributes:
      name: The column's name.
      kind: number, time (as seconds since 1970, UTC) or category.
      cells: float64, shape (n,), where NaN and infinities count as null, for numbers and times; text, with None as
        null, for categories.
    """

    name: str
    kind: Kind
    cells: Float64Array | ObjectArray

    @property
    def null_share(self) -> float:
        """Share of the rows without a value; 0 if there are no rows."""
        return float(np.mean(~self.known)) if len(self.cells) else 0.0

    @property
    def known(self) -> BoolArray:
        """Which rows have a value, shape (n,)."""
        if self.kind == "category":
            return np.array([cell is not None for cell in self.cells], dtype=bool)
        return np.isfinite(self.cells.astype(np.float64))


@dataclass(frozen=True)
class Bins:
    """How the values of one column are grouped.

    Attributes:
      kind: The kind of the values.
      edges: Edges of equally wide bins, shape (k + 1,); values beyond count in the outer bins. Empty for categories.
      categories: The categories shown, most frequent first; empty for numbers and times.
      has_others: Whether rarer categories are counted together, after those shown.
      cut: Whether values may lie beyond the edges.
    """

    kind: Kind
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    has_others: bool = False
    cut: bool = False

    def shares(self, values: Values) -> Float64Array:
        """Returns each group's share of the values that are not null, shape (k,); zeros if all are null."""
        counts = self._category_counts(values) if self.kind == "category" else self._number_counts(values)
        return counts / max(float(counts.sum()), 1.0)

    def _number_counts(self, values: Values) -> Float64Array:
        known = values.cells[values.known].astype(np.float64)
        edges = np.array(self.edges)
        return np.histogram(np.clip(known, edges[0], edges[-1]), bins=edges)[0].astype(np.float64)

    def _category_counts(self, values: Values) -> Float64Array:
        index = {name: position for position, name in enumerate(self.categories)}
        counts = np.zeros(len(self.categories) + self.has_others)
        for name, count in _counted(values).items():
            if name in index or self.has_others:
                counts[index.get(name, len(self.categories))] += count
        return counts


def bins_of(samples: Sequence[Values]) -> Bins:
    """Groups one column's values so that all samples can be shown side by side.

    Args:
      samples: The same column in one or more tables. Bins depend on all of them: computed from released rows alone they
        are RELEASED, from real rows they are PRIVATE.
    """
    kind = samples[0].kind
    if kind == "category":
        return _category_bins(samples)
    known = np.concatenate([values.cells[values.known].astype(np.float64) for values in samples])
    if not len(known):
        return Bins(kind, edges=(0.0, 1.0))
    distinct = np.unique(known[:100_000])
    if len(distinct) == 1:
        return Bins(kind, edges=(float(distinct[0]) - 0.5, float(distinct[0]) + 0.5))
    low, high = np.quantile(known, [_TAIL, 1.0 - _TAIL])
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        low, high = known.min(), known.max()
    if kind == "number" and np.array_equal(distinct, np.rint(distinct)) and high - low < _MAX_WHOLE_RANGE:
        edges = _whole_edges(known, float(low), float(high))
    else:
        edges = np.linspace(low, high, MAX_BINS + 1)
    if not (np.all(np.isfinite(edges)) and np.all(np.diff(edges) > 0.0)):  # a range that float64 cannot subdivide
        return Bins(kind, edges=(float(low), float(np.nextafter(high, np.inf))), cut=True)
    return Bins(kind, edges=tuple(float(e) for e in edges), cut=bool(known.min() < edges[0] or known.max() > edges[-1]))


def _whole_edges(known: Float64Array, low: float, high: float) -> Float64Array:
    """Returns bins that each span equally many whole numbers, so that full and empty bars do not alternate."""
    if np.ptp(known) < MAX_BINS:
        low, high = known.min(), known.max()
    first, last = np.floor(low), np.ceil(high)
    width = np.ceil((last - first + 1.0) / MAX_BINS)
    return np.asarray(first - 0.5 + width * np.arange(np.ceil((last - first + 1.0) / width) + 1.0), dtype=np.float64)


def _category_bins(samples: Sequence[Values]) -> Bins:
    total: dict[str, float] = {}
    for values in samples:
        for name, count in _counted(values).items():
            total[name] = total.get(name, 0.0) + count / max(len(values.cells), 1)
    ordered = sorted(total, key=lambda name: (-total[name], name))
    if len(ordered) <= MAX_CATEGORIES:
        return Bins("category", categories=tuple(ordered))
    shown = [name for name in ordered if name != OTHER]  # it stands for others already: one row, not two
    return Bins("category", categories=tuple(shown[: MAX_CATEGORIES - 1]), has_others=True)


def _counted(values: Values) -> Counter[str]:
    return Counter(values.cells[values.known].tolist())
