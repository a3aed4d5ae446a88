"""What Adapt knows before it reads a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from threea_spark.adapt import features as maps
from threea_spark.adapt.label_view import LabelView
from threea_spark.adapt.scaled_number import ScaledNumber, scores_of_number
from threea_spark.approximate.odds import cell_order
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.model.labels import KernelInput
from threea_spark.model.sampler import RowSampler


@dataclass(frozen=True)
class Problem:
    """Everything known before Adapt reads a row. RELEASED.

    Attributes:
      encoding: Codes of what the label's function reads, and of the label.
      odds: Log odds of each class and cell, shape (n_classes, n_cells).
      probabilities: Pooled probabilities of each feature's cells, one array per feature.
      class_weights: Shape (n_classes,).
      sampler: Draws rows from the mixture.
      n_rows: DP number of rows.
      view: One of several labels, and what it reads; None for the only label, whose function reads all columns.
    """

    encoding: Encoding
    odds: Float64Array
    probabilities: list[Float64Array]
    class_weights: Float64Array
    sampler: RowSampler
    n_rows: float
    view: LabelView | None = None

    @cached_property
    def label_view(self) -> LabelView:
        """The label, and what its function reads of a row."""
        return self.view or LabelView(self.encoding)

    def draw(self, n_rows: int, rng: np.random.Generator) -> tuple[Int64Array, Int64Array]:
        """Draws rows as the function reads them: cells, shape (n, n_features), and classes, shape (n,)."""
        view = self.label_view
        return view.read_drawn(*self.sampler.draw_cells(view.encoding, n_rows, rng))

    @cached_property
    def number(self) -> ScaledNumber | None:
        """The label where it is a number, scaled."""
        label = self.encoding.label
        if label is None or label.is_category:
            return None
        return ScaledNumber.of(label, drawn_in=None if self.label_view.feature is None else label)

    @cached_property
    def effects(self) -> Float64Array:
        """What each cell says about the label: log odds of each class, or one row of effects on a number."""
        if self.number is None:
            return self.odds
        return self.number.effects(self.odds, self.class_weights, self.encoding, np.concatenate(self.probabilities))

    def kernel_input(self) -> KernelInput:
        """Where cells lie in the kernel's space."""
        scores = maps.kernel_scores if self.number is None else scores_of_number
        mass, orders = np.concatenate(self.probabilities), list(self._orders())
        return scores(self.effects, mass, orders, self.encoding.cell_layout)

    def _orders(self) -> tuple[Int64Array, ...]:
        """Order of each column's cells: the mixture's own, or by what they say of one of several labels."""
        if self.view is None:
            return self.sampler.orders
        own = zip(self.encoding.cell_layout.split(self.odds), self.encoding.features, strict=True)
        return tuple(cell_order(odds, not codec.is_category, codec.n_value_cells) for odds, codec in own)

    def centred(self, classes: Int64Array) -> Float64Array:
        """One-hot classes less their shares, shape (n, n_classes): what KIP regresses on."""
        return np.eye(self.encoding.n_classes)[classes] - self.class_weights
