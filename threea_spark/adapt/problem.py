"""What Adapt knows before it reads a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from threea_spark.adapt import features as maps
from threea_spark.adapt.scaled_number import ScaledNumber, scores_of_number
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.model.labels import KernelInput
from threea_spark.model.sampler import RowSampler


@dataclass(frozen=True)
class Problem:
    """Everything known before Adapt reads a row. RELEASED.

    Attributes:
      encoding: The table's codes.
      odds: Log odds of each class and cell, shape (n_classes, n_cells).
      probabilities: Pooled probabilities of each feature's cells, one array per feature.
      class_weights: Shape (n_classes,).
      sampler: Draws rows from the mixture.
      n_rows: DP number of rows.
    """

    encoding: Encoding
    odds: Float64Array
    probabilities: list[Float64Array]
    class_weights: Float64Array
    sampler: RowSampler
    n_rows: float

    @cached_property
    def number(self) -> ScaledNumber | None:
        """The label where it is a number, scaled."""
        label = self.encoding.label
        return None if label is None or label.is_category else ScaledNumber.of(label)

    @cached_property
    def effects(self) -> Float64Array:
        """What each cell says about the label: log odds of each class, or one row of effects on a number."""
        if self.number is None:
            return self.odds
        return self.number.effects(self.odds, self.class_weights, self.encoding, np.concatenate(self.probabilities))

    def kernel_input(self) -> KernelInput:
        """Where cells lie in the kernel's space."""
        scores = maps.kernel_scores if self.number is None else scores_of_number
        mass, orders = np.concatenate(self.probabilities), list(self.sampler.orders)
        return scores(self.effects, mass, orders, self.encoding.cell_layout)

    def centred(self, classes: Int64Array) -> Float64Array:
        """One-hot classes less their shares, shape (n, n_classes): what KIP regresses on."""
        return np.eye(self.encoding.n_classes)[classes] - self.class_weights
