"""Moves arrays for Encode: counts rows, selects category names, sums histograms, stages packed vectors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import Int64Array, Uint32Array
from threea_spark.encode.codec import Encoding, Feature
from threea_spark.encode.histogram import ColumnField, Field, HistogramLayout
from threea_spark.encode.selection import Selection
from threea_spark.engine.packed import SCHEMA, UNIT, PackedRows, blocks_of
from threea_spark.engine.sums import exact_sums
from threea_spark.engine.task import as_task
from threea_spark.privacy.noise import NoiseSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


_COIN_BITS = np.uint64(32)


@dataclass(frozen=True)
class Reader:
    """What is read from which canonical columns; small, travels with tasks.

    Attributes:
      columns: Fields of the domain's columns in order, the label's last where there is a label.
      sources: The canonical column that each is read from.
      has_label: Whether the last field is the label.
    """

    columns: tuple[ColumnField, ...]
    sources: tuple[str, ...]
    has_label: bool

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields of all features, column after column, the label's last."""
        return tuple(field for column in self.columns for field in column.fields)

    def read(self, batch: pa.RecordBatch) -> list[NDArray[np.generic]]:
        """Reads one array for each field, shape (n,). PRIVATE."""
        columns = zip(self.columns, self.sources, strict=True)
        return [values for column, source in columns for values in column.read(batch.column(source))]

    def encoding(self, codecs: Sequence[Feature], clip_norm: float) -> Encoding:
        """Makes the table's codec from one codec a field; a timestamp takes its parts'."""
        features, label = (codecs[:-1], codecs[-1]) if self.has_label else (codecs, None)
        left, own = iter(features), self.columns[: len(self.columns) - self.has_label]
        columns = tuple(column.join([next(left) for _ in column.fields]) for column in own)
        return Encoding(columns, label, clip_norm)


def histogram_sums(rows: DataFrame, reader: Reader, layout: HistogramLayout) -> Int64Array:
    """Sums the histogram of every field, shape (layout.size,). PRIVATE."""
    return exact_sums(rows, lambda batch: layout.counts(reader.read(batch)), layout.size)


def selected_values(rows: DataFrame, source: str, selection: Selection, noise: NoiseSource) -> list[tuple[str, int]]:
    """Finds the values of one open column whose noisy counts pass. RELEASED.

    Noise and threshold are applied on executors, so what the driver collects has passed.
    """
    from pyspark.sql import functions as F

    value = F.col(source).cast("binary").alias(source)  # which no collation calls equal to another
    counted = rows.where(F.col(source).isNotNull()).groupBy(value).agg(F.count(F.lit(1)).alias("n"))

    def select(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            values, counts = _texts(batch.column(source)), batch.column("n").to_pylist()
            passed = [
                (v, n)
                for v, c in zip(values, counts, strict=True)
                if v is not None and (n := selection.passes(v, c, noise)) is not None
            ]
            yield pa.RecordBatch.from_arrays(
                [pa.array([v for v, _ in passed], pa.string()), pa.array([n for _, n in passed], pa.int64())],
                ["value", "n"],
            )

    found = counted.mapInArrow(as_task(select), "value string, n bigint")
    return [(row["value"], row["n"]) for row in found.collect()]  # bounded: only values that passed the threshold


def _texts(cells: pa.Array) -> list[str | None]:
    """The text of each cell, None where its bytes are no valid UTF-8: no name can be made of them. PRIVATE."""

    def text(cell: bytes) -> str | None:
        try:
            return cell.decode()
        except UnicodeDecodeError:
            return None

    return [text(cell) for cell in cells.cast(pa.binary()).to_pylist()]


def frequent_values(rows: DataFrame, source: str, most: int, *, above: int) -> list[str]:
    """Finds the most frequent values of one column among those of more rows than `above`, exactly. PRIVATE.

    Conditional mode only: no noise hides which values these are.
    """
    from pyspark.sql import functions as F

    counted = rows.where(F.col(source).isNotNull()).groupBy(source).agg(F.count(F.lit(1)).alias("n"))
    top = counted.where(F.col("n") > above).orderBy(F.desc("n"), source).limit(most)
    return [str(row[source]) for row in top.collect()]  # bounded: `most` values


def packed_vectors(rows: DataFrame, reader: Reader, encoding: Encoding, *, mixes: bool) -> DataFrame:
    """Codes every row as a packed vector, its class and its unit's tokens. PRIVATE; to be written once, then read.

    Where each row is a unit, its tokens are drawn here from the operating system: the written table holds the draw of
    the one attempt that was committed.

    Args:
      rows: Canonical columns. PRIVATE.
      reader, encoding: Of the table.
      mixes: Whether rows need a token for their group.
    """
    has_unit = UNIT in rows.columns

    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = reader.read(batch)
            label = columns.pop() if reader.has_label else np.zeros(batch.num_rows)
            packed = encoding.pack(columns, batch.num_rows)
            coins, tokens = _tokens_of(batch.column(UNIT)) if has_unit else _fresh_tokens(batch.num_rows, mixes)
            yield blocks_of(PackedRows(packed, encoding.class_of(label), coins, tokens if mixes else tokens * 0))

    return rows.mapInArrow(as_task(pack), SCHEMA)


def _tokens_of(units: pa.Array) -> tuple[Uint32Array, Uint32Array]:
    """Splits a unit's 63 secret bits: the coin gets the lower 32, the group token the 31 others."""
    bits = units.to_numpy(zero_copy_only=False).astype(np.uint64)
    return bits.astype(np.uint32), (bits >> _COIN_BITS).astype(np.uint32) << np.uint32(1)


def _fresh_tokens(n_rows: int, mixes: bool) -> tuple[Uint32Array, Uint32Array]:
    drawn = np.frombuffer(os.urandom((4 + 4 * mixes) * n_rows), dtype="<u4")
    return drawn[:n_rows], drawn[n_rows:] if mixes else np.zeros(n_rows, dtype=np.uint32)
