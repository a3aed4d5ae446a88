"""One of several labels, drawn from its own function: labels are drawn one after the other, each given those before.

By the chain rule p(y1, y2 | x) = p(y1 | x) p(y2 | x, y1), rows whose labels are drawn so have the labels' joint law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.model.labels import LabelFunction, NumberLabels


@dataclass(frozen=True)
class RowPart:
    """The part of a row that a label's function reads. RELEASED.

    Attributes:
      features: Which features, shape (m,).
      shifts: What their cells, counted through all features, lose to be counted through these alone, shape (m,).
      cell_of_class: Cell of each class of the first label, which is read last; None where it is not read.
    """

    features: Int64Array
    shifts: Int64Array
    cell_of_class: Int64Array | None = None

    def __call__(self, cells: Int64Array, classes: Int64Array) -> Int64Array:
        """Picks the part.

        Args:
          cells: Cell of each feature, counted through all features, shape (n, n_features).
          classes: Class of the first label, shape (n,).

        Returns:
          Counted through the part's own features, shape (n, m), or (n, m + 1) with the first label.
        """
        own = cells[:, self.features] - self.shifts
        return own if self.cell_of_class is None else np.column_stack([own, self.cell_of_class[classes]])


@dataclass(frozen=True)
class DrawnLabel:
    """A label that takes the place of what was drawn for it. RELEASED.

    Attributes:
      name: Its column.
      feature: Which feature it is; None for the first label, which is none.
      first_cell: First of its cells among those of all features; 0 for the first label.
      part: What its function reads.
      function: Labels that part.
    """

    name: str
    feature: int | None
    first_cell: int
    part: RowPart
    function: LabelFunction | NumberLabels

    def probabilities(self, cells: Int64Array, classes: Int64Array) -> Float64Array:
        """Probabilities of its cells given the part of each row, shape (n, cells); arguments as in RowPart."""
        return self.function.probabilities(self.part(cells, classes))

    def redrawn(self, cells: Int64Array, classes: Int64Array, uniform: Float64Array) -> tuple[Int64Array, Int64Array]:
        """Draws it for each row.

        Args:
          cells, classes: As in RowPart.
          uniform: Shape (n,), in [0, 1).

        Returns:
          The rows' cells and classes, of which one was replaced.
        """
        drawn = self.function.draw(self.part(cells, classes), uniform)
        if self.feature is None:
            return cells, drawn
        changed = cells.copy(order="K")
        changed[:, self.feature] = self.first_cell + drawn
        return changed, classes
