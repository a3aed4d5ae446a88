"""What the configuration alone says about the coded columns, before a row is read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.bounds import with_widest_bounds
from threea_spark.encode.fit import reader_of
from threea_spark.encode.histogram import Field, HistogramLayout
from threea_spark.encode.rules import LABEL_CELLS, codes_affinely


@dataclass(frozen=True)
class TableShape:
    """What a recipe depends on beside configuration and plan: public, or released by Encode.

    Attributes:
      n_rows: Public, assumed or DP number of rows.
      n_classes: Classes of the label; 1 where there is none.
      n_features: Coded columns without the label, parts of timestamps among them.
      width: Coordinates of a packed vector.
      rows_to_learn: Of them, those outside the label's largest class; all of them where the label is no category.
    """

    n_rows: float
    n_classes: int
    n_features: int
    width: int
    rows_to_learn: float = math.inf


def histogram_layout(config: ReleaseConfig) -> HistogramLayout:
    """The histograms that Encode sums: an open column has as many values as it may keep, a bound to be found is far."""
    most = {
        name: tuple(str(value) for value in range(column.max_values + 1))
        for name, column in config.domain.open_columns.items()
    }
    return HistogramLayout(reader_of(with_widest_bounds(config.domain), most, affine=codes_affinely(config)).fields)


def features_of(config: ReleaseConfig) -> tuple[Field, ...]:
    """The fields that are coded but the label's: columns, and parts of timestamps."""
    fields = histogram_layout(config).fields
    return fields[: len(fields) - (config.domain.label is not None)]


def max_width(features: tuple[Field, ...]) -> int:
    """Coordinates of a packed vector at most; levels that are too rare share one."""
    return sum(field.max_coordinates for field in features)


def expected_shape(config: ReleaseConfig, n_rows: float, *, label_cells: int = LABEL_CELLS) -> TableShape:
    """The shape of a table of so many rows, as far as the configuration tells.

    Args:
      config: The release's configuration.
      n_rows: Assumed; classes are taken for equally large.
      label_cells: Classes of a numeric label.
    """
    features = features_of(config)
    n_classes, columns = n_classes_of(config, label_cells), config.domain.columns
    label = None if config.domain.label is None else columns[config.domain.label]
    even = n_rows * (1.0 - 1.0 / n_classes) if label is not None and label.is_categorical else n_rows
    return TableShape(n_rows, n_classes, len(features), max_width(features), even)


def n_classes_of(config: ReleaseConfig, label_cells: int) -> int:
    """Classes of the label, null included; a numeric one has `label_cells`."""
    if config.domain.label is None:
        return 1
    label = config.domain.columns[config.domain.label]
    return config.domain.n_classes(label_cells) + int(label.nullable)
