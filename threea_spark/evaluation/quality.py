"""The quality score of SDMetrics, where the extra `quality` is installed. INTERNAL: it reads real rows."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.config.domain import Domain
from threea_spark.source.reading import column_as_read, numbers_as_read

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("threea_spark")
_MAX_ROWS = 10_000


@dataclass(frozen=True)
class QualityScore:
    """SDMetrics' quality report: its overall score and the two properties it is the mean of, each in [0, 1]. INTERNAL.

    Attributes:
      overall, column_shapes, column_pair_trends: As SDMetrics calls them.
    """

    overall: float
    column_shapes: float
    column_pair_trends: float


def has_sdmetrics() -> bool:
    """Whether sdmetrics is installed."""
    return importlib.util.find_spec("sdmetrics") is not None


def quality_score(
    released: pd.DataFrame, real: pd.DataFrame, domain: Domain, names: Sequence[str]
) -> QualityScore | None:
    """Computes SDMetrics' quality report; None where sdmetrics is missing or cannot read the rows.

    Args:
      released, real: Rows; as many of each are drawn. `real` is PRIVATE.
      domain: Defines how columns are read; times count as numbers of seconds.
      names: Columns to compare.
    """
    n_rows = min(len(released), len(real), _MAX_ROWS)
    if not has_sdmetrics() or len(names) < 2 or n_rows < 2:
        return None
    kinds = {name: "categorical" if domain.columns[name].is_categorical else "numerical" for name in names}
    metadata = {"columns": {name: {"sdtype": kind} for name, kind in kinds.items()}}
    tables = [_table(rows, domain, names, n_rows) for rows in (real, released)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant columns, and of its name from some version on
        from sdmetrics.reports.single_table import QualityReport

        report = QualityReport()
        try:
            report.generate(*tables, metadata, verbose=False)
        except Exception:  # another package's affair: the rest of the report stands without it
            log.debug("sdmetrics could not read the rows", exc_info=True)
            return None
        scores = report.get_properties().set_index("Property")["Score"]
    return QualityScore(
        float(report.get_score()), float(scores["Column Shapes"]), float(scores["Column Pair Trends"])
    )  # fmt: skip


def _table(rows: pd.DataFrame, domain: Domain, names: Sequence[str], n_rows: int) -> pd.DataFrame:
    import pandas as pd

    drawn = rows.iloc[np.random.default_rng(0).choice(len(rows), n_rows, replace=False)]
    cells = {}
    for name in names:
        column = domain.columns[name]
        read = column_as_read if column.is_categorical else numbers_as_read
        cells[name] = read(drawn[name], column).to_numpy(dtype=object if column.is_categorical else np.float64)
    return pd.DataFrame(cells)
