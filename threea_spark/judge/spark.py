"""Brings rows of released and real tables to the driver for judging. INTERNAL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from threea_spark.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame


def local_rows(rows: DataFrame, names: Sequence[str], max_rows: int) -> pd.DataFrame:
    """Collects at most `max_rows` rows of the named columns.

    Raises:
      SourceError: if a column is missing.
    """
    from pyspark.sql import functions as F

    missing = sorted(set(names) - set(rows.columns))
    if missing:
        raise SourceError(f"evaluate: columns {missing} are missing from the table; it must hold the domain's columns")
    quoted = ["`" + name.replace("`", "``") + "`" for name in names]
    return rows.select(*[F.col(name) for name in quoted]).limit(max_rows).toPandas()  # bounded: max_rows
