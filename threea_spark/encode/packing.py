"""Reads canonical rows, and packs them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from threea_spark.arrays import Uint32Array
from threea_spark.encode.between.row_rules import RowRules
from threea_spark.encode.codec import Encoding, Feature
from threea_spark.encode.histogram import ColumnField, Field, HistogramLayout
from threea_spark.engine.packed import UNIT, PackedRows, blocks_of
from threea_spark.engine.rows import SourceRows, StagedRows
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

_COIN_BITS = np.uint64(32)


@dataclass(frozen=True)
class Reader:
    """Reads the fields from canonical columns; small enough to be sent with tasks.

    Attributes:
      columns: Fields of the domain's columns in order, the label's last where there is a label.
      sources: The column that each is read from: a canonical one, or a coded one where there are rules.
      has_label: Whether the last field is the label.
      rules: Rules between columns, by which rows are coded before they are read; None where there are none.
    """

    columns: tuple[ColumnField, ...]
    sources: tuple[str, ...]
    has_label: bool
    rules: RowRules | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields of all features, column after column, the label's last."""
        return tuple(field for column in self.columns for field in column.fields)

    def values_of(self, batch: pa.RecordBatch, places: Sequence[int]) -> list[NDArray[np.generic]]:
        """Reads one array for each of some fields that come first in their columns, shape (n,). PRIVATE."""
        cells, fields = self._cells(batch), self.fields
        columns = zip(self.columns, self.sources, strict=True)
        sources = [source for column, source in columns for _ in column.fields]
        return [fields[place].values_of(cells[sources[place]]) for place in places]

    def read(self, batch: pa.RecordBatch) -> list[NDArray[np.generic]]:
        """Reads one array for each field, shape (n,). PRIVATE."""
        cells = self._cells(batch)
        columns = zip(self.columns, self.sources, strict=True)
        return [values for column, source in columns for values in column.read(cells[source])]

    def _cells(self, batch: pa.RecordBatch) -> Mapping[str, pa.Array]:
        """The columns by name, coded where there are rules. PRIVATE."""
        if self.rules is not None:
            return self.rules.coded(batch)
        return dict(zip(batch.schema.names, batch.columns, strict=True))

    def encoding(self, codecs: Sequence[Feature], clip_norm: float) -> Encoding:
        """Makes the table's codec from one codec a field; a timestamp takes its parts'."""
        features, label = (codecs[:-1], codecs[-1]) if self.has_label else (codecs, None)
        left, own = iter(features), self.columns[: len(self.columns) - self.has_label]
        columns = tuple(column.join([next(left) for _ in column.fields]) for column in own)
        return Encoding(columns, label, clip_norm, self.rules)

    def histogram_query(self) -> SumQuery[pa.RecordBatch]:
        """The histograms of all fields, as one sum."""
        layout = HistogramLayout(self.fields)
        return SumQuery(
            stage=Stage.ENCODE,
            name="histograms",
            bound=layout.bound,
            size=layout.size,
            contribution=lambda batch: layout.counts(self.read(batch)),
        )

    def classes_query(self) -> SumQuery[pa.RecordBatch]:
        """The rows of each class of a label that is a category."""
        label, source = self.fields[-1], self.sources[-1]
        return SumQuery(
            stage=Stage.ENCODE,
            name="classes",
            bound=RowBound.count(),
            size=label.n_nodes,
            contribution=lambda batch: label.counts(label.values_of(self._cells(batch)[source])),
        )


def staged_rows(rows: SourceRows, reader: Reader, encoding: Encoding, *, mixes: bool) -> StagedRows:
    """Codes every row as a packed vector, its class and its unit's tokens, and keeps them to be read again. PRIVATE.

    Where each row is a unit, its tokens are drawn here from the operating system: what is kept is the draw of the one
    attempt that was committed.

    Args:
      rows: Canonical columns. PRIVATE.
      reader, encoding: How columns are read and coded.
      mixes: Whether rows need a token for their group.
    """
    has_tokens = rows.has_tokens

    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = reader.read(batch)
            label = columns.pop() if reader.has_label else np.zeros(batch.num_rows)
            packed = encoding.pack(columns, batch.num_rows)
            coins, tokens = _tokens_of(batch.column(UNIT)) if has_tokens else _fresh_tokens(batch.num_rows, mixes)
            classes, scores = encoding.class_of(label), encoding.label_scores(label)
            yield blocks_of(PackedRows(packed, classes, coins, tokens if mixes else tokens * 0, scores))

    return rows.staged(pack, encoding.width)


def _tokens_of(units: pa.Array) -> tuple[Uint32Array, Uint32Array]:
    """Splits a unit's 63 secret bits: the coin gets the lower 32, the group token the 31 others."""
    bits = units.to_numpy(zero_copy_only=False).astype(np.uint64)
    return bits.astype(np.uint32), (bits >> _COIN_BITS).astype(np.uint32) << np.uint32(1)


def _fresh_tokens(n_rows: int, mixes: bool) -> tuple[Uint32Array, Uint32Array]:
    drawn = np.frombuffer(os.urandom((4 + 4 * mixes) * n_rows), dtype="<u4")
    return drawn[:n_rows], drawn[n_rows:] if mixes else np.zeros(n_rows, dtype=np.uint32)
