"""Nearest records: whether released rows lie nearer to rows that the release read than to rows it never read.

INTERNAL figures, and no evidence of privacy either way: distances miss what attackers use (Yao et al. 2025, arXiv
2505.01524; Ganev and De Cristofaro 2023, arXiv 2312.05114). They show plain copying and little else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.config.domain import Domain
from threea_spark.evaluation.evaluate import JudgedRows
from threea_spark.evaluation.features import LinearFeatures

if TYPE_CHECKING:
    import pandas as pd

_MAX_RELEASED = 2_000
_MAX_REFERENCE = 5_000
_SAME = 1e-6


@dataclass(frozen=True)
class NearestFigures:
    """How near released rows lie to real ones. INTERNAL.

    Attributes:
      n_released: Number of released rows that were compared.
      n_reference: Number of rows of each kind that they were compared with.
      nearer_to_read: Share of released rows whose nearest real row is one that the release read; a tie counts half.
      stderr: Standard error of the share, if neighbours were drawn independently.
      same_as_read, same_as_held_out: Share of released rows at distance 0 from a row of the kind.
    """

    n_released: int
    n_reference: int
    nearer_to_read: float
    stderr: float
    same_as_read: float
    same_as_held_out: float


def nearest_figures(rows: JudgedRows, domain: Domain) -> NearestFigures | None:
    """Compares distances to equally many rows that were read and that were not; None where either kind is missing.

    Args:
      rows: Released, real and held-out rows. PRIVATE.
      domain: Defines how columns are read; the label counts like any column.
    """
    n_reference = min(len(rows.real), len(rows.held_out), _MAX_REFERENCE)
    if not n_reference or not len(rows.released):
        return None
    plain = Domain.model_validate({"columns": domain.columns, "task": "none"})
    released = _drawn(rows.released, min(len(rows.released), _MAX_RELEASED))
    features = LinearFeatures.fit(released, plain)
    x = features.matrix(released)
    read, held_out = (_distances(x, features.matrix(_drawn(own, n_reference))) for own in (rows.real, rows.held_out))
    nearer = (read < held_out - _SAME) + 0.5 * (np.abs(read - held_out) <= _SAME)
    share = float(nearer.mean())
    return NearestFigures(
        n_released=len(released),
        n_reference=n_reference,
        nearer_to_read=share,
        stderr=float(np.sqrt(0.25 / len(released))),
        same_as_read=float(np.mean(read <= _SAME)),
        same_as_held_out=float(np.mean(held_out <= _SAME)),
    )


def _distances(x: Float64Array, reference: Float64Array) -> Float64Array:
    """Euclidean distance of each row to its nearest reference row, shape (n,)."""
    from sklearn.neighbors import NearestNeighbors

    found, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(reference).kneighbors(x)
    return np.asarray(found[:, 0], dtype=np.float64)


def _drawn(rows: pd.DataFrame, n_rows: int) -> pd.DataFrame:
    return rows.iloc[np.random.default_rng(0).choice(len(rows), n_rows, replace=False)]
