"""Whether cells keep what the domain declares: types, bounds, listed values, null only where it is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.config.domain import Domain
from threea_spark.source.reading import column_as_read, numbers_as_read

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Validity:
    """How many cells keep their declaration.

    Attributes:
      share: Share of the cells of all columns; 1 without cells.
      broken: Columns with cells that do not, and how many.
    """

    share: float
    broken: tuple[tuple[str, int], ...]


def validity_of(rows: pd.DataFrame, domain: Domain, names: Sequence[str]) -> Validity:
    """Checks every cell of the named columns against its declaration; bounds that were left to be found hold any."""
    wrong = [(name, _n_wrong(rows, name, domain)) for name in names]
    n_cells = max(len(rows) * len(names), 1)
    return Validity(1.0 - sum(number for _, number in wrong) / n_cells, tuple(own for own in wrong if own[1]))


def _n_wrong(rows: pd.DataFrame, name: str, domain: Domain) -> int:
    column = domain.columns[name]
    if column.is_categorical:
        texts = column_as_read(rows[name], column)
        missing = texts.isna().to_numpy()
        wrong = ~missing & (not column.is_open) & ~texts.isin(list(column.values)).to_numpy()
    else:
        numbers = numbers_as_read(rows[name], column).to_numpy(dtype=np.float64)
        missing = np.isnan(numbers)
        wrong = ~missing & ~((numbers >= column.lower_number) & (numbers <= column.upper_number))
    return int(np.sum(wrong)) + (0 if column.nullable else int(np.sum(missing)))
