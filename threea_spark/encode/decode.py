"""Cells become values of the source's columns again: exact bounds, whole numbers whole, nulls null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.codes import CategoryCode, ColumnCode, NumberCode
from threea_spark.encode.raw import part_of

_DAY = 86_400
_HOUR = 3_600


@dataclass(frozen=True)
class Numbers:
    """Values of a numeric column or seconds of a timestamp; NaN is null."""

    values: Float64Array


@dataclass(frozen=True)
class Levels:
    """Levels of a categorical column; -1 is null."""

    levels: Int64Array
    values: tuple[str, ...]


Decoded = Numbers | Levels


def draw_column(code: ColumnCode, cell: Int64Array, rng: np.random.Generator) -> Decoded:
    """Draws a value inside each cell.

    Args:
      code: Of the column.
      cell: Cell of each row within the column, shape (n,).
      rng: Public randomness: drawing is post-processing.
    """
    uniform = rng.random(len(cell))
    if isinstance(code, CategoryCode):
        level = code.draw(cell, uniform)
        return Levels(np.where(level >= len(code.values), -1, level), code.values)
    values = code.draw(np.minimum(cell, code.n_cells - 1), uniform)
    return Numbers(np.where(cell >= code.n_cells, np.nan, values))


def join_parts(codes: Sequence[ColumnCode], decoded: Sequence[Decoded]) -> dict[str, Decoded]:
    """Names the decoded columns, and moves each timestamp to its drawn month, weekday and hour.

    Args:
      codes: Of the features, in order; parts follow their timestamp.
      decoded: One for each code.
    """
    whole = {code.name: code for code in codes if not isinstance(code, CategoryCode)}
    parts = [code.part if isinstance(code, CategoryCode) else "" for code in codes]
    columns = {code.name: column for code, part, column in zip(codes, parts, decoded, strict=True) if not part}
    for wanted in ("month", "weekday", "hour"):  # a later, finer part is not undone by a coarser one
        for code, part, column in zip(codes, parts, decoded, strict=True):
            time = columns.get(code.name)
            if part == wanted and isinstance(column, Levels) and isinstance(time, Numbers):
                columns[code.name] = Numbers(_moved(time.values, part, column.levels, whole[code.name]))
    return columns


def _moved(seconds: Float64Array, part: str, level: Int64Array, code: NumberCode) -> Float64Array:
    """Moves points in time to the nearest ones with the wanted part, where the bounds allow it."""
    known = ~np.isnan(seconds) & (level >= 0)
    start = np.where(known, seconds, 0.0)
    now = part_of(start, part)
    if part == "hour":
        moved = start + (level - now) * _HOUR
    elif part == "weekday":
        moved = start + ((level - now + 3) % 7 - 3) * _DAY
    else:
        month = start.astype(np.int64).astype("datetime64[s]").astype("datetime64[M]")
        wanted = month + ((level - now + 5) % 12 - 5).astype("timedelta64[M]")
        shift = (wanted.astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
        moved = start + shift * _DAY
        late = part_of(moved, "month") != level  # the 31st of a shorter month: fall back to its 28th
        moved = np.where(late, moved - 3.0 * _DAY, moved)
    inside = known & (moved >= code.lower) & (moved <= code.upper)
    return np.where(inside, moved, seconds)
