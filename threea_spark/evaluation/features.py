"""Feature matrices for tree models and for linear models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.encode.times import PARTS, local_seconds, part_of
from threea_spark.source.reading import column_as_read, numbers_as_read

if TYPE_CHECKING:
    import pandas as pd


_MAX_LEVELS = 50
_MAX_INDICATORS = 1_000  # for all columns together, so that a wide table of categories fits on the driver
_MAX_STDDEVS = 10.0  # cells farther out are clipped, so that a single one does not dominate a model


def tree_features(frame: pd.DataFrame, domain: Domain, train: pd.DataFrame) -> pd.DataFrame:
    """Returns numbers as floats, categories by the training rows' values, timestamps as seconds and calendar parts."""
    import pandas as pd

    out: dict[str, pd.Series] = {}
    for position, (name, column) in enumerate(domain.features.items()):
        key = f"f{position}"
        if column.is_categorical:
            levels = sorted(column_as_read(train[name], column).dropna().unique())
            texts = column_as_read(frame[name], column)
            out[key] = pd.Series(pd.Categorical(texts, categories=levels), index=frame.index)
        else:
            for part, values in _numbers(frame[name], column).items():
                out[f"{key}{part}"] = values
    return pd.DataFrame(out)


@dataclass(frozen=True)
class LinearFeatures:
    """Standardised numbers, with nulls at the mean and an indicator for them, and an indicator per frequent category.

    Attributes:
      domain: Defines how columns are read.
      levels: Categories with an indicator, by column: the most frequent ones in the rows it was fitted on.
      means, stddevs: Means and standard deviations of the numbers, by column and part.
    """

    domain: Domain
    levels: dict[str, tuple[str, ...]]
    means: dict[str, float]
    stddevs: dict[str, float]

    @classmethod
    def fit(cls, frame: pd.DataFrame, domain: Domain) -> LinearFeatures:
        """Learns scales and categories from rows; the result is as private as they are."""
        levels, means, stddevs = {}, {}, {}
        n_categorical = sum(column.is_categorical for column in domain.features.values())
        n_levels = max(2, min(_MAX_LEVELS, _MAX_INDICATORS // max(n_categorical, 1)))
        for name, column in domain.features.items():
            if column.is_categorical:
                counts = column_as_read(frame[name], column).value_counts()
                levels[name] = tuple(sorted(counts.index[:n_levels]))
                continue
            for part, values in _numbers(frame[name], column).items():
                known = values.to_numpy()[np.isfinite(values.to_numpy())]
                means[name + part] = float(known.mean()) if len(known) else 0.0
                spread = float(known.std()) if len(known) else 0.0
                stddevs[name + part] = spread if 0.0 < spread < np.inf else 1.0
        return cls(domain, levels, means, stddevs)

    def matrix(self, frame: pd.DataFrame) -> Float64Array:
        """Encodes rows, shape (n, d), with the same d for all frames."""
        parts: list[Float64Array] = [np.zeros((len(frame), 0))]
        for name, column in self.domain.features.items():
            if column.is_categorical:
                cells = column_as_read(frame[name], column).to_numpy(dtype=object)
                parts += [(cells == level).astype(np.float64)[:, None] for level in self.levels[name]]
                continue
            for part, values in _numbers(frame[name], column).items():
                cells = values.to_numpy()
                known = np.isfinite(cells)
                scaled = (np.where(known, cells, self.means[name + part]) - self.means[name + part]) / (
                    self.stddevs[name + part]
                )
                parts.append(np.clip(scaled, -_MAX_STDDEVS, _MAX_STDDEVS)[:, None])
                if column.nullable and not part:
                    parts.append((~known).astype(np.float64)[:, None])
        return np.hstack(parts)


def _numbers(cells: pd.Series, column: Column) -> dict[str, pd.Series]:
    """Returns a number, or a time's seconds and calendar parts, as float64 with NaN for null, by name suffix."""
    found = {"": numbers_as_read(cells, column)}
    if not column.is_timestamp:
        return found
    known = found[""].notna().to_numpy()
    local = local_seconds(np.where(known, found[""].to_numpy(), 0.0), column.time_zone)
    for part in PARTS:
        values = np.where(known, part_of(local, part), np.nan)
        found[f"_{part}"] = found[""].mask(known, values)
    return found
