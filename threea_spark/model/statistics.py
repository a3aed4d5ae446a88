"""The noisy counts of a model as tables for people and dashboards: post-processing of RELEASED numbers, so free.

docs/statistics.md explains each column of the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from threea_spark.arrays import Float64Array
from threea_spark.config.coded import not_coded
from threea_spark.encode.cell_names import feature_names, intervals_of
from threea_spark.encode.codec import Feature
from threea_spark.encode.noisy_tables import CellNames, NoisyTable, NoisyTables, TreeCounts
from threea_spark.encode.quantile_codec import QuantileCodec
from threea_spark.errors import ModelError
from threea_spark.model.cells_in_words import CellRows, as_rows
from threea_spark.model.statistics_schemas import NUMBER, SCHEMAS, SIDE, TEXT, TEXTS

if TYPE_CHECKING:
    from threea_spark.model.released import ReleaseModel

Codecs: TypeAlias = Mapping[tuple[str, str], Feature]
"""By column and part."""
_ORIGINS = {"null": "null", "other": "all values that were not found"}
_PAIRS_COUNTED = {
    "pairs": "every pair of columns, in groups of cells; the most telling pairs once more, cell by cell",
    "marginals": "every column with the label {label!r}; no other pair",
}


def statistics_of(model: ReleaseModel) -> dict[str, pa.Table]:
    """Makes the tables release, columns, histograms, categories and pairs.

    Raises:
      ModelError: if the model keeps no noisy counts.
    """
    tables, codecs = require_tables(model), _codecs(model)
    listed = pa.concat_tables(
        [_histogram(model, codecs, table) for table in tables.one_way()] or [SCHEMAS["histograms"].empty_table()]
    )
    trees = [own for tree in tables.trees for own in _levels(model, codecs[tree.column, ""], tree)]
    return {
        "release": _release(model, tables),
        "columns": _columns(model, tables),
        "histograms": pa.concat_tables([*trees, listed]),
        "categories": _categories(model, tables, listed),
        "pairs": pa.concat_tables(
            [_pair(model, table) for table in tables.pairs()] or [SCHEMAS["pairs"].empty_table()]
        ),
    }


def require_tables(model: ReleaseModel, name: str = "the model") -> NoisyTables:
    """Returns the noisy counts that a model keeps.

    Args:
      model: Fitted or loaded.
      name: How to call it in an error.

    Raises:
      ModelError: if it keeps none.
    """
    if model.tables is None:
        raise ModelError(
            f"{name} keeps no noisy counts: it was fitted before version 0.3.0. Fit it again, which spends its "
            "epsilon once more, or count the rows that it draws"
        )
    return model.tables


def _codecs(model: ReleaseModel) -> Codecs:
    """The codecs that rows are drawn by."""
    encoding = model.encoding
    features = encoding.features if encoding.label is None else (*encoding.features, encoding.label)
    return dict(zip(feature_names(encoding), features, strict=True))


def _levels(model: ReleaseModel, codec: Feature, tree: TreeCounts) -> Iterator[pa.Table]:
    """Rows of each level of a tree."""
    leaf_rows = _consistent_rows(model, codec.by_quantiles, tree)
    for level, node, counts in tree.levels():
        n_cells = len(counts)
        ends, closed = intervals_of(tree.grid, node, n_cells, is_open=tree.is_open)
        cells = CellNames(tree.column, "", tree.kind, ends, closed, ((),) * n_cells)
        used = None if leaf_rows is None else np.bincount(node, leaf_rows, n_cells).astype(np.float64)
        rows = as_rows(cells, model.domain)
        yield _histogram_rows(rows, level, counts, np.full(n_cells, tree.stddev), used, tree.name)


def _consistent_rows(model: ReleaseModel, codec: QuantileCodec | None, tree: TreeCounts) -> Float64Array | None:
    """Rows of each leaf by the distribution that the column is coded by, shape (n_leaves,); None without leaves."""
    if codec is None:
        return None
    own, grid = codec.grid, tree.grid
    middle = np.floor(0.5 * own.low + 0.5 * own.high) if own.whole else 0.5 * own.low + 0.5 * own.high
    inside = (middle >= grid.low[0]) & (middle <= grid.high[-1])
    if tree.is_open:
        inside &= middle > grid.low[0]
    if not grid.whole and not grid.is_atom[-1]:
        inside &= middle < grid.high[-1]
    rows = model.n_rows * (1.0 - codec.null_share) * np.diff(codec.cdf)
    return np.bincount(grid.index(middle[inside]), rows[inside], grid.n_leaves).astype(np.float64)


def _histogram(model: ReleaseModel, codecs: Codecs, table: NoisyTable) -> pa.Table:
    """Rows of a table of one column."""
    (cells,) = table.cells
    codec, used = codecs[cells.column, cells.part], np.full(cells.n_cells, np.nan)
    if codec.is_category and table.name == "histograms":
        used = codec.level_mass
    elif not codec.is_category and codec.by_quantiles is not None:
        shares = [*(1.0 - codec.null_share) * codec.cell_mass] if table.name != "histograms" else []
        used = model.n_rows * np.array([*shares, codec.null_share])[: cells.n_cells]
    return _histogram_rows(as_rows(cells, model.domain), 0, table.counts, table.stddev, used, table.name)


def _histogram_rows(
    rows: CellRows, level: int, counts: Float64Array, stddev: Float64Array, used: Float64Array | None, name: str
) -> pa.Table:
    n, schema = len(counts), SCHEMAS["histograms"]
    own = {
        **rows.columns,
        "level": np.full(n, level, dtype=np.int32),
        "value": [values[0] if len(values) == 1 else None for values in rows.values],
        "noisy_count": counts,
        "standard_error": stddev,
        "count": pa.nulls(n, NUMBER) if used is None else pa.array(used, from_pandas=True),
        "measured_by": [name] * n,
    }
    return pa.table({field.name: own[field.name] for field in schema}, schema=schema).filter(rows.is_used)


def _pair(model: ReleaseModel, table: NoisyTable) -> pa.Table:
    """Rows of a table of two columns."""
    first, second = (as_rows(cells, model.domain) for cells in table.cells)
    n_a, n_b = table.counts.shape
    places = {"a": np.repeat(np.arange(n_a), n_b), "b": np.tile(np.arange(n_b), n_a)}
    own: dict[str, object] = {}
    for side, rows in (("a", first), ("b", second)):
        listed = rows.columns | {"values": pa.array([list(own) or None for own in rows.values], TEXTS)}
        own |= {f"{name}_{side}": pa.array(listed[name], kind).take(places[side]) for name, kind in SIDE.items()}
    own |= {"noisy_count": table.counts.ravel(), "standard_error": table.stddev.ravel()}
    own["measured_by"] = [table.name] * (n_a * n_b)
    kept = first.is_used[places["a"]] & second.is_used[places["b"]]
    return pa.table(own, schema=SCHEMAS["pairs"]).filter(kept)


def _categories(model: ReleaseModel, tables: NoisyTables, listed: pa.Table) -> pa.Table:
    """Values of categories, and where they come from; nulls of numbers are left out."""
    names = [*[own.column for own in tables.trees], *[own.column for own in tables.moments]]
    is_number = pc.and_(pc.is_in(listed["column"], pa.array(names, TEXT)), pc.is_null(listed["part"]))
    rows = listed.filter(pc.and_(pc.equal(listed["measured_by"], "histograms"), pc.invert(is_number)))
    names, parts, kinds = (rows[name].to_pylist() for name in ("column", "part", "kind"))
    opened = {name for name, column in model.domain.columns.items() if column.is_open}
    origins = [
        _ORIGINS.get(kind) or ("part of a time" if part else "found in the rows" if name in opened else "declared")
        for name, part, kind in zip(names, parts, kinds, strict=True)
    ]
    rows = rows.append_column("origin", pa.array(origins, TEXT))
    return rows.select(SCHEMAS["categories"].names).cast(SCHEMAS["categories"])


def _columns(model: ReleaseModel, tables: NoisyTables) -> pa.Table:
    """One row for each column of the domain, and for each that rules count in place of others."""
    schema, domain, means = SCHEMAS["columns"], model.domain, dict(_means(tables))
    coded, paired = domain.coded.features, Counter(cells.column for own in tables.pairs() for cells in own.cells)
    kinds = {tree.column: "histogram" for tree in tables.trees}
    kinds |= {own.column: "mean" for own in tables.moments}
    follows = not_coded(domain)
    rows = []
    for name, column in {**domain.columns, **coded}.items():
        counted = "categories" if column.is_categorical else kinds.get(name, "")
        if name in follows:
            counted = "not counted: a rule makes it of other columns"
        elif name not in coded and name != domain.label:
            counted = "not counted by itself: a rule counts it with others, in a column of another name"
        elif name not in domain.columns:
            counted += ", counted by a rule in place of columns of the table"
        mean, error = means.get(name, (None, None))
        rows.append((name, column.type, counted, mean, error, paired[name]))
    by_column = zip(zip(*rows, strict=True), schema, strict=True)
    return pa.table([pa.array(own, field.type) for own, field in by_column], schema=schema)


def _means(tables: NoisyTables) -> Iterator[tuple[str, tuple[float, float]]]:
    """Means of numbers without a histogram, with standard errors by the delta method for a ratio of two sums."""
    nulls = {own.cells[0].column: own for own in tables.one_way()}
    for own in tables.moments:
        present, variance = tables.n_rows, tables.n_rows_stddev**2
        if own.column in nulls:
            present, variance = present - float(nulls[own.column].counts[-1]), variance + own.stddev**2
        present = max(present, 1.0)
        half, mean = 0.5 * (own.upper - own.lower), own.first / present
        error = half * np.sqrt(own.stddev**2 + mean**2 * variance) / present
        yield own.column, (0.5 * (own.lower + own.upper) + half * mean, float(error))


def _release(model: ReleaseModel, tables: NoisyTables) -> pa.Table:
    """One row about all of them."""
    statement, schema = model.privacy, SCHEMAS["release"]
    names = {own.name for own in tables.pairs()}
    counted = next((words for name, words in _PAIRS_COUNTED.items() if name in names), "none")
    own = (tables.n_rows, tables.n_rows_stddev, tables.max_rows, statement.unit, statement.epsilon, statement.delta)
    row = (*own, counted.format(label=model.domain.label))
    return pa.table([pa.array([cell], field.type) for cell, field in zip(row, schema, strict=True)], schema=schema)
