"""The kept rows: all that a release reads of the source, in blocks, so that the source is read once.

The first pass over the source writes them, and in the same job and commit what its tasks counted of the same rows:
chunks of its sums, and the values of open columns. So both are those of the attempts that were committed. Later passes
read the blocks. A block is an Arrow batch in which text is coded by a dictionary and whole numbers take as few bytes as
they need; handing over a few thousand rows in one cell costs Spark little, handing over each cell of each row much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from threea_spark.engine.packed import BLOCK
from threea_spark.engine.partial_sums import CHUNK, SUMS, PartialSums

COUNTS = "counts"  # of the values of open columns in some rows, a list in one cell: a file holds few records
COLUMN, VALUE, COUNT = "name", "value", "n"
KEPT_SCHEMA = (
    f"{BLOCK} binary, {CHUNK} int, {SUMS} array<bigint>, "
    f"{COUNTS} array<struct<{COLUMN}: string, {VALUE}: binary, {COUNT}: bigint>>"
)
_ARROW_SCHEMA = pa.schema(
    [
        (BLOCK, pa.binary()),
        (CHUNK, pa.int32()),
        (SUMS, pa.list_(pa.int64())),
        (COUNTS, pa.list_(pa.struct([(COLUMN, pa.string()), (VALUE, pa.binary()), (COUNT, pa.int64())]))),
    ]
)
_BLOCK_BYTES = 1 << 20  # Parquet's writer looks at the size of a page at every hundredth cell
_RECORD_COUNTS = 1 << 15  # about a megabyte where values are short
KEPT_FILE_BLOCKS = 1 << 6  # Spark's reader holds a file's blocks at once: 64 MB
_STEP_ROWS = 1 << 14  # fewer rows at a time spend more on the calls than on the rows
_STEP_BYTES = 1 << 24
_WORTH_A_DICTIONARY = 8  # rows for each of its values
_WHOLE_TYPES = (np.int8, np.int16, np.int32)


@dataclass(frozen=True)
class Keep:
    """The task that keeps rows, sums them, and counts the values of open columns; sent with the task.

    Attributes:
      sums: Summed over the same rows; None if nothing is.
      counted: Columns of text whose values are counted.
    """

    sums: PartialSums[pa.RecordBatch] | None
    counted: tuple[str, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yields rows of KEPT_SCHEMA. PRIVATE."""
        total = None if self.sums is None else self.sums.zeros()
        for rows in coded_steps(batches):
            if self.sums is not None and total is not None:
                self.sums.add(total, rows)
            yield _filled(blocks_of_cells(rows))
            if self.counted:
                yield _filled(_all_value_counts(rows, self.counted))
        if self.sums is not None and total is not None:
            yield _filled(self.sums.chunks(total))


