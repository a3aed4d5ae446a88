"""Numbers of wide tables: two moments a column instead of a tree, and an affine code from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.codes import AffineCode, NumberKind

MOMENT_GRID = 64
"""Grid units of half a column's range; rows count this many units too, so that one noise fits both."""
_LEAST_SCALE = 1.0 / 64.0  # of half the range: a column that looks constant under noise
_SIGNIFICANT = 1.0  # standard deviations by which a second moment must exceed what noise alone explains


@dataclass(frozen=True)
class MomentField:
    """A numeric column of a wide table before its mean and scale are known.

    Attributes:
      name, kind, nullable: Of the column.
      lower, upper: Public bounds.
    """

    name: str
    kind: NumberKind
    nullable: bool
    lower: float
    upper: float

    @property
    def n_nodes(self) -> int:
        """First moment, second moment, rows that are null."""
        return 3

    @property
    def squared_norm(self) -> int:
        """What a row adds at most, in squared units of MOMENT_GRID: two moments, or the count of nulls."""
        return 2

    def sums(self, values: Float64Array) -> Int64Array:
        """Exact sums of one batch in units of 1 / MOMENT_GRID, shape (3,). PRIVATE."""
        missing = np.isnan(values)
        nulls = int(missing.sum()) if self.nullable else 0
        clipped = np.clip(np.where(missing, 0.5 * (self.lower + self.upper), values), self.lower, self.upper)
        units = np.rint(MOMENT_GRID * (2.0 * (clipped - self.lower) / (self.upper - self.lower) - 1.0)).astype(np.int64)
        if self.nullable:
            units = units[~missing]
        return np.array([units.sum(), (units * units // MOMENT_GRID).sum(), MOMENT_GRID * nulls], dtype=np.int64)

    def code(self, block: Float64Array, n_rows: float, stddev: float, n_cells: int) -> AffineCode:
        """Makes the code from noisy sums in rows.

        Args:
          block: Noisy first moment, second moment and nulls, shape (3,). RELEASED.
          n_rows: DP number of rows.
          stddev: Of the noise on each.
          n_cells: Cells of equal mass under a normal law.
        """
        half, middle = 0.5 * (self.upper - self.lower), 0.5 * (self.upper + self.lower)
        nulls = min(max(float(block[2]), 0.0), n_rows) if self.nullable else 0.0
        present = max(n_rows - nulls, 1.0)
        mean = float(np.clip(block[0] / present, -1.0, 1.0))
        variance = block[1] / present - mean**2
        noise = stddev / present
        scale = float(np.sqrt(max(variance if variance > _SIGNIFICANT * noise else noise, _LEAST_SCALE**2)))
        edges = np.asarray(ndtri(np.arange(1, n_cells) / n_cells), dtype=np.float64)
        return AffineCode(
            self.name,
            self.kind,
            self.nullable,
            self.lower,
            self.upper,
            middle + half * mean,
            half * scale,
            edges,
            null_share=nulls / max(n_rows, 1.0),
        )
