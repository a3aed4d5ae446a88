"""Gives the source's columns canonical names, and bounds the rows of each unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from threea_spark.columns import CONTENT, UNIT, UNIT_ID
from threea_spark.domain import CategoricalColumn, Domain, TimestampColumn
from threea_spark.encode.raw import column_name
from threea_spark.privacy.unit import Missing, PrivacyUnit, order_token, unit_token
from threea_spark.task import as_task

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
    from pyspark.sql import functions as F

    columns: list[Column] = []
    for position, (name, column) in enumerate(domain.columns.items()):
        cell = F.col(quoted(name))
        if isinstance(column, CategoricalColumn):
            cell = cell.cast("string")
        elif not isinstance(column, TimestampColumn):
            cell = cell.cast("double")
        columns.append(cell.alias(column_name(position)))
    if unit.column is None:
        return table.select(*columns)
    identifier = F.col(quoted(unit.column))
    kept = table.where(identifier.isNotNull()) if unit.missing is Missing.DROP else table
    return kept.select(*columns, identifier.cast("string").alias(UNIT_ID))


def only_new(rows: DataFrame, earlier: DataFrame, domain: Domain, unit: PrivacyUnit) -> DataFrame:
    """Keeps the rows of units that an earlier version did not hold.

    A unit's rows are kept or not by what that unit alone has in the two versions. Where each row is a unit, that holds
    only if no row was changed or removed in between, which the caller has checked; as many rows are then kept of each
    content as came since.

    Args:
      rows, earlier: The version that is read and the earlier one. PRIVATE.
      domain: Columns that are read.
      unit: Whose presence is hidden.
    """
    from pyspark.sql import functions as F

    if unit.column is not None:
        free = UNIT_ID + "_" * max(map(len, rows.columns))  # longer than any column's name, so that it is none of them
        known = earlier.select(F.col(quoted(unit.column)).cast("string").alias(free)).distinct()
        same = F.col(quoted(unit.column)).cast("string").eqNullSafe(F.col(free))
        return rows.join(known, same, "left_anti")
    types = {name: simple for name, simple in schema_of(rows).items() if name in domain.columns}
    held = set(earlier.columns)  # a column that was added later is null in the rows from before
    then = [F.col(quoted(name)) if name in held else F.lit(None).cast(types[name]).alias(name) for name in types]
    return rows.select(*[F.col(quoted(name)) for name in types]).exceptAll(earlier.select(*then))


def bound_rows(rows: DataFrame, unit: PrivacyUnit, key: bytes) -> DataFrame:
    """Keeps at most `max_rows` rows of each unit, in a secret order, and gives every row its unit's token.

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
    hashed = rows.withColumn(CONTENT, F.xxhash64(*kept))
    schema = hashed.select(*kept).schema

    def tokens(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = batch.column(UNIT_ID).cast(pa.binary()).dictionary_encode()  # bytes: not all text is valid UTF-8
            known = np.array([unit_token(key, value) for value in [*ids.dictionary.to_pylist(), None]], dtype=np.int64)
            index = ids.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
            content = batch.column(CONTENT).to_numpy(zero_copy_only=False).astype("<i8")
            order = np.array([order_token(key, item.tobytes()) for item in content], dtype=np.int64)
            arrays = [batch.column(name) for name in (*kept, UNIT_ID)]
            names = [*kept, UNIT_ID, UNIT, _ORDER]
            yield pa.RecordBatch.from_arrays([*arrays, pa.array(known[index]), pa.array(order)], names)

    ddl = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in schema.fields)
    tokened = hashed.mapInArrow(as_task(tokens), f"{ddl}, {UNIT_ID} string, {UNIT} bigint, {_ORDER} bigint")
    within_unit = Window.partitionBy(UNIT_ID).orderBy(_ORDER)  # not by the token: two units may share one
    ranked = tokened.withColumn(_RANK, F.row_number().over(within_unit))
    return ranked.where(F.col(_RANK) <= unit.max_rows).select(*kept, UNIT)
