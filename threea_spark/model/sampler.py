"""The `sample` generator: rows drawn from the released mixture, labelled by the label function.

Everything here is post-processing of RELEASED numbers: drawing costs nothing and may be repeated without limit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.between.links import CellLink, restricted
from threea_spark.encode.cell_layout import CellLayout
from threea_spark.encode.cells import Decoded
from threea_spark.encode.codec import Encoding
from threea_spark.encode.noisy_tables import CellCounts
from threea_spark.model.drawn_label import DrawnLabel
from threea_spark.model.labels import LabelFunction, NumberLabels

_FARTHEST = 32.0  # a normal number of float64 lies within 9 or so
_APART = 4.0 * _FARTHEST  # the components' scores side by side


@dataclass(frozen=True)
class RowSampler:
    """The distribution that rows are drawn from.

    Attributes:
      weights: Share of each component, shape (k,), sums to 1.
      class_of: Class of each component, shape (k,); -1 where a component holds all classes.
      laws: Probabilities of each feature's cells in each component, shape (k, n_cells).
      orders: Cells of each feature in the order of its latent score.
      factor: Cholesky factor of the correlations of the latent scores, shape (n_features, n_features).
      labels: Labels the rows; None keeps the component's class.
      class_probabilities: Probabilities of the classes in each component, shape (k, n_classes), where components hold
        all classes and no function labels the rows; None where each has a class of its own.
      sequence: Where there are several labels, those with a function, in order: each is drawn anew for every row.
    """

    weights: Float64Array
    class_of: Int64Array
    laws: Float64Array
    orders: tuple[Int64Array, ...]
    factor: Float64Array
    labels: LabelFunction | NumberLabels | None
    class_probabilities: Float64Array | None = None
    sequence: tuple[DrawnLabel, ...] | None = None

    @property
    def is_independent(self) -> bool:
        """Whether columns are independent inside a component."""
        return bool(np.array_equal(self.factor, np.eye(len(self.orders))))

    def draw_cells(self, encoding: Encoding, n_rows: int, rng: np.random.Generator) -> tuple[Int64Array, Int64Array]:
        """Draws the cells and the class of each row, shapes (n, n_features) and (n,).

        Labels with a function of their own are drawn last, each given the row as it then is.
        """
        cells, classes = self._draw_once(encoding, n_rows, rng)
        for label in self.sequence or ():
            cells, classes = label.redrawn(cells, classes, rng.random(n_rows))
        return cells, classes

    def with_label(self, label: DrawnLabel) -> RowSampler:
        """Draws this label as well, after those that are drawn already."""
        return replace(self, sequence=(*(self.sequence or ()), label))

    def drawn_label(self, name: str) -> DrawnLabel | None:
        """The label of this name, if there are several labels and it has a function."""
        return next((label for label in self.sequence or () if label.name == name), None)

    def _draw_once(self, encoding: Encoding, n_rows: int, rng: np.random.Generator) -> tuple[Int64Array, Int64Array]:
        """Draws the cells and the class of each row from the components.

        A latent normal vector binds the columns: its j-th entry's rank picks the cell of column j in the component's
        own distribution. Source: Gaussian copula, Nelsen 2006, An Introduction to Copulas, section 2.9.
        """
        laws = encoding.drawn_laws(self.laws)
        component = rng.choice(len(self.weights), n_rows, p=self.weights)
        n_features = len(self.orders)
        latent = rng.standard_normal((n_rows, n_features)) @ self.factor.T
        cells = np.empty((n_rows, n_features), dtype=np.int64)
        for column, order in enumerate(self.orders):
            own = encoding.cell_layout.of(column)
            cells[:, column] = own.start + order[_pick(laws[:, own][:, order], component, latent[:, column])]
        for link in encoding.links:
            _redraw(link, encoding.cell_layout, laws, self.orders, cells, component, latent)
        cells = encoding.keep_nulls(cells, rng)
        if self.labels is not None:
            return cells, self.labels.draw(cells, rng.random(n_rows))
        if self.class_probabilities is not None:
            edges = np.cumsum(self.class_probabilities, axis=1)[component, :-1]
            return cells, np.asarray((rng.random(n_rows)[:, None] > edges).sum(axis=1), dtype=np.int64)
        return cells, np.maximum(self.class_of[component], 0)


@dataclass(frozen=True)
class Drawn:
    """The outcome of a recipe that draws: a distribution of rows. RELEASED.

    Attributes:
      encoding: The table's codes, as far as the sampler draws them.
      sampler: Draws rows.
      tables: Noisy tables of cells that it was made of.
    """

    encoding: Encoding
    sampler: RowSampler
    tables: tuple[CellCounts, ...] = ()


def draw_rows(
    sampler: RowSampler, encoding: Encoding, label: str | None, n_rows: int, rng: np.random.Generator
) -> dict[str, Decoded]:
    """Draws rows as columns by name.

    Args:
      sampler, encoding, label: The model's parts.
      n_rows: How many.
      rng: Public randomness.
    """
    cells, classes = sampler.draw_cells(encoding, n_rows, rng)
    return decode_rows(encoding, label, cells, classes, rng)


def _redraw(
    link: CellLink,
    layout: CellLayout,
    laws: Float64Array,
    orders: tuple[Int64Array, ...],
    cells: Int64Array,
    component: Int64Array,
    latent: Float64Array,
) -> None:
    """Draws a deciding column given the columns that it decides, in place; see CellLink.

    Args:
      link: The columns.
      layout: Where features' cells lie.
      laws: Probabilities of cells in each component, shape (k, n_cells).
      orders: Cells of each feature in the order of its latent score.
      cells: Drawn so far, shape (n, n_features).
      component, latent: Of each row, shapes (n,) and (n, n_features).
    """
    place, starts = link.deciding, layout.offsets[:-1]
    own, order = layout.of(place), orders[place]
    decided = list(link.decided)
    kinds, kind = np.unique(cells[:, decided] - starts[decided], axis=0, return_inverse=True)
    for number, drawn in enumerate(kinds):
        chances = restricted(laws[:, own], link.allowed(drawn))
        rows = np.flatnonzero((kind.reshape(-1) == number) & (chances.sum(axis=1) > 0.0)[component])
        if len(rows):
            known = np.where(chances.sum(axis=1, keepdims=True) > 0.0, chances, laws[:, own])
            cells[rows, place] = own.start + order[_pick(known[:, order], component[rows], latent[rows, place])]
    for number, other in enumerate(decided):
        followed = link.follow(number, cells[:, place] - starts[place], cells[:, other] - starts[other])
        cells[:, other] = starts[other] + followed


def _pick(laws: Float64Array, component: Int64Array, latent: Float64Array) -> Int64Array:
    """Inverts the distribution of each row's component, all components in one search, on the scale of the latent."""
    n_components, n_cells = laws.shape
    edges = np.cumsum(laws / laws.sum(axis=1, keepdims=True), axis=1)
    edges[:, -1] = 1.0
    scores = np.clip(ndtri(edges), -_FARTHEST, _FARTHEST)
    stacked = (scores + _APART * np.arange(n_components)[:, None]).ravel()
    place = np.searchsorted(stacked, latent + _APART * component, side="right")
    return np.asarray(np.clip(place - component * n_cells, 0, n_cells - 1), dtype=np.int64)


def decode_rows(
    encoding: Encoding, label: str | None, cells: Int64Array, classes: Int64Array, rng: np.random.Generator
) -> dict[str, Decoded]:
    """Turns drawn cells and classes into columns by name.

    Args:
      encoding: The table's codes.
      label: Name of the label's column, if any.
      cells: Shape (n, n_features), counted through all features.
      classes: Shape (n,).
      rng: Public randomness.
    """
    columns = encoding.decode(cells, rng)
    if label is not None and encoding.label is not None:
        columns[label] = encoding.label.decode_cells(classes, rng)
    return columns
