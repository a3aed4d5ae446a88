"""Kept rows come back as they were read, and what is counted while they are kept is what the rows say."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.cells import levels_of
from threea_spark.encode.outline import keeps_rows
from threea_spark.engine import kept as kept_rows
from threea_spark.engine.kept import (
    BLOCK,
    CHUNK,
    COLUMN,
    COUNT,
    COUNTS,
    SUMS,
    VALUE,
    Keep,
    cells_in_blocks,
    coded_steps,
)
from threea_spark.engine.partial_sums import PartialSums
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.terms import Stage

N_ROWS = 20_000
HARD = [None, float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1.0, 127.0, 128.0, -129.0, 2.0**31, 2.0**60, 0.5]


def hard_table():
    """Cells of every type that is read; whole numbers of every width, few and many different texts, nulls."""
    rng = np.random.default_rng(3)

    def of(cells, kind):
        return pa.array([cells[place] for place in rng.integers(0, len(cells), N_ROWS)], kind)

    days = [dt.date(1970, 1, 1) + dt.timedelta(days=int(day)) for day in rng.integers(-9_000, 9_000, 50)]
    moments = [None, *(dt.datetime(2020, 1, day, 3, 4, 5, 678, tzinfo=dt.timezone.utc) for day in range(1, 9))]
    whole = {f"whole{at}": pa.array(rng.integers(-at, at, N_ROWS), pa.float64()) for at in (9, 3_000, 2**31, 2**50)}
    return pa.table(
        {
            "hard": of(HARD, pa.float64()),
            "real": pa.array(rng.normal(size=N_ROWS)),
            **whole,
            "few": of(["a", "B", "", "größe ☃", None], pa.string()),
            "many": pa.array([None if at % 11 == 0 else f"name {at}" for at in range(N_ROWS)], pa.string()),
            "flag": of([True, False, None], pa.bool_()),
            "number": of([1, -7, None], pa.int32()),
            "money": of([Decimal("1.50"), None], pa.decimal128(9, 2)),
            "day": of(days, pa.date32()),
            "moment": of(moments, pa.timestamp("us", tz="UTC")),
        }
    )


TABLE = hard_table()
DOUBLES = frozenset(name for name in TABLE.schema.names if pa.types.is_float64(TABLE.schema.field(name).type))


def plain(batches):
    """All rows in the source's types."""
    columns = [
        [part.dictionary_decode() if pa.types.is_dictionary(part.type) else part for part in batch.columns]
        for batch in batches
    ]
    return pa.Table.from_batches([pa.RecordBatch.from_arrays(own, TABLE.schema.names) for own in columns])


def bits(table):
    """Text that tells NaN from null and -0.0 from 0.0."""
    return [table.column(name).to_pylist().__repr__() for name in TABLE.schema.names]


def numbers_query(name, size, contribution):
    return SumQuery(stage=Stage.ENCODE, name=name, bound=RowBound.count(), size=size, contribution=contribution)


@pytest.mark.parametrize("batch_rows", [70, 16_384, N_ROWS])
def test_rows_come_back_as_they_were_read_whatever_the_batches(batch_rows):
    batches = TABLE.to_batches(max_chunksize=batch_rows)
    wanted = bits(TABLE)
    assert bits(plain(coded_steps(batches))) == wanted
    kept = list(Keep(None, ())(iter(batches)))
    assert bits(plain(cells_in_blocks(kept, DOUBLES))) == wanted
    largest = max(len(block.as_py()) for batch in kept for block in batch.column(BLOCK))
    assert largest < 2 * 2**20


def test_whole_numbers_and_repeated_text_take_few_bytes():
    def size(*names):
        kept = Keep(None, ())(iter(TABLE.select(names).to_batches()))
        return sum(len(block.as_py()) for batch in kept for block in batch.column(BLOCK)) / N_ROWS

    assert size("whole9", "few") < 3.0
    assert size("whole3000") < 2.5
    assert 8.0 <= size(f"whole{2**50}") < 9.0


@pytest.mark.parametrize("record_counts", [1 << 15, 1_000])
def test_sums_and_values_are_counted_of_the_rows_that_are_kept(monkeypatch, record_counts):
    monkeypatch.setattr(kept_rows, "_RECORD_COUNTS", record_counts)
    queries = (
        numbers_query("rows", 1, lambda rows: np.array([rows.num_rows], dtype=np.int64)),
        numbers_query("wide", 5_000, lambda rows: np.full(5_000, rows.column("few").null_count, dtype=np.int64)),
    )
    batches = TABLE.to_batches(max_chunksize=9_999)
    kept = pa.Table.from_batches(list(Keep(PartialSums(queries), ("few", "many"))(iter(batches))))
    chunks = kept.filter(kept[CHUNK].is_valid()).sort_by(CHUNK)
    summed = np.concatenate([np.array(own, dtype=np.int64) for own in chunks[SUMS].to_pylist()])
    assert summed[0] == N_ROWS
    assert set(summed[1:5_001].tolist()) == {TABLE["few"].null_count}
    assert not summed[5_001:].any()
    records = kept[COUNTS].combine_chunks().drop_null()
    n_blocks = len(kept[BLOCK].drop_null())
    assert max(len(record) for record in records) <= record_counts
    assert len(records) <= n_blocks + N_ROWS // record_counts  # a record a value would fill files of few records
    assert len(kept) == n_blocks + len(records) + len(chunks)
    values = pa.Table.from_struct_array(records.flatten())
    counted = values.group_by([COLUMN, VALUE]).aggregate([(COUNT, "sum")])
    found = {(row[COLUMN], row[VALUE].decode()): row[f"{COUNT}_sum"] for row in counted.to_pylist()}
    wanted = {
        (name, row["values"]): row["counts"]
        for name in ("few", "many")
        for row in TABLE[name].combine_chunks().drop_null().value_counts().to_pylist()
    }
    assert found == wanted


def test_a_task_without_rows_hands_over_zeros_and_no_block():
    query = numbers_query("rows", 3, lambda rows: np.full(3, rows.num_rows, dtype=np.int64))
    (only,) = Keep(PartialSums((query,)), ("few",))(iter([]))
    assert only.column(SUMS).to_pylist() == [[0, 0, 0]]
    assert only.column(BLOCK).null_count == 1


def test_levels_are_those_of_the_text_however_it_is_coded():
    values = ("B", "a", "never")
    for cells in (TABLE["few"].combine_chunks(), TABLE["few"].combine_chunks().dictionary_encode()):
        levels = levels_of(cells, values, unknown=3, null=4)
        wanted = [4 if cell is None else {"B": 0, "a": 1}.get(cell, 3) for cell in TABLE["few"].to_pylist()]
        assert levels.tolist() == wanted


def test_rows_are_kept_where_they_are_read_more_than_twice_or_bounded_by_unit():
    def keeps(unit, **columns):
        content = {"columns": columns, "task": "none"}
        private = {"epsilon": 1.0, "delta": 1e-6, "unit": unit}
        place = {"source": {"path": "rows"}, "target": {"path": "released"}}
        return keeps_rows(ReleaseConfig.from_dict({**place, "privacy": private, "domain": content}))

    listed = {"type": "categorical", "values": ["x", "y"]}
    assert not keeps("row", a=listed)  # histograms, and packing
    assert keeps({"column": "id", "max_rows": 2}, a=listed)
    assert keeps("row", a=listed, b={"type": "float", "lower": 0, "upper": 9})
