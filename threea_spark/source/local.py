"""The rows of an Arrow table in memory, in canonical columns and bounded by unit: `source.rows` without Spark."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from threea_spark.arrays import Int64Array
from threea_spark.config.domain import Domain
from threea_spark.engine.local import LocalSource
from threea_spark.engine.packed import UNIT, column_name
from threea_spark.errors import SchemaError
from threea_spark.privacy.unit import Missing, PrivacyUnit, unit_token
from threea_spark.source.row_order import row_digests

_BATCH_ROWS = 1 << 14
_ORDER, _UNIT_INDEX, _PLACE = "order", "unit_index", "place"


def local_source(table: pa.Table, domain: Domain, unit: PrivacyUnit, key: bytes) -> LocalSource:
    """The rows that a release reads.

    Args:
      table: As `source.pandas.arrow_table` makes it: float64, text, and microseconds in UTC. PRIVATE.
      domain: Columns that are read.
      unit: Whose presence is hidden; its column holds text.
      key: The release's secret key.
    """
    names = [column_name(position) for position in range(len(domain.columns))]
    cells = pa.table([table.column(name) for name in domain.columns], names)
    if unit.column is not None:
        cells = _bounded(cells, table.column(unit.column), unit, key)
    batches = cells.combine_chunks().to_batches(_BATCH_ROWS)
    return LocalSource(tuple(batches) or (pa.RecordBatch.from_pylist([], cells.schema),))


def check_missing(unit: PrivacyUnit) -> None:
    """Refuses `missing: refuse`: a table in memory does not declare NOT NULL, and no row may be looked at to find out.

    Raises:
      SchemaError: always, under `missing: refuse`.
    """
    if unit.missing is Missing.REFUSE:
        raise SchemaError(
            f"privacy.unit.missing: refuse needs {unit.column!r} to be declared NOT NULL, which a table in memory "
            "cannot do; use drop or together"
        )


def _bounded(cells: pa.Table, units: pa.ChunkedArray, unit: PrivacyUnit, key: bytes) -> pa.Table:
    """Keeps at most `max_rows` rows of each unit, by the order of `row_digests`, and adds the unit's token."""
    if unit.missing is Missing.DROP:
        present = units.is_valid()
        cells, units = cells.filter(present), units.filter(present)
    ids = units.combine_chunks().cast(pa.binary()).dictionary_encode()
    tokens = np.array([unit_token(key, value) for value in [*ids.dictionary.to_pylist(), None]], dtype=np.int64)
    index = ids.indices.fill_null(len(tokens) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    of_unit = pa.array(tokens[index], pa.int64())
    columns = [of_unit, *(column.combine_chunks() for column in cells.columns)]
    order = row_digests(columns, key).cast(pa.binary()) if len(index) else pa.array([], pa.binary())
    kept = pa.array(_first_of_each(index, order, unit.max_rows))
    return cells.append_column(UNIT, of_unit).take(kept)


def _first_of_each(index: Int64Array, order: pa.Array, max_rows: int) -> Int64Array:
    """Places of the first `max_rows` rows of each unit in the secret order; rows that tie are equal."""
    by_order = pc.sort_indices(
        pa.table([pa.array(index), order], [_UNIT_INDEX, _ORDER]),
        sort_keys=[(_UNIT_INDEX, "ascending"), (_ORDER, "ascending")],
    ).to_numpy()
    sorted_units = index[by_order]
    starts = np.flatnonzero(np.diff(sorted_units, prepend=-1))
    rank = np.arange(len(index)) - np.repeat(starts, np.diff(np.append(starts, len(index))))
    return np.asarray(np.sort(by_order[rank < max_rows]), dtype=np.int64)
