"""One label of a table as its function sees it: the part of each row that it reads, and the label's own class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from threea_spark.arrays import Int64Array
from threea_spark.encode.codec import Encoding, Feature
from threea_spark.engine.packed import PackedRows
from threea_spark.model.drawn_label import DrawnLabel, RowPart
from threea_spark.model.labels import LabelFunction, NumberLabels
from threea_spark.model.sampler import RowSampler


@dataclass(frozen=True)
class LabelView:
    """A label, and what its function reads; small enough to be sent with tasks.

    Attributes:
      encoding: The whole table's codes, as rows are staged in them.
      name: The label's; empty for the only label of a table, whose function reads all columns.
      feature: Which feature the label is; None for the first label, which is none.
      part: What its function reads of a staged row; None reads all features.
      drawn_part: The same of a drawn row, whose first label may be drawn in finer cells.
    """

    encoding: Encoding
    name: str = ""
    feature: int | None = None
    part: RowPart | None = None
    drawn_part: RowPart | None = None

    @property
    def first_cell(self) -> int:
        """First of the label's cells among those of all features; 0 for the first label."""
        return 0 if self.feature is None else self.encoding.cell_layout.of(self.feature).start

    @property
    def suffix(self) -> str:
        """What tells the label's sums from those of other labels, in their names."""
        return f"-of-{self.name}" if self.name else ""

    def read(self, rows: PackedRows) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Reads staged rows. PRIVATE.

        Returns:
          Cells of what the function reads, shape (n, m); classes of the label and, of a number, its scores on the
          grid, both of shape (n,).
        """
        own, classes = self.read_staged(self.encoding.cells(rows.packed), rows.classes)
        if self.feature is None:
            return own, classes, rows.label_scores
        return own, classes, rows.packed[:, self.encoding.offsets[self.feature]].astype(np.int64)

    def read_staged(self, cells: Int64Array, classes: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Reads rows by their cells and classes, as they are staged: cells of what is read, and the label's classes."""
        return self._picked(self.part, cells, classes)

    def read_drawn(self, cells: Int64Array, classes: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Reads drawn rows: cells of what the function reads, and classes of the label."""
        return self._picked(self.drawn_part, cells, classes)

    def labelled(self, sampler: RowSampler, function: LabelFunction | NumberLabels) -> RowSampler:
        """The sampler whose rows have this label from its function."""
        if self.drawn_part is None:
            return replace(sampler, labels=function)
        label = DrawnLabel(self.name, self.feature, self.first_cell, self.drawn_part, function)
        return sampler.with_label(label)

    def _picked(self, part: RowPart | None, cells: Int64Array, classes: Int64Array) -> tuple[Int64Array, Int64Array]:
        own = cells if part is None else part(cells, classes)
        return own, classes if self.feature is None else cells[:, self.feature] - self.first_cell


def view_of(
    encoding: Encoding, drawn_label: Feature, label: str, first: str, later: Sequence[str]
) -> tuple[LabelView, Encoding]:
    """One of several labels: its function reads all columns but the labels that are drawn with it or after it.

    Args:
      encoding: The whole table's codes.
      drawn_label: Codec of the first label, as it is drawn.
      label: The label's name.
      first: That of the first label.
      later: Labels that are drawn after it.

    Returns:
      The view, and the codes of what is read, with those of the label.
    """
    hidden, reads_first = {label, *later}, first not in {label, *later}
    columns = tuple(column for column in encoding.columns if column.name not in hidden)
    spans = [
        np.arange(encoding.place_of(column.name), encoding.place_of(column.name) + len(column.features))
        for column in columns
    ]
    features = np.concatenate([np.zeros(0, dtype=np.int64), *spans]).astype(np.int64)
    own_label = encoding.label if label == first else encoding.column(label).features[0]
    read = (encoding.label,) if reads_first and encoding.label is not None else ()
    own = Encoding((*columns, *read), own_label, encoding.clip_norm)
    shifts = encoding.cell_layout.offsets[features] - own.cell_layout.offsets[: len(features)]
    start = int(own.cell_layout.offsets[len(features)])
    part = drawn_part = RowPart(features, shifts)
    if reads_first and encoding.label is not None:
        part = RowPart(features, shifts, start + np.arange(encoding.label.n_cells))
        drawn_part = RowPart(features, shifts, start + _staged_classes(encoding.label, drawn_label))
    place = None if label == first else encoding.place_of(label)
    return LabelView(encoding, label, place, part, drawn_part), own


def _staged_classes(staged: Feature, drawn: Feature) -> Int64Array:
    """Class, as rows are staged, of each cell that a label is drawn in, shape (n_cells of the drawn,)."""
    if staged.is_category or drawn.is_category:
        return np.arange(staged.n_cells, dtype=np.int64)
    null = np.full(drawn.n_cells - drawn.n_value_cells, staged.n_value_cells)
    return np.concatenate([staged.cells_of_values(drawn.cell_means), null]).astype(np.int64)
