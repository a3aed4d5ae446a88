"""Converts a pandas frame to an Arrow table whose types come from the domain, reading every cell on its own.

A frame's dtypes are functions of its rows (an integer column is float64 once one cell is missing), so they have no
influence here: every cell is read by the rule in `cells` for its column's type. Dtypes only select the faster of two
ways to the same result.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from threea_spark.arrays import Int64Array
from threea_spark.config.columns import CategoricalColumn, Column
from threea_spark.config.domain import Domain
from threea_spark.source.cells import (
    listed_spellings,
    micros_of,
    micros_of_moments,
    moment_text,
    number_of,
    text_of,
)
from threea_spark.source.frame_columns import columns_by_name, trimmed

if TYPE_CHECKING:
    import pandas as pd

_RELEASED = {"integer": "bigint", "float": "double", "categorical": "string", "timestamp": "timestamp"}
_KEYS = "bigint"
_IDENTIFIERS = CategoricalColumn(type="categorical", values="open")


def released_types(domain: Domain) -> dict[str, str]:
    """Returns Spark's simple type string of every released column: public, because it depends on the domain alone."""
    keys = {name: _KEYS for name in domain.keys if name not in domain.columns}
    return keys | {name: _RELEASED[column.type] for name, column in domain.columns.items()}


def arrow_table(
    frame: pd.DataFrame | pa.Table, domain: Domain, unit_column: str | None, added: Collection[str] = ()
) -> pa.Table:
    """Reads the columns that a release needs.

    Args:
      frame: The source. PRIVATE.
      domain: Defines how cells are read.
      unit_column: Column of the unit of privacy, whose identifiers are read like an open set's categories; None if each
        row is a unit.
      added: Columns that the release adds; the frame must have none of these names.

    Raises:
      SchemaError: as `columns_by_name`; never because of a cell's value.
    """
    columns = dict(domain.columns) | ({} if unit_column is None else {unit_column: _IDENTIFIERS})
    found = columns_by_name(frame_of_arrow(frame) if isinstance(frame, pa.Table) else frame, columns, added)
    return pa.table({name: read_cells(found[name], column) for name, column in columns.items()})


def is_in_memory(rows: object) -> TypeGuard[pd.DataFrame | pa.Table]:
    """Whether rows are a pandas frame or an Arrow table, and not a Spark DataFrame."""
    import pandas as pd

    return isinstance(rows, pa.Table | pd.DataFrame)


def frame_of_arrow(rows: pa.Table) -> pd.DataFrame:
    """An Arrow table as a frame that holds the same arrays; CHAR(n) without its blanks."""
    import pandas as pd

    table = trimmed(rows)
    return pd.DataFrame(
        {place: pd.Series(pd.arrays.ArrowExtensionArray(column)) for place, column in enumerate(table.columns)}
    ).set_axis(table.column_names, axis=1)


def read_cells(cells: pd.Series, column: Column) -> pa.Array:
    """Reads every cell by the one rule of its column's type; no value raises.

    Args:
      cells: Cells of any dtype. PRIVATE.
      column: The domain's description of the column.

    Returns:
      float64 for numbers, text for categories, UTC microseconds for times; null for cells that cannot be read.
    """
    if column.is_categorical:
        return _texts(cells, {} if column.is_open else listed_spellings(column.values))
    return _moments(cells) if column.is_timestamp else _numbers(cells)


def _numbers(cells: pd.Series) -> pa.Array:
    if (plain := _plain_numbers(cells)) is not None:
        values = np.where(plain[1], np.nan, plain[0].astype(np.float64))
    else:
        distinct, index = _distinct(cells)
        values = np.array([*map(number_of, distinct), np.nan])[index]
    return pa.array(values + 0.0, mask=np.isnan(values))  # -0.0 becomes 0.0


def _moments(cells: pd.Series) -> pa.Array:
    if (plain := _plain_moments(cells)) is not None:
        micros, missing = micros_of_moments(plain)
        return pa.array(micros, mask=missing).cast(pa.timestamp("us", tz="UTC"))
    distinct, index = _distinct(cells)
    return _taken(pa.array([micros_of(cell) for cell in distinct], pa.int64()), index).cast(
        pa.timestamp("us", tz="UTC")
    )


def _texts(cells: pd.Series, listed: dict[str, str]) -> pa.Array:
    if (moments := _plain_moments(cells)) is not None:
        micros, missing = micros_of_moments(moments)
        values, index = np.unique(micros, return_inverse=True)
        return _taken(
            pa.array([listed.get(text, text) for text in map(moment_text, values.tolist())], pa.string()),
            np.where(missing, -1, index),
        )
    if (plain := _plain_numbers(cells)) is not None:
        found, index = np.unique(plain[0], return_inverse=True)
        distinct, index = found.tolist(), np.where(plain[1], -1, index)
    else:
        distinct, index = _distinct(cells)
    return _taken(pa.array([text_of(cell, listed) for cell in distinct], pa.string()), index)


