"""Encode, in order: find open categories, sum the histograms, make the codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode import selection
from threea_spark.encode import spark as passes
from threea_spark.encode.codec import Encoding
from threea_spark.encode.histogram import HistogramLayout, column_field
from threea_spark.encode.rules import LABEL_CELLS, codes_affinely, default_cells, default_clip_norm
from threea_spark.engine.packed import column_name
from threea_spark.privacy.budget import Stage
from threea_spark.privacy.meter import PrivacyMeter

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SELECTION_SHARE = 0.3


@dataclass(frozen=True)
class EncodedTable:
    """What Encode publishes.

    Attributes:
      encoding: Codes of all columns. RELEASED.
      n_rows: DP number of rows (exact in conditional mode, and internal there).
      reader: Reads canonical batches.
    """

    encoding: Encoding
    n_rows: float
    reader: passes.Reader


def measure_encoding(rows: DataFrame, config: ReleaseConfig, meter: PrivacyMeter) -> EncodedTable:
    """Spends Encode's share on the open categories, if any, and one histogram of every column.

    Args:
      rows: Canonical columns, bounded rows per unit. PRIVATE.
      config: The release's.
      meter: Pays.
    """
    mu = meter.plan.mu_of(Stage.ENCODE)
    open_columns = config.domain.open_columns
    selected: dict[str, tuple[str, ...]] = {}
    if open_columns:
        mu_selection = mu * math.sqrt(SELECTION_SHARE / len(open_columns))
        selected = {name: _select(rows, name, config, meter, mu_selection, len(open_columns)) for name in open_columns}
        mu *= math.sqrt(1.0 - SELECTION_SHARE)
    reader = reader_of(config.domain, selected, affine=codes_affinely(config))
    layout = HistogramLayout(reader.fields)
    sums = passes.histogram_sums(rows, reader, layout)
    noisy, stddev = meter.measure(
        Stage.ENCODE, "histograms", sums, squared_bound=layout.squared_bound, mu=mu, moved=layout.moved
    )
    n_cells = [default_cells(config)] * len(reader.fields)
    if reader.has_label:
        n_cells[-1] = LABEL_CELLS
    codecs, n_rows = layout.fit(noisy, stddev, n_cells=n_cells)
    clip_norm = default_clip_norm(config) if config.encode.clip_norm == "auto" else config.encode.clip_norm
    return EncodedTable(reader.encoding(codecs, clip_norm), n_rows, reader)


def reader_of(domain: Domain, selected: dict[str, tuple[str, ...]], *, affine: bool = False) -> passes.Reader:
    """Lists what is coded, features first, and where it is read.

    Args:
      domain: Of the table.
      selected: Values of open columns.
      affine: Whether numbers are coded by their moments, as in wide tables.
    """
    position = {name: column_name(index) for index, name in enumerate(domain.columns)}
    columns = [column_field(name, column, selected, affine=affine) for name, column in domain.features.items()]
    sources = [position[name] for name in domain.features]
    if domain.label is not None:
        columns.append(column_field(domain.label, domain.columns[domain.label], selected, is_label=True))
        sources.append(position[domain.label])
    return passes.Reader(tuple(columns), tuple(sources), domain.label is not None)


def _select(
    rows: DataFrame, name: str, config: ReleaseConfig, meter: PrivacyMeter, mu: float, n_columns: int
) -> tuple[str, ...]:
    """Finds the values of one open column; the last one stands for all that were not found."""
    column = config.domain.open_columns[name]
    most, min_units = column.max_values, column.min_units
    source = column_name(list(config.domain.columns).index(name))
    plan = meter.plan
    if plan.is_conditional:
        found = passes.frequent_values(rows, source, most, above=plan.unit.max_rows * (min_units - 1))
        meter.book_exact(Stage.ENCODE)
        return (*found, selection.OTHER) if found else (selection.OTHER,)
    mechanism = meter.grant(Stage.ENCODE, f"values-of-{name}", squared_bound=1, mu=mu, moved=1)
    least = selection.threshold(
        mechanism.stddev,
        max_rows=plan.unit.max_rows,
        distance=plan.relation.distance,
        n_columns=n_columns,
        delta=plan.delta_selection,
        min_units=min_units,
    )
    passed = passes.selected_values(rows, source, selection.Selection(mechanism, least), meter.noise)
    values = tuple(value for value in selection.ordered_values(passed, most) if value != selection.OTHER)
    return (*values, selection.OTHER)
