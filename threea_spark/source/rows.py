"""Gives the source's columns canonical names, and bounds the rows of each unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from threea_spark.config.columns import Column as DomainColumn
from threea_spark.config.domain import Domain
from threea_spark.engine.packed import UNIT, UNIT_ID, column_name
from threea_spark.engine.task import as_task
from threea_spark.privacy.unit import Missing, PrivacyUnit, unit_token
from threea_spark.source.row_order import row_digests

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_ORDER = "order"
_RANK = "rank"


def quoted(name: str) -> str:
    """Quotes a column name for Spark, whatever it holds."""
    return "`" + name.replace("`", "``") + "`"


def schema_of(table: DataFrame) -> dict[str, str]:
    """Column names and Spark's simple type strings; reads no row."""
    return {field.name: field.dataType.simpleString() for field in table.schema.fields}


def canonical(table: DataFrame, domain: Domain, unit: PrivacyUnit) -> DataFrame:
    """Selects the domain's columns as c0, c1, ... in types that Arrow carries; no cast here can fail on a value."""
    types = schema_of(table)
    columns = [
        _cell(name, column, types[name]).alias(column_name(position))
        for position, (name, column) in enumerate(domain.columns.items())
    ]
    if unit.column is None:
        return table.select(*columns)
    identifier = _identifier(unit.column)
    kept = table.where(identifier.isNotNull()) if unit.missing is Missing.DROP else table
    return kept.select(*columns, identifier.alias(UNIT_ID))


def _cell(name: str, column: DomainColumn, simple: str) -> Column:
    """A column's cells as they are read: text, numbers as float64, times as they are."""
    from pyspark.sql import functions as F

    cell = F.col(quoted(name))
    if column.is_timestamp:
        return cell
    if not column.is_categorical:
        return cell.cast("double")
    if simple == "timestamp":  # as text in UTC, whatever the zone of the session
        epoch = F.lit("1970-01-01 00:00:00").cast("timestamp_ntz")
        cell = F.timestamp_add("MICROSECOND", F.unix_micros(cell), epoch)
    return cell.cast("string")


def _identifier(column: str) -> Column:
    """A unit's identifier as bytes, which no collation calls equal where they differ."""
    from pyspark.sql import functions as F

    return F.col(quoted(column)).cast("string").cast("binary")


def only_new(rows: DataFrame, earlier: DataFrame, domain: Domain, unit: PrivacyUnit) -> DataFrame:
    """Keeps the rows of units that an earlier version did not hold.

    A unit's rows are kept or not by what that unit alone has in the two versions. Where each row is a unit, that holds
    only if no row was changed or removed in between, which the caller has checked; as many rows are then kept of each
    content as came since. Contents are compared as they are read (text by its bytes), for of rows that Spark calls
    equal it keeps any.

    Args:
      rows, earlier: The version that is read and the earlier one. PRIVATE.
      domain: Columns that are read.
      unit: Whose presence is hidden.
    """
    from pyspark.sql import functions as F

    if unit.column is not None:
        free = UNIT_ID + "_" * max(map(len, rows.columns))  # longer than any column's name, so that it is none of them
        known = earlier.select(_identifier(unit.column).alias(free)).distinct()
        return rows.join(known, _identifier(unit.column).eqNullSafe(F.col(free)), "left_anti")
    types = schema_of(rows)
    late = {name: F.lit(None).cast(types[name]).alias(name) for name in domain.columns if name not in earlier.columns}
    before = earlier.select("*", *late.values())  # a column that came later is null in the rows from before
    cells = [_cell(name, column, types[name]).alias(name) for name, column in domain.columns.items()]
    return rows.select(*cells).exceptAll(before.select(*cells))


def bound_rows(rows: DataFrame, unit: PrivacyUnit, key: bytes) -> DataFrame:
    """Keeps at most `max_rows` rows of each unit, in a secret order, and gives every row its unit's token.

    The order is total: by a keyed digest of the unit and of all that is read of a row, then by the cells themselves. So
    the rows that are kept of a unit are a function of its own rows and the key; rows that still tie are equal, and it
    does not matter which of them is kept. Units that own the same rows choose among them apart.

    Where each row is a unit, tokens are drawn when the table is staged (see encode), once and for all.

    Args:
      rows: Canonical columns. PRIVATE.
      unit: Whose presence is hidden.
      key: The release's secret key; it travels with the task, never in a plan or a log.
    """
    if unit.column is None:
        return rows
    from pyspark.sql import functions as F
    from pyspark.sql.window import Window

    kept = [name for name in rows.columns if name != UNIT_ID]
    schema = rows.select(*kept).schema

    def tokens(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = batch.column(UNIT_ID).dictionary_encode()
            known = np.array([unit_token(key, value) for value in [*ids.dictionary.to_pylist(), None]], dtype=np.int64)
            index = ids.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
            cells, of_unit = [batch.column(name) for name in kept], pa.array(known[index])
            order = row_digests([of_unit, *cells], key).cast(pa.binary())
            arrays = [*cells, batch.column(UNIT_ID), of_unit, order]
            yield pa.RecordBatch.from_arrays(arrays, [*kept, UNIT_ID, UNIT, _ORDER])

    ddl = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in schema.fields)
    tokened = rows.mapInArrow(as_task(tokens), f"{ddl}, {UNIT_ID} binary, {UNIT} bigint, {_ORDER} binary")
    within_unit = Window.partitionBy(UNIT_ID).orderBy(*_total_order(kept))  # not by the token: two units may share one
    ranked = tokened.withColumn(_RANK, F.row_number().over(within_unit))
    return ranked.where(F.col(_RANK) <= unit.max_rows).select(*kept, UNIT)


def _total_order(cells: Sequence[str]) -> list[str]:
    """The secret order of a unit's rows: rows that it does not tell apart are equal."""
    return [_ORDER, *cells]
