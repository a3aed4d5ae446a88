import numpy as np
import pyarrow.compute as pc
import pytest

from threea_spark.config.domain import Domain
from threea_spark.encode.codec import Encoding
from threea_spark.encode.fit import reader_of
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.encode.packing import staged_rows
from threea_spark.engine import kept
from threea_spark.engine.kept import KEPT_FILE_BLOCKS
from threea_spark.engine.packed import MAX_FILE_BLOCKS
from threea_spark.engine.spark import SparkSource
from threea_spark.engine.staging import kept_name, stage, staging
from threea_spark.model.blocks import BlockDraw
from threea_spark.model.draw import sampled_rows
from threea_spark.model.sampler import RowSampler
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.selection import Selection
from threea_spark.privacy.terms import Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit
from threea_spark.source.rows import bound_rows, canonical

DOMAIN = Domain.from_dict(
    {
        "label": "late",
        "columns": {
            "delay": {"type": "float", "lower": -60, "upper": 600, "nullable": True},
            "carrier.code": {"type": "categorical", "values": ["AA", "UA"], "nullable": True},
            "late": {"type": "categorical", "values": ["no", "yes"]},
        },
    }
)
ROWS = [
    (1.5, "AA", "no", "ann"),
    (None, "UA", "yes", "ann"),
    (float("nan"), None, "no", "ann"),
    (float("inf"), "ZZ", "yes", "bob"),
    (-1e9, "", "maybe", None),
    (30.0, "AA", "no", None),
]
SCHEMA = "delay double, `carrier.code` string, late string, person string"


def exact_sums(frame, contribution, size):
    query = SumQuery(stage=Stage.ENCODE, name="a", bound=RowBound.count(), size=size, contribution=contribution)
    return SparkSource(frame, "").sums([query])[0]


@pytest.fixture(scope="module")
def rows(spark):
    return spark.createDataFrame(ROWS, SCHEMA)


@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_sums_do_not_depend_on_partitions_to_the_last_bit(spark, partitions):
    numbers = spark.range(0, 100_000).selectExpr("id * 7919 % 1000003 as x").repartition(partitions)

    def contribution(batch):
        x = batch.column("x").to_numpy()
        return np.array([x.sum(), (x * x).sum(), len(x)] + [0] * 40_000, dtype=np.int64)

    sums = exact_sums(numbers, contribution, 40_003)
    x = np.arange(100_000, dtype=np.int64) * 7919 % 1000003
    assert sums[:3].tolist() == [x.sum(), (x * x).sum(), 100_000]
    assert not sums[3:].any()


def test_an_overflowing_sum_is_an_error_and_not_a_wrap(spark):
    def contribution(batch):
        return np.array([2**62], dtype=np.int64)

    with pytest.raises(Exception, match=r"(?i)overflow"):
        exact_sums(spark.range(0, 4, 1, 4), contribution, 1)


def test_a_table_without_rows_sums_to_zero(spark):
    assert exact_sums(spark.range(0), lambda batch: np.array([batch.num_rows], dtype=np.int64), 1).tolist() == [0]


@pytest.mark.parametrize("partitions", [1, pytest.param(3, marks=pytest.mark.connect), 7])
def test_histograms_equal_their_numpy_twin(rows, partitions):
    reader = reader_of(DOMAIN, {})
    layout = HistogramLayout(reader.fields)
    canonical_rows = canonical(rows.repartition(partitions), DOMAIN, PrivacyUnit())
    (sums,) = SparkSource(canonical_rows, "").sums([reader.histogram_query()])
    delay = np.array([1.5, np.nan, np.nan, 1e300, -1e9, 30.0])
    twin = layout.counts([delay, np.array([0, 1, 2, 2, 2, 0]), np.array([0, 1, 0, 1, 0, 0])])
    assert sums.tolist() == twin.tolist()


def test_a_unit_keeps_at_most_max_rows_whatever_the_partitions(rows):
    unit, key = PrivacyUnit(column="person", max_rows=2), new_key()
    kept = []
    for partitions in (1, 3, 7):
        bounded = bound_rows(canonical(rows.repartition(partitions), DOMAIN, unit), unit, key)
        kept.append(sorted(map(tuple, bounded.select("c0", "c1", "unit").collect()), key=repr))
    assert [len(one) for one in kept] == [5, 5, 5]  # ann 2 of 3, bob 1, the rows without a name are one unit
    assert repr(kept[0]) == repr(kept[1]) == repr(kept[2])


def test_which_rows_of_a_unit_are_kept_does_not_depend_on_other_units(spark):
    unit, key = PrivacyUnit(column="person", max_rows=3), new_key()
    mine = [(float(i), "AA", "no", "ann") for i in range(20)]
    others = [(float(i), "UA", "yes", f"p{i % 5}") for i in range(50)]

    def kept(all_rows):
        bounded = bound_rows(canonical(spark.createDataFrame(all_rows, SCHEMA), DOMAIN, unit), unit, key)
        return sorted(row["c0"] for row in bounded.where("c1 = 'AA'").collect())

    assert len(kept(mine)) == 3
    assert kept(mine) == kept(mine + others) == kept(others[:7] + mine)
    assert kept(mine) != [0.0, 1.0, 2.0] or kept(mine[::-1]) == kept(mine)


def test_several_queries_share_a_pass_and_each_gets_its_own_sum(spark):
    numbers = spark.range(0, 1_000, 1, 3)

    def query(name, size, power):
        def contribution(batch):
            return np.full(size, (batch.column("id").to_numpy() ** power).sum(), dtype=np.int64)

        return SumQuery(stage=Stage.ENCODE, name=name, bound=RowBound.count(), size=size, contribution=contribution)

    asked = [query("a", 1, 0), query("b", 5_000, 1), query("c", 3, 2)]
    found = SparkSource(numbers, "").sums(asked)
    assert [own.tolist() for own in found] == [[1_000], [499_500] * 5_000, [332_833_500] * 3]


