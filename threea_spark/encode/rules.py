"""The rules behind `auto` in Encode; they read the configuration alone."""

from __future__ import annotations

import math

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.feature import SCORE_LIMIT

N_CELLS = 64
"""Most cells of a number; the noise on the counts usually allows fewer, see `CELL_STDDEVS`."""

CELL_STDDEVS = 4.0
"""Standard deviations of Encode's noise that a cell of a number holds at least.

Later stages count cells with less noise than Encode does, and learn a weight for each, so that cells may be as fine as
Encode can tell them apart. Measured at epsilon 1 against n/32 rows a cell.
"""

LABEL_CELLS = 8
"""Cells of a numeric label: each is a class with histograms of its own, so more cells mean fewer rows in each."""

_AFFINE_CELLS = 16
_AFFINE_COLUMNS = 256


def codes_affinely(config: ReleaseConfig) -> bool:
    """Whether numbers are coded by two DP moments each rather than by DP quantiles: in wide tables.

    A tree costs a row three counts a column and needs rows in every cell; two moments cost two and need none.
    """
    if config.encode.numeric != "auto":
        return config.encode.numeric == "affine"
    return len(config.domain.coded.features) > _AFFINE_COLUMNS


def default_cells(config: ReleaseConfig) -> int:
    """Most cells of a number; where it is coded by moments, whose noise says nothing about cells, exactly so many."""
    if config.encode.cells != "auto":
        return config.encode.cells
    return _AFFINE_CELLS if codes_affinely(config) else N_CELLS


def clip_norm_of(config: ReleaseConfig) -> float:
    """The L2 bound on an encoded row, in units of score: the configured one, or the norm of a typical row.

    A normal score has variance 1, a one-hot level norm 1/sqrt(2). Where only cells are counted, not sums of rows, no
    row needs clipping and the largest norm is allowed.
    """
    if config.encode.clip_norm != "auto":
        return config.encode.clip_norm
    columns = list(config.domain.coded.features.values())
    parts = sum(len(column.parts) for column in columns if column.is_timestamp)
    categorical = sum(column.is_categorical for column in columns) + parts
    numbers = sum(not column.is_categorical for column in columns)
    sums_rows = config.is_mixing or config.approximate.components not in ("auto", 1)
    square = (1.0 if sums_rows else SCORE_LIMIT**2 + 0.5) * numbers + 0.5 * categorical
    return math.sqrt(max(0.5, square))
