"""What the configuration alone tells about the coded columns, before a row is read."""

from __future__ import annotations

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.fit import reader_of
from threea_spark.encode.histogram import MAX_CATEGORY_CELLS, CategoryField, Field, HistogramLayout
from threea_spark.encode.rules import codes_affinely


def histogram_layout(config: ReleaseConfig) -> HistogramLayout:
    """The histograms that Encode sums; an open column has as many values as it may keep, and `other`."""
    most = {
        name: tuple(str(value) for value in range(column.max_values + 1))
        for name, column in config.domain.open_columns.items()
    }
    return HistogramLayout(reader_of(config.domain, most, affine=codes_affinely(config)).fields)


def features_of(config: ReleaseConfig) -> tuple[Field, ...]:
    """The fields that are coded but the label's: columns, and parts of timestamps."""
    fields = histogram_layout(config).fields
    return fields[: len(fields) - (config.domain.label is not None)]


def max_width(features: tuple[Field, ...]) -> int:
    """Coordinates of a packed vector at most; levels that are too rare share one."""
    cells = [
        min(len(field.values), MAX_CATEGORY_CELLS + 1) if isinstance(field, CategoryField) else 1 for field in features
    ]
    return sum(cells) + sum(field.nullable for field in features)