def coded_steps(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Joins small batches, and codes text by dictionaries, which every reading of a column then uses. PRIVATE."""
    for rows in in_steps(batches):
        columns = [_by_dictionary(cells) if _is_text(cells.type) else cells for cells in rows.columns]
        yield pa.RecordBatch.from_arrays(columns, rows.schema.names)


def in_steps(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Joins batches to as many rows as one step of numpy handles well, in bounded memory. PRIVATE."""
    waiting, n_rows, n_bytes = list[pa.RecordBatch](), 0, 0
    for batch in batches:
        waiting.append(batch)
        n_rows, n_bytes = n_rows + batch.num_rows, n_bytes + batch.nbytes
        if n_rows >= _STEP_ROWS or n_bytes >= _STEP_BYTES:
            yield _joined(waiting)
            waiting, n_rows, n_bytes = [], 0, 0
    if waiting:
        yield _joined(waiting)


def blocks_of_cells(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Writes rows as blocks. PRIVATE."""
    columns = [_narrowed(cells) if pa.types.is_float64(cells.type) else cells for cells in rows.columns]
    narrow = pa.RecordBatch.from_arrays(columns, rows.schema.names)
    per_block = max(1, rows.num_rows // (1 + narrow.nbytes // _BLOCK_BYTES))
    blocks = [narrow.slice(start, per_block) for start in range(0, rows.num_rows, per_block)]
    return pa.RecordBatch.from_arrays([pa.array(map(_written, blocks), pa.binary())], [BLOCK])


def cells_in_blocks(batches: Iterable[pa.RecordBatch], doubles: frozenset[str]) -> Iterator[pa.RecordBatch]:
    """Reads the rows of blocks back, in steps. PRIVATE.

    Args:
      batches: With a column of blocks.
      doubles: Columns of the kept rows that are float64.
    """
    yield from in_steps(_read(block, doubles) for batch in batches for block in batch.column(BLOCK))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _by_dictionary(cells: pa.Array) -> pa.Array:
    coded = cells.dictionary_encode()
    n_values = len(coded.dictionary)
    if n_values * _WORTH_A_DICTIONARY > len(cells):
        return cells
    return pa.DictionaryArray.from_arrays(
        coded.indices.cast(pa.from_numpy_dtype(_small_type(0, n_values))), coded.dictionary
    )


def _narrowed(cells: pa.Array) -> pa.Array:
    """Whole numbers in few bytes, if all are whole and none is -0.0; else the cells as they are."""
    data = cells.buffers()[1]
    numbers = np.frombuffer(data, dtype=np.float64, count=len(cells), offset=8 * cells.offset)
    with np.errstate(invalid="ignore"):
        whole = numbers.astype(np.int32)
    if not np.array_equal(whole.astype(np.float64).view(np.int64), numbers.view(np.int64)):
        return cells
    small = _small_type(int(whole.min(initial=0)), int(whole.max(initial=0)))
    return pa.array(whole.astype(small), mask=None if cells.null_count == 0 else np.asarray(cells.is_null()))


def _small_type(least: int, most: int) -> np.dtype[np.signedinteger[Any]]:
    """The smallest type of whole numbers that holds both."""
    return next(np.dtype(own) for own in _WHOLE_TYPES if np.iinfo(own).min <= least and most <= np.iinfo(own).max)


def _written(block: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, block.schema) as writer:
        writer.write_batch(block)
    return bytes(sink.getvalue())


def _read(block: pa.Scalar, doubles: frozenset[str]) -> pa.RecordBatch:
    rows = pa.ipc.open_stream(block.as_buffer()).read_next_batch()
    named = zip(rows.schema.names, rows.columns, strict=True)
    columns = [cells.cast(pa.float64()) if name in doubles else cells for name, cells in named]
    return pa.RecordBatch.from_arrays(columns, rows.schema.names)


def _joined(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Puts batches together, whether or not a column is coded by dictionary in each of them."""
    if len(parts) == 1:
        return parts[0]
    columns = [_joined_cells([part.column(place) for part in parts]) for place in range(parts[0].num_columns)]
    return pa.RecordBatch.from_arrays(columns, parts[0].schema.names)


def _joined_cells(parts: Sequence[pa.Array]) -> pa.Array:
    if any(part.type != parts[0].type for part in parts):
        parts = [part.dictionary_decode() if pa.types.is_dictionary(part.type) else part for part in parts]
    return pa.concat_arrays(parts)


def _all_value_counts(rows: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Counts the values of columns, in as few records as stay about as short as a block. PRIVATE."""
    counts = pa.concat_arrays([_value_counts(rows, name) for name in names])
    ends = [*range(0, len(counts), _RECORD_COUNTS), len(counts)]
    records = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), counts)
    return pa.RecordBatch.from_arrays([records], [COUNTS])


def _value_counts(rows: pa.RecordBatch, name: str) -> pa.StructArray:
    """Counts the values of a column by their bytes, nulls apart. PRIVATE."""
    cells = rows.column(name)
    found = pc.value_counts(cells.indices.drop_null() if pa.types.is_dictionary(cells.type) else cells.drop_null())
    values, counts = found.field("values"), found.field("counts")
    if pa.types.is_dictionary(cells.type):
        values = cells.dictionary.take(values)
    names = pa.array([name] * len(values), pa.string())
    return pa.StructArray.from_arrays([names, values.cast(pa.binary()), counts], [COLUMN, VALUE, COUNT])


def _filled(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of KEPT_SCHEMA: null in all other columns."""
    columns = [
        rows.column(own.name) if own.name in rows.schema.names else pa.nulls(rows.num_rows, own.type)
        for own in _ARROW_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_ARROW_SCHEMA)
