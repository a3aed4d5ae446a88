"""What the configuration alone says about the coded columns, before a row is read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.bounds import with_widest_bounds
from threea_spark.encode.fit import reader_of
from threea_spark.encode.histogram import Field, HistogramLayout
from threea_spark.encode.packing import Reader
from threea_spark.encode.prices import EncodePrices
from threea_spark.encode.rules import LABEL_CELLS, codes_affinely, default_cells


@dataclass(frozen=True)
class LabelShape:
    """What the choice whether to learn a label depends on: public, or released by Encode.

    Attributes:
      name: The label's column.
      n_classes: Its classes, or the cells of a number, with the one of null.
      rows_to_learn: Rows outside its largest class; all of them where it is no category.
      is_number: Whether it is a number.
    """

    name: str
    n_classes: int
    rows_to_learn: float
    is_number: bool


@dataclass(frozen=True)
class TableShape:
    """What a recipe depends on beside configuration and plan: public, or released by Encode.

    Attributes:
      n_rows: Public, assumed or DP number of rows.
      n_classes: Classes of the first label; 1 where there is none.
      n_features: Coded columns without the first label, parts of timestamps among them.
      width: Coordinates of a packed vector.
      rows_to_learn: Of them, those outside the label's largest class; all of them where the label is no category.
      further_labels: Labels beside the first.
    """

    n_rows: float
    n_classes: int
    n_features: int
    width: int
    rows_to_learn: float = math.inf
    further_labels: tuple[LabelShape, ...] = ()

    def labels_of(self, domain: Domain) -> tuple[LabelShape, ...]:
        """All labels, in order."""
        if domain.label is None:
            return ()
        is_number = domain.task == "regression"
        return (LabelShape(domain.label, self.n_classes, self.rows_to_learn, is_number), *self.further_labels)


def expected_reader(config: ReleaseConfig) -> Reader:
    """What is coded: an open column has as many values as it may keep, a bound to be found is far."""
    most = {
        name: tuple(str(value) for value in range(column.max_values + 1))
        for name, column in config.domain.open_columns.items()
    }
    return reader_of(with_widest_bounds(config.domain), most, affine=codes_affinely(config))


def histogram_layout(config: ReleaseConfig) -> HistogramLayout:
    """The histograms that Encode sums, of what is coded at most."""
    return HistogramLayout(expected_reader(config).fields)


def encode_prices(config: ReleaseConfig, mu: float) -> EncodePrices:
    """Divides what Encode may spend among its sums, as the configuration is declared."""
    return EncodePrices.of(config, mu, histogram_layout(config).fields)


def keeps_rows(config: ReleaseConfig) -> bool:
    """Whether the rows are read once and kept: the rule reads the configuration alone.

    The histograms and packing read them in any case. To keep rows costs about as much as to read them once more, so it
    pays if bounds, spikes or finer leaves are looked for too, or if rows of a unit had to be bounded at each reading.
    """
    prices = encode_prices(config, 1.0)
    looks_again = max(prices.bounds, prices.spikes, prices.finer) > 0.0
    return looks_again or config.privacy.privacy_unit.column is not None


def features_of(config: ReleaseConfig) -> tuple[Field, ...]:
    """The fields that are coded but the first label's: columns, and parts of timestamps."""
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
    further = tuple(_further_label(config, name, n_rows) for name in config.domain.further_labels)
    return TableShape(n_rows, n_classes, len(features), max_width(features), even, further)


def _further_label(config: ReleaseConfig, name: str, n_rows: float) -> LabelShape:
    column = config.domain.columns[name]
    if not column.is_categorical:
        return LabelShape(name, default_cells(config) + int(column.nullable), n_rows, is_number=True)
    n_classes = len(column.values) + int(column.nullable)
    return LabelShape(name, n_classes, n_rows * (1.0 - 1.0 / n_classes), is_number=False)


def n_classes_of(config: ReleaseConfig, label_cells: int) -> int:
    """Classes of the first label, null included; a numeric one has `label_cells`."""
    if config.domain.label is None:
        return 1
    label = config.domain.columns[config.domain.label]
    return config.domain.n_classes(label_cells) + int(label.nullable)