@pytest.mark.connect
def test_staged_vectors_hold_what_was_packed_and_tokens_are_fresh(spark, rows):
    from threea_spark.encode.categories import category_codec
    from threea_spark.encode.grid import leaf_grid
    from threea_spark.encode.quantile_codec import quantile_codec

    grid = leaf_grid(-60, 600, whole=False)
    delay = quantile_codec("delay", "float", True, grid, np.ones(grid.n_leaves), cell_rows=40.0)
    carrier = category_codec("carrier.code", ("AA", "UA"), True, np.ones(3), min_rows=0.0, max_cells=64)
    late = category_codec("late", ("no", "yes"), False, np.ones(2), min_rows=0.0, max_cells=64)
    encoding = Encoding((delay, carrier), late, 10.0)
    reader = reader_of(DOMAIN, {})
    with staging(spark, "exact", "") as mixing, staging(spark, "unmixed", "") as drawing:
        check_staged(canonical(rows, DOMAIN, PrivacyUnit()), reader, encoding, mixing, drawing)


def check_staged(frame, reader, encoding, mixing, drawing):
    delay = encoding.features[0]
    staged = staged_rows(SparkSource(frame, mixing), reader, encoding, mixes=True)
    sample = staged.sample(1.0)
    assert sorted(sample.classes.tolist()) == [0, 0, 0, 0, 1, 1]
    assert len(set(sample.coins.tolist())) == len(set(sample.group_tokens.tolist())) == 6
    half = staged.sample(0.5)
    assert sorted(half.coins.tolist()) == sorted(coin for coin in sample.coins.tolist() if coin < 2**31)
    assert len(staged.sample(0.0)) == 0
    unmixed = staged_rows(SparkSource(frame, drawing), reader, encoding, mixes=False)
    assert not unmixed.sample(1.0).group_tokens.any()
    cells = sorted(map(tuple, encoding.cells(sample.packed).tolist()))
    nulls = delay.n_value_cells
    offset = int(encoding.cell_layout.offsets[1])
    assert sum(cell == (nulls, offset + 2) for cell in cells) == 1  # NaN beside a null carrier
    assert sum(cell[1] == offset + 2 for cell in cells) == 3  # null, unknown and empty text


def test_a_staged_file_holds_a_bounded_number_of_blocks(spark):
    blocks = spark.range(0, MAX_FILE_BLOCKS + 1, 1, 1).selectExpr("1 as n_rows", "cast('x' as binary) as block")
    with staging(spark, "files", "") as name:
        assert len(stage(blocks, name).inputFiles()) == 2


def test_a_file_of_kept_rows_does_too_since_a_reader_holds_all_of_them_at_once(spark, monkeypatch):
    assert KEPT_FILE_BLOCKS * kept._BLOCK_BYTES <= 1 << 26
    rows = spark.range(0, 3 * kept._STEP_ROWS, 1, 1).selectExpr("rand(1) as c0")  # three blocks at least
    with staging(spark, "kept", "") as name:
        for most, n_files in ((1, 3), (KEPT_FILE_BLOCKS, 1)):
            monkeypatch.setattr("threea_spark.engine.spark.KEPT_FILE_BLOCKS", most)
            source = SparkSource(rows, name, keeps=True)
            source._keep(None)
            assert len(source._kept.inputFiles()) == n_files
            spark.sql(f"DROP TABLE {kept_name(name)}")


@pytest.mark.connect
def test_partition_selection_brings_only_frequent_values(spark):
    rows = spark.range(0, 3000).selectExpr(
        "case when id < 1500 then 'a' when id < 2990 then 'b' else concat('x', id) end c0"
    )
    mechanism = NoisySum(
        context=("t", "encode", "values"), squared_sensitivity=1, mu=0.1, relation=Relation.ADD_OR_REMOVE_ONE, moved=1
    )
    selection = Selection(mechanism, 100.0, KeyedNoise(new_key()))
    found = SparkSource(rows, "").passing_values("c0", selection.passes)
    assert sorted(value for value, _ in found) == ["a", "b"]
    assert all(abs(count - 1500) < 100 for _, count in found)


@pytest.mark.connect
def test_drawn_rows_do_not_depend_on_partitions_and_keep_types(spark):
    from threea_spark.encode.categories import category_codec

    code = category_codec("carrier", ("AA", "UA"), False, np.array([1.0, 1.0]), min_rows=0.0, max_cells=64)
    late = category_codec("late", ("no", "yes"), False, np.array([1.0, 1.0]), min_rows=0.0, max_cells=64)
    sampler = RowSampler(
        np.array([0.25, 0.75]),
        np.array([0, 1]),
        np.array([[0.9, 0.1], [0.2, 0.8]]),
        (np.array([0, 1]),),
        np.eye(1),
        None,
    )
    types = {"carrier": "string", "late": "string"}
    encoding = Encoding((code,), late, 1.0)
    drawn = [sampled_rows(spark, BlockDraw(sampler, encoding, "late", types, 20_000, 7)) for _ in range(2)]
    first, second = (sorted(map(tuple, frame.collect())) for frame in drawn)
    assert first == second
    assert len(first) == 20_000
    assert abs(sum(row[1] == "yes" for row in first) / 20_000 - 0.75) < 0.02
    assert sampled_rows(spark, BlockDraw(sampler, encoding, "late", types, 5, 8)).count() == 5
    table = drawn[0].limit(10).toArrow()
    assert pc.all(pc.is_in(table["carrier"], value_set=pc.unique(table["carrier"]))).as_py()
