"""A unit that owns several rows: how many are read, which, and how far all of them together move a sum."""

import os
from collections import Counter

import numpy as np
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from threea_spark.config.domain import Domain
from threea_spark.encode.codec import Encoding
from threea_spark.encode.fit import reader_of
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.encode.packing import staged_rows
from threea_spark.engine.packed import UNIT
from threea_spark.engine.spark import SparkSource
from threea_spark.engine.staging import staging
from threea_spark.privacy.unit import Missing, PrivacyUnit
from threea_spark.source.rows import bound_rows, canonical

KEY = bytes(range(32))
NUMBER = {"type": "float", "lower": 0, "upper": 1e6}
DOMAIN = Domain.from_dict({"task": "none", "columns": {"a": NUMBER, "b": NUMBER}})
READER = reader_of(DOMAIN, {})
LAYOUT = HistogramLayout(READER.fields)
BIG, SMALL_UNITS = 100_000, 40


def visits(spark, *, n_big=BIG, n_small=SMALL_UNITS):
    """One unit of many rows, others of 1 to 5, and rows of nobody."""
    rows = spark.range(n_big).select(F.lit("big").alias("id"), F.col("id").cast("double").alias("a"))
    small = [(f"u{unit}", float(row)) for unit in range(n_small) for row in range(1 + unit % 5)]
    nobody = [(None, float(row)) for row in range(10)]
    return rows.union(spark.createDataFrame([*small, *nobody], "id string, a double")).withColumn("b", F.col("a") / 2)


def bounded(frame, max_rows, key=KEY):
    unit = PrivacyUnit("id", max_rows)
    return bound_rows(canonical(frame, DOMAIN, unit), unit, key)


def kept(frame, max_rows, key=KEY):
    """Values of `a` that are read, by unit token."""
    found = {}
    for row in bounded(frame, max_rows, key).select(UNIT, "c0").collect():
        found.setdefault(row[UNIT], set()).add(row["c0"])
    return found


@pytest.mark.parametrize("max_rows", [1, 3])
def test_every_unit_is_read_up_to_its_bound_and_never_beyond(spark, max_rows):
    sizes = Counter(len(rows) for rows in kept(visits(spark), max_rows).values())
    wanted = Counter(min(max_rows, 1 + unit % 5) for unit in range(SMALL_UNITS))
    wanted[max_rows] += 2  # the big unit, and the rows of nobody, which are one unit
    assert sizes == wanted


def test_the_choice_of_rows_looks_at_no_other_unit_and_at_no_partition(spark):
    alone = kept(visits(spark, n_big=0).repartition(1), 2)
    among = kept(visits(spark).repartition(5), 2)
    assert {token: among[token] for token in alone} == alone
    assert len(among) == len(alone) + 1
    other_key = kept(visits(spark, n_big=0), 2, key=os.urandom(32))
    assert sorted(map(sorted, other_key.values())) != sorted(map(sorted, alone.values()))


def test_identifiers_that_are_no_text_are_units_of_their_own(spark):
    ids = [bytearray(b"\xff\xfe"), bytearray(b"\xff\xfd"), bytearray(b"u"), None]
    frame = spark.createDataFrame(
        [(one, 1.0, float(row)) for one in ids for row in range(3)], "id binary, a double, b double"
    )
    assert len(kept(frame, 1)) == len(ids)
    assert bounded(frame, 2).count() == 2 * len(ids)


def test_all_rows_of_a_unit_move_a_histogram_within_the_bound_of_its_rows(spark):
    rows = [("u", 1.0, 2.0), ("v", 3.0, 4.0)]
    of_one = [("w", 9e5, 8e5)] * 7  # equal rows: the worst that a unit can do
    schema, max_rows = "id string, a double, b double", 4
    one_more, fewer = (
        SparkSource(bounded(spark.createDataFrame(table, schema), max_rows), "").sums([READER.histogram_query()])[0]
        for table in ([*rows, *of_one], rows)
    )
    moved = int(((one_more - fewer) ** 2).sum())
    assert moved == max_rows**2 * LAYOUT.bound.squared_norm  # so what a single row is priced at would be too little
    assert moved > LAYOUT.bound.squared_norm


def test_rows_of_one_unit_share_coin_and_group(spark):
    counts = LAYOUT.counts([np.linspace(0, 1e6, 500), np.linspace(0, 1e6, 500)])
    codes = LAYOUT.fit(LAYOUT.rows(counts.astype(float), 0.0), n_cells=[8, 8])
    encoding = Encoding(codes, None, 1.5)
    rows = bounded(visits(spark, n_big=50), 3)
    with staging(spark, "tokens", "") as name:
        held = staged_rows(SparkSource(rows, name), READER, encoding, mixes=True).sample(1.0)
    tokens = Counter(zip(held.coins.tolist(), held.group_tokens.tolist(), strict=True))
    assert len(tokens) == SMALL_UNITS + 2
    assert max(tokens.values()) == 3
    assert len({coin for coin, _ in tokens}) == len(tokens)


def test_rows_without_an_identifier_are_one_unit_or_are_never_read(spark):
    rows = [("u", 1.0, 1.0), ("u", 2.0, 1.0), ("u", 3.0, 1.0), (None, 4.0, 1.0), (None, 5.0, 1.0), (None, 6.0, 1.0)]
    frame = spark.createDataFrame(rows, "id string, a double, b double")
    kept = {}
    for missing in Missing:
        unit = PrivacyUnit("id", 2, missing)
        kept[missing] = bound_rows(canonical(frame, DOMAIN, unit), unit, KEY).select("c0").collect()
    assert len(kept[Missing.TOGETHER]) == len(kept[Missing.REFUSE]) == 4
    assert len(kept[Missing.DROP]) == 2
    assert max(row["c0"] for row in kept[Missing.DROP]) <= 3.0


def test_a_row_that_is_dropped_is_not_read_at_all(spark):
    sql = "SELECT IF(id = 0, NULL, 'u') AS id, IF(id = 0, raise_error('read'), 1.0D) AS a, 1.0D AS b FROM range(2)"
    dropped, together = (PrivacyUnit("id", 2, missing) for missing in (Missing.DROP, Missing.TOGETHER))
    assert len(canonical(spark.sql(sql), DOMAIN, dropped).collect()) == 1
    with pytest.raises(PySparkException, match="read"):
        canonical(spark.sql(sql), DOMAIN, together).collect()
