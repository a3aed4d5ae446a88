"""The `sample` generator: rows drawn from the released mixture, labelled by the label function.

Everything here is post-processing of RELEASED numbers: drawing costs nothing and may be repeated without limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg.blas import strmm

from threea_spark.arrays import FieldsOnly, Float32Array, Float64Array, Int64Array
from threea_spark.encode.between.links import CellLink, restricted
from threea_spark.encode.cells import Decoded
from threea_spark.encode.codec import Encoding
from threea_spark.encode.noisy_tables import CellCounts
from threea_spark.model.cell_search import CellSearch
from threea_spark.model.drawn_label import DrawnLabel
from threea_spark.model.labels import LabelFunction, NumberLabels


@dataclass(frozen=True)
class RowSampler(FieldsOnly):
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

    @cached_property
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
        """Draws the cells and the class of each row from the components: column after column, each contiguous.

        Rows are drawn component after component, whose tables then lie in a core's cache, and shuffled.
        """
        ordered = np.repeat(np.arange(len(self.weights)), rng.multinomial(n_rows, self.weights))
        shuffled = rng.permutation(n_rows)
        laws, searches = self._prepared(encoding)
        cells, deciding = (
            np.empty((len(self.orders), n_rows), dtype=np.int64),
            {link.deciding for link in encoding.links},
        )
        kept: dict[int, Float32Array] = {}
        for column, places in enumerate(self._places(n_rows, rng)):
            searches[column].find(ordered, places).take(shuffled, out=cells[column])
            if column in deciding:
                kept[column] = places[shuffled]
        component = ordered[shuffled]
        for link in encoding.links:
            self._redraw(link, encoding, laws, cells.T, component, kept[link.deciding])
        drawn = encoding.keep_nulls(cells.T, rng)
        if self.labels is not None:
            return drawn, self.labels.draw(drawn, rng.random(n_rows))
        if self.class_probabilities is not None:
            edges = np.cumsum(self.class_probabilities, axis=1)[component, :-1]
            return drawn, np.asarray((rng.random(n_rows)[:, None] > edges).sum(axis=1), dtype=np.int64)
        return drawn, np.maximum(self.class_of[component], 0)

    def _places(self, n_rows: int, rng: np.random.Generator) -> Iterator[Float32Array]:
        """Yields each column's place of every row in its component's distribution, shape (n,).

        Columns that are independent have uniform places. Others are bound by a latent normal vector: its j-th entry is
        the place of column j. Source: Gaussian copula, Nelsen 2006, An Introduction to Copulas, section 2.9.
        """
        if self.is_independent:
            yield from (rng.random(n_rows, dtype=np.float32) for _ in self.orders)
        else:
            latent = rng.standard_normal((len(self.orders), n_rows), dtype=np.float32)
            factor = np.asfortranarray(self.factor, dtype=np.float32)
            yield from strmm(1.0, factor, latent.T, side=1, lower=1, trans_a=1, overwrite_b=1).T

    def _prepared(self, encoding: Encoding) -> tuple[Float64Array, tuple[CellSearch, ...]]:
        """Laws and search of each column's cells, made for the first block of an encoding and kept for the others."""
        kept = self.__dict__.get("_kept")
        if kept is None or kept[0] is not encoding:
            laws = encoding.drawn_laws(self.laws)
            searches = tuple(self._search(encoding, laws, column) for column in range(len(self.orders)))
            kept = self.__dict__["_kept"] = (encoding, laws, searches)
        return kept[1], kept[2]

    def _search(self, encoding: Encoding, laws: Float64Array, column: int) -> CellSearch:
        own, order = encoding.cell_layout.of(column), self.orders[column]
        return CellSearch.of(laws[:, own][:, order], own.start + order, normal=not self.is_independent)

    def _redraw(
        self,
        link: CellLink,
        encoding: Encoding,
        laws: Float64Array,
        cells: Int64Array,
        component: Int64Array,
        places: Float32Array,
    ) -> None:
        """Draws a deciding column given the columns that it decides, in place; see CellLink.

        Args:
          link: The columns.
          encoding: Of the table.
          laws: Probabilities of cells in each component, shape (k, n_cells).
          cells: Drawn so far, shape (n, n_features).
          component, places: Of each row, in the deciding column's distribution, shapes (n,).
        """
        place, starts = link.deciding, encoding.cell_layout.offsets[:-1]
        own, decided = encoding.cell_layout.of(place), list(link.decided)
        kinds, kind = np.unique(cells[:, decided] - starts[decided], axis=0, return_inverse=True)
        for number, drawn in enumerate(kinds):
            chances = restricted(laws[:, own], link.allowed(drawn))
            has_any = chances.sum(axis=1) > 0.0
            rows = np.flatnonzero((kind.reshape(-1) == number) & has_any[component])
            if len(rows):
                known = laws.copy()
                known[has_any, own] = chances[has_any]
                cells[rows, place] = self._search(encoding, known, place).find(component[rows], places[rows])
        for number, other in enumerate(decided):
            followed = link.follow(number, cells[:, place] - starts[place], cells[:, other] - starts[other])
            cells[:, other] = starts[other] + followed


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
