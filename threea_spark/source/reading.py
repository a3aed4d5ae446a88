"""Rows on the driver, read as a release reads them: the one reader of reports, evaluation and `as_xy`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.errors import SourceError
from threea_spark.source.pandas import frame_of_arrow, read_cells
from threea_spark.source.rows import cell_as_read, schema_of

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

_MARGIN = 1.05  # a Bernoulli sample of the wanted size would often be a few rows short
_SEED = 0
_MICROS = 1e6


def local_rows(rows: DataFrame, domain: Domain, names: Sequence[str], max_rows: int) -> pd.DataFrame:
    """Collects the named columns of all rows, or of about `max_rows` uniformly drawn ones if the table has more.

    Args:
      rows: Released or real rows.
      domain: Defines how columns are read.
      names: Columns of the domain, in order.
      max_rows: Maximum number of rows to collect.

    Returns:
      Columns as `column_as_read` gives them.

    Raises:
      SourceError: if a column is missing.
    """
    import pandas as pd

    missing = sorted(set(names) - set(rows.columns))
    if missing:
        raise SourceError(f"columns {missing} are missing from the table; it must have all columns of the domain")
    types = schema_of(rows)
    chosen = rows.select(*[cell_as_read(name, domain.columns[name], types[name]).alias(name) for name in names])
    n_rows = chosen.count()
    if n_rows > max_rows:
        chosen = chosen.sample(fraction=min(1.0, _MARGIN * max_rows / n_rows), seed=_SEED)
    frame = frame_of_arrow(chosen.limit(max_rows).toArrow())  # bounded: max_rows
    return pd.DataFrame({name: column_as_read(frame[name], domain.columns[name]) for name in names}, index=frame.index)


def names_in_order(rows: DataFrame, domain: Domain) -> list[str]:
    """Returns the domain's columns in the table's order; those that the table lacks come last."""
    return [name for name in rows.columns if name in domain.columns] + sorted(set(domain.columns) - set(rows.columns))


def column_as_read(cells: pd.Series, column: Column) -> pd.Series:
    """Reads cells of any dtype; reading what was read changes nothing.

    Args:
      cells: Cells of one column. PRIVATE if the rows are.
      column: The domain's description of the column.

    Returns:
      float64 with NaN for null; text with None for null; or datetime64[us, UTC].
    """
    import pandas as pd

    found = read_cells(cells, column)
    if column.is_timestamp:
        ticks = pc.fill_null(found.cast(pa.int64()), np.iinfo(np.int64).min)  # NaT
        moments = np.asarray(ticks.to_numpy(zero_copy_only=False)).view("datetime64[us]")
        return pd.Series(moments, index=cells.index).dt.tz_localize("UTC")
    values = found.to_numpy(zero_copy_only=False)
    if not column.is_categorical:
        return pd.Series(np.array(values, dtype=np.float64), index=cells.index)
    return pd.Series(values, index=cells.index, dtype=object)


def numbers_as_read(cells: pd.Series, column: Column) -> pd.Series:
    """Reads numbers, and times as seconds since 1970, UTC, in float64 with NaN for null."""
    found = column_as_read(cells, column)
    if not column.is_timestamp:
        return found
    return (found.astype("int64").astype(float) / _MICROS).where(found.notna())
