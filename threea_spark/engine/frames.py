"""Collects a bounded, uniform sample of a table's rows on the driver, for reports and for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from threea_spark.config.domain import Domain
from threea_spark.config.table_names import quoted_name
from threea_spark.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

_MARGIN = 1.05  # a Bernoulli sample of the wanted size would often be a few rows short
_SEED = 0


def local_rows(rows: DataFrame, names: Sequence[str], max_rows: int) -> pd.DataFrame:
    """Collects the named columns of all rows, or of about `max_rows` uniformly drawn ones if the table has more.

    Args:
      rows: Released or real rows.
      names: Columns, in order.
      max_rows: Maximum number of rows to collect.

    Raises:
      SourceError: if a column is missing.
    """
    from pyspark.sql import functions as F

    missing = sorted(set(names) - set(rows.columns))
    if missing:
        raise SourceError(f"columns {missing} are missing from the table; it must have all columns of the domain")
    chosen = rows.select(*[F.col(quoted_name(name)) for name in names])
    n_rows = chosen.count()
    if n_rows > max_rows:
        chosen = chosen.sample(fraction=min(1.0, _MARGIN * max_rows / n_rows), seed=_SEED)
    return chosen.limit(max_rows).toPandas()  # bounded: max_rows


def names_in_order(rows: DataFrame, domain: Domain) -> list[str]:
    """Returns the domain's columns in the table's order; those that the table lacks come last."""
    return [name for name in rows.columns if name in domain.columns] + sorted(set(domain.columns) - set(rows.columns))


def category_text(value: object) -> str | None:
    """Formats a category as Spark's cast to string would; None for null, NaN and NaT."""
    if value is None or value != value:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def numbers(cells: pd.Series) -> pd.Series:
    """Reads cells as float64; NaN for anything that is not a number."""
    import pandas as pd

    return pd.to_numeric(cells, errors="coerce").astype(float)


def moments(cells: pd.Series) -> pd.Series:
    """Reads cells as datetime64[us, UTC]; nulls and anything that is not a date or time become NaT.

    Microseconds reach all the years that Spark has; nanoseconds, which pandas prefers for objects, end in 2262.
    """
    import pandas as pd

    if cells.dtype == object:  # a DATE column arrives as datetime.date objects
        try:
            return cells.astype("datetime64[us, UTC]")
        except (ValueError, TypeError):  # some cell is not a date or time: read them one by one
            pass
    return pd.to_datetime(cells, utc=True, errors="coerce").dt.as_unit("us")


def seconds(cells: pd.Series) -> pd.Series:
    """Reads dates and times as seconds since 1970, UTC, in float64; NaN for nulls and anything else."""
    moment = moments(cells)
    return (moment.astype("int64").astype(float) / 1e6).where(moment.notna())
