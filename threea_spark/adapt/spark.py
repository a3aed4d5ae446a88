"""Brings one Poisson sample of packed rows to the driver, bounded by `adapt.max_rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.columns import STAGED, UNIT
from threea_spark.staged import unpack

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TOKENS = 2**63


def poisson_sample(staged: DataFrame, width: int, rate: float) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Collects the units whose own secret token falls below `rate`: an independent coin for each unit.

    Args:
      staged: PRIVATE.
      width: Coordinates of a packed vector.
      rate: Probability of each unit, chosen so that about max_rows rows come.

    Returns:
      Packed rows, shape (n, width), and classes, shape (n,). PRIVATE.
    """
    from pyspark.sql import functions as F

    chosen = staged if rate >= 1.0 else staged.where(F.col(UNIT) < int(rate * _TOKENS))
    table: pa.Table = chosen.select(*STAGED).toArrow()  # bounded: the rate was set from max_rows
    parts = [unpack(batch, width)[:2] for batch in table.to_batches()]
    packed = [part[0] for part in parts] or [np.zeros((0, width), dtype=np.int16)]
    classes = [part[1] for part in parts] or [np.zeros(0, dtype=np.int64)]
    return np.concatenate(packed), np.concatenate(classes)