def _taken(values: pa.Array, index: Int64Array) -> pa.Array:
    return values.take(pa.array(index, mask=index < 0))


def _plain_numbers(cells: pd.Series) -> tuple[NDArray[np.generic], NDArray[np.bool_]] | None:
    """Returns the values of a purely numeric or boolean column, and which are null; None for other columns."""
    import pandas as pd

    dtype = cells.dtype
    if isinstance(dtype, pd.SparseDtype):
        return _plain_numbers(pd.Series(np.asarray(cells.array)))
    if (held := _arrow(cells)) is not None:
        if not (pa.types.is_integer(held.type) or pa.types.is_floating(held.type) or pa.types.is_boolean(held.type)):
            return None
        wide = held.cast(pa.float32()) if held.type == pa.float16() else held
        filled = pc.fill_null(wide, pa.scalar(0).cast(wide.type))
        return filled.to_numpy(zero_copy_only=False), np.asarray(held.is_null().to_numpy(zero_copy_only=False))
    if dtype.kind not in "biuf":
        return None
    missing = cells.isna().to_numpy(dtype=np.bool_)
    if isinstance(dtype, np.dtype):
        return cells.to_numpy(), missing
    return cells.to_numpy(dtype=dtype.numpy_dtype, na_value=0), missing  # type: ignore[attr-defined]  # Int64 and the like


def _plain_moments(cells: pd.Series) -> NDArray[np.datetime64] | None:
    """Returns the times, in UTC, of a column that can hold nothing else; None for other columns."""
    if (held := _arrow(cells)) is not None:
        if not pa.types.is_timestamp(held.type):
            return None
        ticks = pc.fill_null(held.cast(pa.int64()), np.iinfo(np.int64).min)  # NaT
        return np.asarray(ticks.to_numpy(zero_copy_only=False)).view(f"datetime64[{held.type.unit}]")
    if cells.dtype.kind != "M":
        return None
    return (cells if isinstance(cells.dtype, np.dtype) else cells.dt.tz_convert(None)).to_numpy()


def _distinct(cells: pd.Series) -> tuple[list[object], Int64Array]:
    """Returns cells of any kind, with equal text only once, and each row's position among them; -1 for null.

    Only text is deduplicated: True, 1 and Decimal(1) are equal in Python, but not under every rule.
    """
    import pandas as pd

    if isinstance(cells.dtype, pd.CategoricalDtype):
        distinct, index = _distinct(pd.Series(cells.cat.categories, dtype=cells.cat.categories.dtype))
        codes = cells.cat.codes.to_numpy()
        return distinct, np.where(codes < 0, -1, np.append(index, -1)[codes])
    if (held := _arrow(cells)) is not None:
        return _distinct_of_arrow(held)
    places: dict[str, int] = {}
    distinct, index = [], np.empty(len(cells), dtype=np.int64)
    for row, cell in enumerate(cells.to_numpy(dtype=object)):
        place = places.setdefault(cell, len(distinct)) if type(cell) is str else len(distinct)
        if place == len(distinct):
            distinct.append(cell)
        index[row] = place
    return distinct, index


def _arrow(cells: pd.Series) -> pa.Array | None:
    """Returns the array of a column backed by Arrow; None for other columns."""
    import pandas as pd

    dtype = cells.dtype
    if not (isinstance(dtype, pd.ArrowDtype) or (isinstance(dtype, pd.StringDtype) and dtype.storage != "python")):
        return None
    held = pa.array(cells.array)
    held = held.combine_chunks() if isinstance(held, pa.ChunkedArray) else held
    return held.dictionary_decode() if pa.types.is_dictionary(held.type) else held


def _distinct_of_arrow(held: pa.Array) -> tuple[list[object], Int64Array]:
    is_text = False
    if pa.types.is_string(held.type) or pa.types.is_large_string(held.type):
        held, is_text = held.cast(pa.large_binary()), True  # text columns may contain invalid UTF-8
    try:
        encoded = held.dictionary_encode()
    except pa.ArrowException:  # lists and the like
        return [_python(cell, is_text) for cell in held], np.arange(len(held))
    index = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return [_python(cell, is_text) for cell in encoded.dictionary], index


def _python(cell: pa.Scalar, is_text: bool) -> object:
    try:
        return cell.as_py().decode() if is_text else cell.as_py()
    except Exception:  # invalid UTF-8, or dates outside Python's range: null
        return None
