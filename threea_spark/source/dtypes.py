"""Gives released rows the dtypes of the frame they were learned from, as far as a dtype is declared, not inferred.

What pandas makes of rows by itself (int64, float64, bool, object, datetime64) says something about all of them: an
integer column is float64 once a cell is missing. Those dtypes play no part. A dtype that only a caller chooses is like
the schema of a table: public.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.engine.types import categories_as
from threea_spark.source.cells import listed_spellings, text_of

if TYPE_CHECKING:
    import pandas as pd

_INFERRED = ("int64", "float64", "bool", "object", "str")
_ARROW = {"b": pa.bool_(), "f": pa.float64(), "i": pa.int64(), "u": pa.int64()}
_WORDS = ("true", "false")


def declared_dtypes(frame: pd.DataFrame, domain: Domain) -> dict[str, Any]:
    """Returns the dtypes that released rows get, by the column's name; looks at no cell.

    Args:
      frame: The source. PRIVATE, but for its dtypes.
      domain: Says which columns are released, and as what.
    """
    dtypes = {str(label): dtype for label, dtype in zip(frame.columns, frame.dtypes, strict=True)}
    found = {name: _released(dtypes[name], column) for name, column in domain.columns.items() if name in dtypes}
    return {name: dtype for name, dtype in found.items() if dtype is not None}


def with_dtypes(rows: pd.DataFrame, dtypes: Mapping[str, Any], labels: Mapping[str, object]) -> pd.DataFrame:
    """Casts released rows, and gives their columns the labels of the source.

    Args:
      rows: RELEASED.
      dtypes: From `declared_dtypes`.
      labels: The label of each column, by its name.
    """
    cast = {name: _cast(rows[name], dtypes[name]) if name in dtypes else rows[name] for name in rows.columns}
    return rows.assign(**cast).rename(columns=dict(labels))


def _released(dtype: Any, column: Column) -> Any:  # noqa: ANN401 - dtypes of pandas, numpy and Arrow
    """The dtype in which a column is released, None for the one that follows from the domain."""
    import pandas as pd

    if isinstance(dtype, pd.CategoricalDtype):
        return _categories(dtype, column)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return dtype if column.is_timestamp and _is_named(dtype.tz) else None
    if column.is_timestamp or str(dtype) in _INFERRED or isinstance(dtype, pd.SparseDtype):
        return None
    if isinstance(dtype, np.dtype) and (column.nullable or dtype.kind not in "iuf"):
        return None  # cannot hold null, or is inferred
    if not column.is_categorical:
        return dtype if _is_number(dtype) else None
    if isinstance(dtype, pd.StringDtype) or (isinstance(dtype, pd.ArrowDtype) and _is_text(dtype)):
        return dtype
    return dtype if not column.is_open and _holds(dtype, tuple(column.values)) else None


@dataclass(frozen=True)
class Listed:
    """A dtype of listed categories, each of which is released as the text that the domain lists.

    Attributes:
      texts: As the domain lists them, in the order of the dtype's codes.
      dtype: The categories in the frame's own type.
    """

    texts: tuple[str, ...]
    dtype: pd.CategoricalDtype


def _categories(dtype: pd.CategoricalDtype, column: Column) -> Any:  # noqa: ANN401
    """Categories of the domain alone: the frame's own may be taken from rows. Its order counts where it is declared."""
    import pandas as pd

    if not column.is_categorical:
        return None
    if column.is_open:
        return dtype
    texts = tuple(column.values)
    listed = listed_spellings(texts)
    ranks: dict[str | None, int] = {}
    if dtype.ordered:
        ranks = {text_of(value, listed): rank for rank, value in enumerate(dtype.categories.tolist())}
        texts = tuple(sorted(texts, key=lambda text: ranks.get(text, len(ranks))))
    kind = getattr(dtype.categories.dtype, "kind", "O")
    values = categories_as(texts, _ARROW.get(kind, pa.string()))
    known = values.to_pylist() if values.null_count == 0 else list(texts)
    return Listed(texts, pd.CategoricalDtype(known, ordered=bool(dtype.ordered) and set(texts) <= set(ranks)))


def _cast(cells: pd.Series, dtype: Any) -> pd.Series:  # noqa: ANN401
    import pandas as pd

    if isinstance(dtype, Listed):
        codes = cells.map({text: code for code, text in enumerate(dtype.texts)}).fillna(-1).astype("int64")
        return pd.Series(pd.Categorical.from_codes(codes, dtype=dtype.dtype), index=cells.index, name=cells.name)
    if isinstance(dtype, pd.CategoricalDtype):
        return cells.astype(pd.CategoricalDtype(sorted(cells.dropna().unique())))
    if isinstance(dtype, pd.DatetimeTZDtype):
        return pd.Series(cells.dt.tz_convert(dtype.tz))
    if isinstance(dtype, pd.StringDtype) or (isinstance(dtype, pd.ArrowDtype) and _is_text(dtype)):
        return cells.astype(dtype)
    if dtype.kind == "b":
        return cells.str.lower().map({"true": True, "false": False}).astype(dtype)
    numbers = cells if pd.api.types.is_numeric_dtype(cells.dtype) else pd.to_numeric(cells)
    plain = np.dtype(getattr(dtype, "numpy_dtype", dtype))
    ends = np.iinfo(plain) if dtype.kind in "iu" else np.finfo(plain)
    within = numbers.clip(ends.min, ends.max)  # public bounds may be wider than the dtype
    return (within.round() if dtype.kind in "iu" else within).astype(dtype)


def _is_named(zone: object) -> bool:
    """Whether a time zone is one that a person names; pandas infers fixed offsets from all rows."""
    return bool(getattr(zone, "key", None) or getattr(zone, "zone", None))


def _is_number(dtype: Any) -> bool:  # noqa: ANN401
    import pandas as pd

    if isinstance(dtype, pd.ArrowDtype):
        return bool(pa.types.is_integer(dtype.pyarrow_dtype) or pa.types.is_floating(dtype.pyarrow_dtype))
    return getattr(dtype, "kind", "") in "iuf"


def _is_text(dtype: pd.ArrowDtype) -> bool:
    return bool(pa.types.is_string(dtype.pyarrow_dtype) or pa.types.is_large_string(dtype.pyarrow_dtype))


def _holds(dtype: Any, values: tuple[str, ...]) -> bool:  # noqa: ANN401
    """Whether a dtype of numbers or booleans holds all listed categories."""
    kind = getattr(dtype, "kind", "")
    if kind == "b":
        return {value.lower() for value in values} <= set(_WORDS)
    if not _is_number(dtype):
        return False
    return bool(categories_as(values, _ARROW[kind]).null_count == 0)
