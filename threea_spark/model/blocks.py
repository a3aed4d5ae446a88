"""Rows are drawn in blocks, each a function of the model, a public seed and its number: on executors or right here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Int64Array
from threea_spark.encode.cells import Decoded
from threea_spark.encode.codec import Encoding
from threea_spark.errors import ConfigError
from threea_spark.model.conditions import Conditions
from threea_spark.model.label_columns import draw_labelled_rows
from threea_spark.model.row_keys import RowKeys
from threea_spark.model.sampler import RowSampler, draw_rows

BLOCK_ROWS = 8192
MAX_LOCAL_ROWS = 10_000_000
_NO_KEYS, _NO_ROWS = RowKeys(), np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class BlockDraw:
    """One table that can be drawn from a model, block by block. RELEASED.

    Attributes:
      sampler, encoding, label: The model's parts; the label is the first of several.
      types: Spark's simple type string by column, in order; columns of the label's probability among them.
      n_rows: Rows of the table.
      seed: Public; which of the tables that could be drawn is drawn.
      conditions: Which rows to keep.
      further_labels: Labels beside the first.
      keys: Columns that number the rows.
    """

    sampler: RowSampler
    encoding: Encoding
    label: str | None
    types: Mapping[str, str]
    n_rows: int
    seed: int
    conditions: Conditions = field(default_factory=Conditions)
    further_labels: tuple[str, ...] = ()
    keys: RowKeys = field(default_factory=RowKeys)

    @property
    def n_blocks(self) -> int:
        """How many blocks the table has."""
        return -(-self.n_rows // BLOCK_ROWS)

    @property
    def draws_probability(self) -> bool:
        """Whether the table has columns that no codec decodes: those of the labels' probabilities."""
        decoded = set(self.encoding.decoded_names(self.label))
        return not set(self.types) <= decoded | set(self.keys.names)

    def block(self, number: int) -> pa.RecordBatch:
        """Draws one block, the same whoever draws it."""
        rng = public_generator(self.seed, number)
        size = min(BLOCK_ROWS, self.n_rows - number * BLOCK_ROWS)
        draws = self.draws_probability
        draw = partial(draw_labelled_rows, further_labels=self.further_labels) if draws else draw_rows

        def draw_more(n_rows: int) -> dict[str, Decoded]:
            rows = draw(self.sampler, self.encoding, self.label, n_rows, rng=rng)
            return dict(self.encoding.restored(rows, self.types))

        drawn = draw_more(size) if self.conditions.are_none else self.conditions.draw(draw_more, size, rng)
        return arrow_rows(drawn, self.types, self.keys, number * BLOCK_ROWS + np.arange(size, dtype=np.int64))

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Draws all blocks in order."""
        return (self.block(number) for number in range(self.n_blocks))

    def local_table(self) -> pa.Table:
        """Draws the whole table in this process.

        Raises:
          ConfigError: if it has more than 10 million rows.
        """
        if self.n_rows > MAX_LOCAL_ROWS:
            raise ConfigError(
                f"n_rows: at most {MAX_LOCAL_ROWS:,} rows are drawn in one process, got {self.n_rows:,}; "
                "use sample(spark, ...), which writes any number"
            )
        return pa.Table.from_batches(list(self.blocks()))


def public_generator(seed: int, number: int) -> np.random.Generator:
    """The public randomness of one block of a table."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, number))))


def arrow_rows(
    columns: Mapping[str, Decoded], types: Mapping[str, str], keys: RowKeys = _NO_KEYS, rows: Int64Array = _NO_ROWS
) -> pa.RecordBatch:
    """Writes decoded columns as one Arrow batch in the source's types and order.

    Args:
      columns: By name; they keep every rule between columns.
      types: Spark's simple type string by released column.
      keys: Columns that number rows.
      rows: Places of the rows in the whole table, where keys number them, shape (n,).
    """
    arrays = [
        keys.cells(name, simple, rows) if name in keys.names else columns[name].to_arrow(simple)
        for name, simple in types.items()
    ]
    return pa.RecordBatch.from_arrays(arrays, list(types))
