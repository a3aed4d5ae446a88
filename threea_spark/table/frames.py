"""A pandas frame as an Arrow table with types that Spark has; errors name columns and never hold a cell's value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from threea_spark.errors import SchemaError

if TYPE_CHECKING:
    import pandas as pd

_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.float16(): pa.float32(),
    pa.large_string(): pa.string(),
    pa.null(): pa.string(),
}


def arrow_table(frame: pd.DataFrame, names: Sequence[str]) -> pa.Table:
    """Takes the named columns of a frame.

    Args:
      frame: PRIVATE.
      names: Columns that the release reads.

    Raises:
      SchemaError: with one line for each column that is missing or has no type of Spark's.
    """
    arrays, problems = {}, []
    for name in names:
        n_found = frame.columns.tolist().count(name)
        if n_found != 1:
            wrong = "stands twice in the frame; drop one" if n_found else "is not a column of the frame; add it"
            problems.append(f"  {name!r}: {wrong}, or correct the domain")
            continue
        try:
            arrays[name] = _spark_array(pa.array(frame[name], from_pandas=True))
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            problems.append(
                f"  {name!r}: holds values of several types, or of one that Spark does not know; "
                f"give it one type, as with frame[{name!r}].astype('string')"
            )
    if problems:
        raise SchemaError("\n".join(["the frame does not fit the domain:", *problems]))
    return pa.table(arrays)


def without_zone(frame: pd.DataFrame, types: Mapping[str, str]) -> dict[str, str]:
    """The types of a model whose moments are to come back as the frame's: without a zone where they had none.

    Args:
      frame: What the model was fitted on.
      types: Spark's simple type string by column.
    """
    naive = {name for name in types if frame[name].dtype.kind == "M" and getattr(frame[name].dtype, "tz", None) is None}
    return {name: "timestamp_ntz" if name in naive else simple for name, simple in types.items()}


def _spark_array(cells: pa.Array | pa.ChunkedArray) -> pa.Array:
    plain = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    if pa.types.is_dictionary(plain.type):
        plain = plain.dictionary_decode()
    if pa.types.is_timestamp(plain.type):  # without a zone Spark would take it for one of its session's zone
        return plain.cast(pa.timestamp("us", tz=plain.type.tz or "UTC"), safe=False)
    if plain.type == pa.uint64():
        return plain.cast(pa.int64())  # refused where a value does not fit
    return plain.cast(_WIDER.get(plain.type, plain.type))
