"""Cells of counted columns as columns of a table: bounds in the column's own units, values, and words for both."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from threea_spark.arrays import BoolArray, Float64Array
from threea_spark.config.domain import Domain
from threea_spark.encode.cell_names import NULL
from threea_spark.encode.fit import OTHER
from threea_spark.encode.noisy_tables import CellNames
from threea_spark.model.statistics_schemas import TIME

_MICROS = 1_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_LAST = 253_402_300_799.0  # the last second of the year 9999
_NAMED = 4


@dataclass(frozen=True)
class CellRows:
    """One row for each cell.

    Attributes:
      columns: By name: column, part, kind, cell and bounds; times are also seconds since 1970.
      values: Values of each cell that is no interval, None for null.
      is_used: Cells that can hold a row, shape (n_cells,).
    """

    columns: dict[str, Any]
    values: tuple[tuple[str | None, ...], ...]
    is_used: BoolArray


def as_rows(cells: CellNames, domain: Domain) -> CellRows:
    """Describes cells; the kind of each is interval, value, values, null or other."""
    ends, closed = cells.ends.copy(), cells.closed.copy()
    is_time = cells.kind == "timestamp"
    if is_time:  # whole seconds: a cell ends where the second after its last one begins
        ends[:, 1] += 1.0
        closed[:, 1] = False
    is_time &= cells.column in domain.columns  # else a duration in seconds
    no_interval, declared = ~cells.is_interval, domain.columns.get(cells.column)
    is_open = declared is not None and declared.is_open
    in_words = [
        _values_in_words(values) if no_interval[place] else _interval_in_words(*ends[place].tolist(), is_time=is_time)
        for place, values in enumerate(cells.values)
    ]
    n = cells.n_cells
    columns = {
        "column": [cells.column] * n,
        "part": [cells.part or None] * n,
        "kind": [_kind(own, is_open=is_open) for own in cells.values],
        "cell": in_words,
        "lower": pa.array(ends[:, 0], from_pandas=True),
        "upper": pa.array(ends[:, 1], from_pandas=True),
        "lower_time": _times(ends[:, 0]) if is_time else pa.nulls(n, TIME),
        "upper_time": _times(ends[:, 1]) if is_time else pa.nulls(n, TIME),
        "includes_lower": pa.array(closed[:, 0], mask=no_interval),
        "includes_upper": pa.array(closed[:, 1], mask=no_interval),
    }
    return CellRows(columns, cells.values, cells.is_used)


def _kind(values: tuple[str | None, ...], *, is_open: bool) -> str:
    if not values:
        return "interval"
    if values == NULL:
        return "null"
    if values == (OTHER,) and is_open:
        return "other"
    return "value" if len(values) == 1 else "values"


def _times(seconds: Float64Array) -> pa.Array:
    missing = np.isnan(seconds)
    micros = np.rint(np.where(missing, 0.0, seconds) * _MICROS).astype(np.int64)
    return pa.array(micros, mask=missing).cast(TIME)


def _values_in_words(values: tuple[str | None, ...]) -> str:
    named = ["null" if own is None else own for own in values]
    if len(named) <= _NAMED:
        return " or ".join(named)
    return f"{', '.join(named[:_NAMED])} or {len(named) - _NAMED} more"


def _interval_in_words(lower: float, upper: float, *, is_time: bool) -> str:
    if is_time:
        return f"{_time_text(lower)} to {_time_text(upper)}"
    return f"{lower:.10g}" if lower == upper else f"{lower:.10g} to {upper:.10g}"


def _time_text(seconds: float) -> str:
    return (_EPOCH + dt.timedelta(seconds=min(seconds, _LAST))).strftime("%Y-%m-%d %H:%M:%S")
