"""Encode, in order: find open categories, sum the histograms, make the codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.between.row_rules import FUNCTIONS, RowRules
from threea_spark.encode.bounds import Found, bounds_layout
from threea_spark.encode.cell_names import encode_tables
from threea_spark.encode.codec import Encoding, Feature
from threea_spark.encode.details import measure_written
from threea_spark.encode.domain_fit import OpenValues
from threea_spark.encode.finer import FinerLook, finer_look
from threea_spark.encode.granularity import GranularityLayout
from threea_spark.encode.histogram import HistogramLayout, Histograms, column_field
from threea_spark.encode.misfits import Misfit, MisfitLayout, misfit_layout
from threea_spark.encode.noisy_tables import NoisyTables
from threea_spark.encode.packing import Reader
from threea_spark.encode.prices import EncodePrices
from threea_spark.encode.rules import CELL_STDDEVS, LABEL_CELLS, clip_norm_of, codes_affinely, default_cells
from threea_spark.engine.packed import column_name
from threea_spark.engine.rows import SourceRows
from threea_spark.privacy.mechanism import Measured
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import RowBound, SumQuery, ValueQuery
from threea_spark.privacy.terms import Stage

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
      misfits: DP shares of rows that a column's declaration does not fit, column after column.
      open_values: What was found of each open column.
      tables: The noisy counts themselves; None in conditional mode, where they are exact.
      unclear: By decided column of functional rules: how many values of `from` have no clear pair, and how many exist.
    """

    encoding: Encoding
    n_rows: float
    reader: Reader
    stddev: float
    rows_to_learn: float
    misfits: tuple[Misfit, ...]
    open_values: tuple[OpenValues, ...]
    tables: NoisyTables | None
    unclear: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def found_bounds(rows: SourceRows, domain: Domain, meter: PrivacyMeter, mu: float) -> Found:
    """Finds the bounds that are `auto`; without any, no row is read.

    Args:
      rows: Canonical columns, bounded rows per unit. PRIVATE.
      domain: As declared.
      meter: Answers the query.
      mu: The price.
    """
    layout = bounds_layout(domain)
    if not layout.columns:
        return {}
    counts = meter.ask(layout.query(), rows, mu)
    return layout.found(counts.value, counts.stddev, domain)


def measure_encoding(
    rows: SourceRows, config: ReleaseConfig, meter: PrivacyMeter, prices: EncodePrices
) -> EncodedTable:
    """Spends Encode's share, less that of the bounds: on open categories, on one pass of counts, and on finer looks.

    Args:
      rows: Canonical columns, bounded rows per unit. PRIVATE.
      config: The release's configuration, with the bounds that were found.
      meter: Answers the queries.
      prices: Of each sum, from the configuration as it was declared.
    """
    domain = config.domain
    selected = {name: _selected(rows, name, domain, meter, prices.values) for name in domain.open_columns}
    reader, misfits = reader_of(domain, selected, affine=codes_affinely(config)), misfit_layout(domain)
    counts, *others = meter.ask_together(asked := list(_first_look(reader, misfits, prices)), rows)
    answers = dict(zip((query.name for query, _ in asked[1:]), others, strict=True))
    wrong, classes = answers.get("misfits"), answers.get("classes")
    reader, unclear = _with_functions(reader, answers.get(FUNCTIONS))
    found = HistogramLayout(reader.fields).rows(counts.value, counts.stddev)
    codecs, finer = _codecs(rows, config, reader, found, answers.get("granularity"), meter, prices)
    plan = meter.plan
    largest = 0.0 if classes is None else float(classes.value.max())
    return EncodedTable(
        reader.encoding(codecs, clip_norm_of(config)),
        found.n_rows,
        reader,
        found.stddev,
        max(found.n_rows - largest, 0.0),
        () if wrong is None else misfits.misfits(wrong.value, wrong.stddev, found.n_rows),
        tuple(_open_values(reader, domain, codecs, found, meter, prices.values)),
        None if plan.is_conditional else encode_tables(reader.columns, found, plan.unit.max_rows, finer),
        unclear,
    )


def _codecs(
    rows: SourceRows,
    config: ReleaseConfig,
    reader: Reader,
    found: Histograms,
    granularity: Measured | None,
    meter: PrivacyMeter,
    prices: EncodePrices,
) -> tuple[tuple[Feature, ...], tuple[FinerLook, Measured] | None]:
    """Makes a codec of each field, and looks again where spikes stand out or leaves hold too many rows."""
    n_cells = [default_cells(config)] * len(reader.fields)
    if reader.has_label:
        n_cells[-1] = LABEL_CELLS
    written = measure_written(rows, reader, found, granularity, meter, prices.spikes)
    codecs = HistogramLayout(reader.fields).fit(found, n_cells=n_cells, written=written)
    look = finer_look(codecs, found.n_rows, found.stddev) if prices.finer else None
    if look is None:
        return codecs, None
    least = [max(found.n_rows / cells, CELL_STDDEVS * found.stddev) for cells in n_cells]
    finer = meter.ask(look.query(reader), rows, prices.finer)
    refined = look.refined(codecs, finer.value, finer.stddev, n_rows=found.n_rows, cell_rows=least)
    return refined, (look, finer)


def _with_functions(reader: Reader, pairs: Measured | None) -> tuple[Reader, dict[str, tuple[int, int]]]:
    """The reader that knows the pairs of functional rules, and what is unclear about them."""
    if reader.rules is None or pairs is None:
        return reader, {}
    unclear = reader.rules.unclear(pairs.value, _CLEAR_STDDEVS * pairs.stddev)
    return replace(reader, rules=reader.rules.with_functions(pairs.value)), unclear


def _first_look(
    reader: Reader, misfits: MisfitLayout, prices: EncodePrices
) -> Iterator[tuple[SumQuery[pa.RecordBatch], float]]:
    """The sums that one pass answers, each with its price."""
    yield reader.histogram_query(), prices.histograms
    steps = GranularityLayout(reader.fields)
    if steps.places and prices.granularity:
        yield steps.query(reader), prices.granularity
    if prices.misfits:
        yield misfits.query(), prices.misfits
    if prices.classes:
        yield reader.classes_query(), prices.classes
    if reader.rules is not None and prices.functions:
        yield reader.rules.functions_query(), prices.functions


def _open_values(
    reader: Reader, domain: Domain, codecs: Sequence[Feature], found: Histograms, meter: PrivacyMeter, mu: float
) -> Iterator[OpenValues]:
    """What the codecs of open columns say, where they are DP; `other` is their last value."""
    if meter.plan.is_conditional:
        return
    for own, codec in zip(reader.fields, codecs, strict=True):
        if own.is_category and codec.is_category and own.catch_all and own.name in domain.open_columns:
            n_found = len(own.values) - 1
            share = min(float(codec.level_mass[n_found]) / found.n_rows, 1.0)
            needed = meter.least_count(value_query(own.name, domain), mu)
            yield OpenValues(own.name, n_found, share, found.stddev / found.n_rows, needed)


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
