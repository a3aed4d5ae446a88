"""Encode, in order: find open categories, sum the histograms, make the codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.between.row_rules import RowRules
from threea_spark.encode.codec import Encoding
from threea_spark.encode.details import DetailPrices, measure_written
from threea_spark.encode.granularity import GranularityLayout
from threea_spark.encode.histogram import HistogramLayout, column_field
from threea_spark.encode.packing import Reader
from threea_spark.encode.rules import LABEL_CELLS, clip_norm_of, codes_affinely, default_cells
from threea_spark.engine.packed import column_name
from threea_spark.engine.rows import SourceRows
from threea_spark.privacy.budget import Stage
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import RowBound, ValueQuery

SELECTION_SHARE = 0.3
FUNCTIONS_SHARE = 0.1
"""Part of Encode's mu^2 that counts the pairs of functional rules, where there are any without a public mapping."""
CLASSES_SHARE = 0.1
"""Part of Encode's mu^2, less that of the selection, that counts the classes by themselves."""
_CLEAR_STDDEVS = 4.0  # of the noise on a pair's count; the largest of fifty counts of noise alone is about 2.3
OTHER = "other"
"""Stands for every value that was not selected, where the column is not nullable."""


@dataclass(frozen=True)
class EncodedTable:
    """What Encode publishes.

    Attributes:
      encoding: Codes of all columns. RELEASED.
      n_rows: DP number of rows (exact in conditional mode, and internal there).
      reader: Reads canonical batches.
      stddev: Standard deviation of the noise on a count, in rows.
      rows_to_learn: DP number of rows outside the label's largest class; all rows where the label is no category.
      unclear: By decided column of functional rules: how many values of `from` have no clear pair, and how many exist.
    """

    encoding: Encoding
    n_rows: float
    reader: Reader
    stddev: float
    rows_to_learn: float
    unclear: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def measure_encoding(rows: SourceRows, config: ReleaseConfig, meter: PrivacyMeter) -> EncodedTable:
    """Spends Encode's share on the open categories, if any, the classes, and one histogram of every column.

    Args:
      rows: Canonical columns, bounded rows per unit. PRIVATE.
      config: The release's configuration.
      meter: Answers the queries.
    """
    open_columns = config.domain.open_columns
    mu_functions, mu_left = split_functions(meter.plan.mu_of(Stage.ENCODE), config.domain)
    mu_values, mu_classes, mu = split_mu(mu_left, len(open_columns), counts_classes(config))
    selected = {name: _selected(rows, name, config.domain, meter, mu_values) for name in open_columns}
    reader = reader_of(config.domain, selected, affine=codes_affinely(config))
    prices, steps = DetailPrices.of(mu, reader.fields), GranularityLayout(reader.fields)
    asked = [(reader.histogram_query(), prices.histograms)]
    if steps.places:
        asked.append((steps.query(reader), prices.granularity))
    if counts_classes(config):
        asked.append((reader.classes_query(), mu_classes))
    if reader.rules is not None and config.domain.counted_functions:
        asked.append((reader.rules.functions_query(), mu_functions))
    counts, *others = meter.ask_together(asked, rows)
    unclear = dict[str, tuple[int, int]]()
    if reader.rules is not None and config.domain.counted_functions:
        pairs = others.pop()
        unclear = reader.rules.unclear(pairs.value, _CLEAR_STDDEVS * pairs.stddev)
        reader = replace(reader, rules=reader.rules.with_functions(pairs.value))
    granularity, classes = (others[0] if steps.places else None), others[bool(steps.places) :]
    n_cells = [default_cells(config)] * len(reader.fields)
    if reader.has_label:
        n_cells[-1] = LABEL_CELLS
    layout = HistogramLayout(reader.fields)
    found = layout.rows(counts.value, counts.stddev)
    written = measure_written(rows, reader, found, granularity, meter, prices.spikes)
    encoding = reader.encoding(layout.fit(found, n_cells=n_cells, written=written), clip_norm_of(config))
    largest = float(classes[0].value.max()) if classes else 0.0
    return EncodedTable(encoding, found.n_rows, reader, found.stddev, max(found.n_rows - largest, 0.0), unclear)


def counts_classes(config: ReleaseConfig) -> bool:
    """Whether classes are counted by themselves: where their sizes decide how labels are made."""
    label = config.domain.label
    return label is not None and config.domain.columns[label].is_categorical and not config.is_mixing


def split_functions(mu: float, domain: Domain) -> tuple[float, float]:
    """Splits Encode's mu: the pairs of functional rules that are counted, and all else."""
    if not domain.counted_functions:
        return 0.0, mu
    return mu * math.sqrt(FUNCTIONS_SHARE), mu * math.sqrt(1.0 - FUNCTIONS_SHARE)


def split_mu(mu: float, n_open: int, has_classes: bool) -> tuple[float, float, float]:
    """Splits Encode's mu: the selection of each open column's values, the classes, the histograms of all columns."""
    mu_values = mu * math.sqrt(SELECTION_SHARE / n_open) if n_open else 0.0
    left = mu * math.sqrt(1.0 - SELECTION_SHARE) if n_open else mu
    if not has_classes:
        return mu_values, 0.0, left
    return mu_values, left * math.sqrt(CLASSES_SHARE), left * math.sqrt(1.0 - CLASSES_SHARE)


def reader_of(domain: Domain, selected: dict[str, tuple[str, ...]], *, affine: bool = False) -> Reader:
    """Lists what is coded, features first, and where it is read.

    Args:
      domain: The table's domain.
      selected: Values of open columns.
      affine: Whether numbers are coded by their moments, as in wide tables.
    """
    coded, rules = domain.coded, RowRules(domain, selected) if domain.rules else None
    names = [*coded.features, *([] if domain.label is None else [domain.label])]
    position = {name: column_name(index) for index, name in enumerate(domain.columns)}
    columns = [
        column_field(
            name, column, selected, affine=affine and name not in domain.labels, is_label=name in domain.labels
        )
        for name, column in coded.features.items()
    ]
    if domain.label is not None:
        columns.append(column_field(domain.label, domain.columns[domain.label], selected, is_label=True))
    sources = tuple(names if rules is not None else map(position.__getitem__, names))
    return Reader(tuple(columns), sources, domain.label is not None, rules)


def value_query(name: str, domain: Domain) -> ValueQuery:
    """Which values of an open column may leave."""
    column = domain.open_columns[name]
    return ValueQuery(
        stage=Stage.ENCODE,
        name=f"values-of-{name}",
        bound=RowBound.count(),
        size=None,
        column=column_name(list(domain.columns).index(name)),
        min_units=column.min_units,
        n_columns=len(domain.open_columns),
        max_values=column.max_values,
    )


def _selected(rows: SourceRows, name: str, domain: Domain, meter: PrivacyMeter, mu: float) -> tuple[str, ...]:
    """Finds the values of one open column; the last one stands for all that were not found."""
    found = meter.select(value_query(name, domain), rows, mu)
    return (*(value for value in found if value != OTHER), OTHER)
