"""Renames the source's columns canonically, and bounds the number of rows per unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from threea_spark.config.columns import Column as DomainColumn
from threea_spark.config.domain import Domain
from threea_spark.config.table_names import quoted_name
from threea_spark.engine.packed import UNIT, UNIT_ID, column_name
from threea_spark.engine.spark import SparkSource
from threea_spark.engine.task import as_task
from threea_spark.privacy.unit import Missing, PrivacyUnit, unit_token
from threea_spark.source.row_order import row_digests
from threea_spark.source.schema import CHAR_DECLARED, base_type, holds_text, released_type

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_ORDER = "order"
_RANK = "rank"


def schema_of(table: DataFrame) -> dict[str, str]:
    """Returns Spark's simple type string by column name, char(n) and varchar(n) as declared; reads no row."""
    return {
        field.name: (field.metadata or {}).get(CHAR_DECLARED, field.dataType.simpleString())
        for field in table.schema.fields
    }


def canonical(table: DataFrame, domain: Domain, unit: PrivacyUnit) -> DataFrame:
    """Selects the domain's columns as c0, c1, ... in types that Arrow supports; no cast here can fail on a value."""
    types = schema_of(table)
    columns = [
        cell_as_read(name, column, types[name]).alias(column_name(position))
        for position, (name, column) in enumerate(domain.columns.items())
    ]
    if unit.column is None:
        return table.select(*columns)
    identifier = _identifier(unit.column)
    kept = table.where(identifier.isNotNull()) if unit.missing is Missing.DROP else table
    return kept.select(*columns, identifier.alias(UNIT_ID))


def cell_as_read(name: str, column: DomainColumn, simple: str) -> Column:
    """Returns a column's cells as they are read: numbers as float64, categories and times in their own type."""
    from pyspark.sql import functions as F

    cell = F.col(quoted_name(name))
    if column.is_timestamp:
        return cell
    if not column.is_categorical:
        return cell.cast("double")
    if base_type(simple) == "char":  # padded by Spark, where a session has it so or the rows were written so
        return F.rtrim(cell.cast("string"))
    return cell.cast("string") if holds_text(simple) else cell


def _identifier(column: str) -> Column:
    """Returns a unit's identifier as bytes, because a collation may treat different text as equal."""
    from pyspark.sql import functions as F

    return F.col(quoted_name(column)).cast("string").cast("binary")


def only_new(rows: DataFrame, earlier: DataFrame, domain: Domain, unit: PrivacyUnit) -> DataFrame:
    """Keeps the rows of units that were not in an earlier version.

    Whether a unit's rows are kept depends only on that unit's rows in the two versions. If each row is a unit, this
    holds only if no row was changed or removed in between, which the caller has checked; of rows with equal content, as
    many are kept as were added since. Contents are compared as they are read (text by its bytes), because Spark may
    keep any of the rows that it considers equal.

    Args:
      rows, earlier: The version that is read and the earlier one. PRIVATE.
      domain: The columns that are read.
      unit: The unit of privacy, whose presence is hidden.
    """
    from pyspark.sql import functions as F

    if unit.column is not None:
        free = UNIT_ID + "_" * max(map(len, rows.columns))  # longer than any column's name, so it cannot clash
        known = earlier.select(_identifier(unit.column).alias(free)).distinct()
        return rows.join(known, _identifier(unit.column).eqNullSafe(F.col(free)), "left_anti")
    types = schema_of(rows)
    late = {
        name: F.lit(None).cast(released_type(types[name])).alias(name)
        for name in domain.columns
        if name not in earlier.columns
    }
    before = earlier.select("*", *late.values())  # a column added later is null in earlier rows
    cells = [cell_as_read(name, column, types[name]).alias(name) for name, column in domain.columns.items()]
    return rows.select(*cells).exceptAll(before.select(*cells))


def spark_source(
    table: DataFrame, domain: Domain, unit: PrivacyUnit, key: bytes, staging: str, *, keeps: bool = False
) -> SparkSource:
    """The rows that a release reads, on Spark; see `canonical` and `bound_rows`.

    Args:
      table: PRIVATE.
      domain: Columns that are read.
      unit: Whose presence is hidden.
      key: The release's secret key.
      staging: Name of the private staging tables, which the caller drops; empty where nothing is staged.
      keeps: Whether the table is read once, and what is read is kept in staging until rows are packed.
    """
    opened = tuple(column_name(list(domain.columns).index(name)) for name in domain.open_columns)
    return SparkSource(bound_rows(canonical(table, domain, unit), unit, key), staging, keeps, opened)


def bound_rows(rows: DataFrame, unit: PrivacyUnit, key: bytes) -> DataFrame:
    """Keeps at most `max_rows` rows of each unit, in a secret order, and adds the unit's token to every row.

    The order is total: by a keyed digest of the unit and of everything that is read from a row, then by the cells
    themselves. So the rows kept of a unit are a function of its own rows and the key; rows that still tie are equal,
    and it does not matter which of them is kept. Units that own the same rows choose among them independently.

    If each row is a unit, tokens are drawn once, when the table is staged (see encode).

    Args:
      rows: Rows with canonical columns. PRIVATE.
      unit: The unit of privacy, whose presence is hidden.
      key: The release's secret key; it is sent with the task, and never appears in a query plan or a log.
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
    within_unit = Window.partitionBy(UNIT_ID).orderBy(*_total_order(kept))  # not by token: two units may share one
    ranked = tokened.withColumn(_RANK, F.row_number().over(within_unit))
    return ranked.where(F.col(_RANK) <= unit.max_rows).select(*kept, UNIT)


def _total_order(cells: Sequence[str]) -> list[str]:
    """Returns the columns of the secret order of a unit's rows; rows that tie in all of them are equal."""
    return [_ORDER, *cells]
