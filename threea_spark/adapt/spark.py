"""Brings one Poisson sample of packed rows to the driver, bounded by `adapt.max_rows`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.columns import STAGED, UNIT
from threea_spark.staged import unpack

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TOKENS = 2**63


@dataclass(frozen=True)
class Sample:
    """Rows on the driver. PRIVATE.

    Attributes:
      packed: Shape (n, width).
      classes: Shape (n,).
      units: Secret uniform token of each row's unit, shape (n,).
    """

    packed: NDArray[np.int16]
    classes: NDArray[np.int64]
    units: NDArray[np.int64]

    def thinned(self, rate: float) -> Sample:
        """The units whose token falls below a lower rate: again an independent coin for each, never a row number."""
        chosen = self.units < int(rate * _TOKENS)
        return Sample(self.packed[chosen], self.classes[chosen], self.units[chosen])


def poisson_sample(staged: DataFrame, width: int, rate: float) -> Sample:
    """Collects the units whose own secret token falls below `rate`: an independent coin for each unit.

    Args:
      staged: PRIVATE.
      width: Coordinates of a packed vector.
      rate: Probability of each unit, chosen so that about max_rows rows come.

    Returns:
      Packed rows, classes and tokens. PRIVATE.
    """
    from pyspark.sql import functions as F

    chosen = staged if rate >= 1.0 else staged.where(F.col(UNIT) < int(rate * _TOKENS))
    table: pa.Table = chosen.select(*STAGED).toArrow()  # bounded: the rate was set from max_rows
    parts = [unpack(batch, width) for batch in table.to_batches()]
    parts.append((np.zeros((0, width), np.int16), np.zeros(0, np.int64), np.zeros(0, np.int64)))
    packed, classes, units = (np.concatenate([part[index] for part in parts]) for index in range(3))
    return Sample(packed, classes, units)
