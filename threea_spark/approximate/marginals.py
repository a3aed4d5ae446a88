"""Cell counts of each component: what a component knows of every column.

A row adds one to its component's size and one to one cell of each feature: squared norm 1 + n_features, always.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.approximate.mixture import Mixture
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.cell_layout import CellLayout
from threea_spark.encode.codec import Encoding
from threea_spark.engine.packed import PackedRows
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

_MIN_PROBABILITY_ROWS = 1e-6
_FAINT = 0.25  # of a count below one standard deviation


def row_bound(n_features: int) -> RowBound:
    """A row counts once in its component's size, and once in a cell of each feature."""
    return RowBound.count(1 + n_features)


def marginals_query(encoding: Encoding, mixture: Mixture, stage: Stage, name: str) -> SumQuery[PackedRows]:
    """The sizes and cell counts of every component, as `cell_counts` counts them."""
    k, n_cells = mixture.n_components, encoding.n_cells

    def contribution(rows: PackedRows) -> Int64Array:
        component = mixture.component_of(rows)
        return cell_counts(encoding.cells(rows.packed), component, k, n_cells)

    bound = row_bound(len(encoding.features))
    return SumQuery(stage=stage, name=name, bound=bound, size=k * (1 + n_cells), contribution=contribution)


def cell_counts(cells: Int64Array, component: Int64Array, n_components: int, n_cells: int) -> Int64Array:
    """Counts a batch by component and cell.

    Args:
      cells: Cell of each feature, counted through all features, shape (n, n_features). PRIVATE.
      component: Shape (n,). PRIVATE.
      n_components, n_cells: How many components and cells there are.

    Returns:
      Exact counts, shape (n_components * (1 + n_cells),): sizes first, then cells. PRIVATE.
    """
    sizes = np.bincount(component, minlength=n_components)
    flat = (cells.T + component * n_cells).ravel()  # column after column, as they lie in memory
    counts = np.bincount(flat, minlength=n_components * n_cells)
    return np.concatenate([sizes, counts]).astype(np.int64)


@dataclass(frozen=True)
class Marginals:
    """Noisy sizes and cell counts of all components. RELEASED.

    Attributes:
      sizes: Pooled noisy rows of each component, at least one standard deviation, shape (k,).
      counts: Noisy cell counts, shape (k, n_cells).
      stddev: Standard deviation of the noise on each count.
    """

    sizes: Float64Array
    counts: Float64Array
    stddev: float

    @property
    def n_components(self) -> int:
        """How many components there are."""
        return len(self.sizes)

    @property
    def weights(self) -> Float64Array:
        """Share of each component, shape (k,), sums to 1."""
        return np.asarray(self.sizes / self.sizes.sum(), dtype=np.float64)

    def probabilities(self, layout: CellLayout, *, shrinks_faint: bool = True) -> Float64Array:
        """Turns counts into probabilities of each feature's cells, shape (k, n_cells).

        Args:
          layout: Where each feature's cells lie.
          shrinks_faint: Whether counts below one standard deviation are held down. Distributions are nearer then, but
            where most counts are as faint, what a column says about the classes is lost.
        """
        faint = _FAINT if shrinks_faint else 1.0
        held = np.where(self.counts > self.stddev, self.counts, faint * np.maximum(self.counts, 0.0))
        held = held + _MIN_PROBABILITY_ROWS
        return layout.normalise(held)


def marginals_of(noisy: Float64Array, stddev: float, n_components: int, layout: CellLayout) -> Marginals:
    """Reads a noisy sum of `cell_counts`.

    A component's size is read once by itself and once by each feature; all are pooled by inverse variance.

    Args:
      noisy: Shape (k * (1 + n_cells),). RELEASED.
      stddev: Standard deviation of its noise.
      n_components: k.
      layout: Where each feature's cells lie.
    """
    sizes = noisy[:n_components]
    counts = noisy[n_components:].reshape(n_components, -1)
    if layout.n_features:
        readings = np.column_stack([sizes, layout.totals(counts)])
        weight = np.concatenate([[1.0], 1.0 / np.array(layout.sizes)])
        sizes = readings @ weight / weight.sum()
    return Marginals(np.maximum(sizes, max(stddev, 1.0)), counts, stddev)


def pooled(first: Marginals, second: Marginals | None) -> Marginals:
    """Averages two readings of the same marginals by inverse variance."""
    if second is None:
        return first
    own, other = first.stddev**-2, second.stddev**-2
    weight = own / (own + other)
    return Marginals(
        sizes=weight * first.sizes + (1.0 - weight) * second.sizes,
        counts=weight * first.counts + (1.0 - weight) * second.counts,
        stddev=float((own + other) ** -0.5),
    )
