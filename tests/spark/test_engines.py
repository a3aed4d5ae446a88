"""The same rows on Spark and in memory: the same rows are kept of a unit, and every query has the same answer."""

import os
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.errors import AnalysisException
from queries import label_query, label_step

from threea_spark import ReleaseConfig
from threea_spark.anonymize.mix import Mixer
from threea_spark.anonymize.mixed_rows import mixing
from threea_spark.approximate.class_means import NormClip, norm_bins
from threea_spark.approximate.clusters import sizes_query, statistics_queries
from threea_spark.approximate.components import class_look
from threea_spark.approximate.correlation import products_query
from threea_spark.approximate.marginals import marginals_query
from threea_spark.approximate.mixture import starting_mixture
from threea_spark.approximate.tables import pairs_query, table_columns, tables_query
from threea_spark.encode.fit import measure_encoding
from threea_spark.encode.outline import encode_prices
from threea_spark.encode.packing import staged_rows
from threea_spark.engine.local import LocalSource
from threea_spark.engine.packed import UNIT, PackedRows, blocks_of
from threea_spark.engine.spark import SparkSource
from threea_spark.engine.staging import kept_name, staging
from threea_spark.planned import make_plan
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise
from threea_spark.privacy.query import RowBound, SumQuery
from threea_spark.privacy.selection import Selection
from threea_spark.privacy.terms import Stage
from threea_spark.privacy.unit import Missing, PrivacyUnit
from threea_spark.source.local import local_source
from threea_spark.source.pandas import arrow_table, released_types
from threea_spark.source.rows import spark_source

KEY = bytes(range(32))
CONFIG = ReleaseConfig.from_dict(
    {
        "source": {"path": "source"},
        "target": {"path": "target"},
        "privacy": {"epsilon": 200.0, "delta": 1e-4, "unit": {"column": "id", "max_rows": 2}},
        "anonymize": {"generator": "mix"},
        "domain": {
            "label": "y",
            "columns": {
                "a": {"type": "float", "lower": -3, "upper": 3, "nullable": True},
                "n": {"type": "integer", "lower": 0, "upper": 2**40},
                "t": {
                    "type": "timestamp", "lower": "2010-01-01", "upper": "2030-01-01", "nullable": True,
                    "parts": ["hour"],
                },
                "c": {"type": "categorical", "values": ["p", "q"], "nullable": True},
                "w": {"type": "categorical", "values": "open"},
                "y": {"type": "categorical", "values": ["no", "yes"]},
            },
        },
    }
)  # fmt: skip
DOMAIN = CONFIG.domain
N_ROWS = 600


@pytest.fixture(scope="module")
def table():
    """Units of one row to five, rows of nobody, equal rows, nulls and what lies far outside."""
    rng = np.random.default_rng(5)
    a = rng.normal(0.0, 1.0, N_ROWS)
    a[::7], a[1::50], a[2::50] = np.nan, np.inf, -1e300
    t = pd.Series(pd.to_datetime(rng.integers(1_300_000_000, 1_800_000_000, N_ROWS), unit="s", utc=True))
    t[::11] = pd.NaT
    ids = [None if place % 13 == 0 else f"unit {place % 180} é" for place in range(N_ROWS)]
    frame = pd.DataFrame(
        {
            "a": a,
            "n": rng.integers(0, 2**40, N_ROWS),
            "t": t,
            "c": rng.choice(["p", "q", "unknown", None], N_ROWS),
            "w": [f"w{value}" for value in rng.geometric(0.3, N_ROWS)],
            "y": rng.choice(["no", "yes", None], N_ROWS),
            "id": ids,
        }
    )
    frame.iloc[300:320] = frame.iloc[300]
    return arrow_table(frame, DOMAIN, "id")


@pytest.fixture(scope="module")
def frame(spark, table):
    return spark.createDataFrame(table).repartition(3)


@pytest.fixture(scope="module")
def sources(spark, table, frame):
    unit = CONFIG.privacy.privacy_unit
    with staging(spark, "engines", "") as name:
        yield spark_source(frame, DOMAIN, unit, KEY, name, keeps=True), local_source(table, DOMAIN, unit, KEY)


def counted(rows, schema):
    return Counter(map(repr, pa.table(rows).select(schema.names).cast(schema).to_pylist()))


@pytest.mark.parametrize("max_rows", [1, 2, 100])
@pytest.mark.parametrize("missing", Missing)
def test_the_same_rows_are_kept_of_a_unit(table, frame, missing, max_rows):
    unit = PrivacyUnit("id", max_rows, missing)
    local = pa.Table.from_batches(local_source(table, DOMAIN, unit, KEY).batches)
    on_spark = spark_source(frame, DOMAIN, unit, KEY, "").frame.toArrow()
    assert counted(on_spark, local.schema) == counted(local, local.schema)
    owned = Counter(local.column(UNIT).to_pylist())
    assert max(owned.values()) <= max_rows
    assert len(owned) == len(set(table.column("id").to_pylist()) - ({None} if missing is Missing.DROP else set()))
    other = local_source(table, DOMAIN, unit, KEY[::-1]).batches
    assert counted(pa.Table.from_batches(other), local.schema) != counted(local, local.schema)


def test_rows_that_are_units_have_no_tokens_on_either(table, frame):
    for source in (
        spark_source(frame, DOMAIN, PrivacyUnit(), KEY, ""),
        local_source(table, DOMAIN, PrivacyUnit(), KEY),
    ):
        assert not source.has_tokens
    assert local_source(table, DOMAIN, PrivacyUnit("id", 1), KEY).has_tokens


def test_a_table_without_rows_is_read_on_either(table, spark):
    empty = table.slice(0, 0)
    unit = CONFIG.privacy.privacy_unit
    local = local_source(empty, DOMAIN, unit, KEY)
    encoded = measure_encoding(local, CONFIG, meter_of(), PRICES)
    query = encoded.reader.histogram_query()
    with staging(spark, "empty", "") as name:
        frame = spark.createDataFrame(empty)
        kept, read = (spark_source(frame, DOMAIN, unit, KEY, name, keeps=keeps) for keeps in (True, False))
        found = [source.sums([query])[0].any() for source in (kept, kept, read, local)]
    assert found == [False] * 4


@pytest.mark.connect
def test_the_source_is_read_once_and_nothing_of_it_is_left(spark):
    """Rows that are drawn anew at each reading: all that is asked of them is told of the same draw."""

    def drawn(batches):
        for batch in batches:
            cells = np.frombuffer(os.urandom(8 * batch.num_rows), "<u8") % 1000 / 8.0
            text = pa.array([f"v{cell % 3:.0f}" for cell in cells.tolist()])
            yield pa.RecordBatch.from_arrays([pa.array(cells), text], ["c0", "c1"])

    def total(name, power):
        def contribution(batch):
            return np.array([(np.asarray(batch.column("c0")) ** power).sum() * 64], dtype=np.int64)

        return SumQuery(stage=Stage.ENCODE, name=name, bound=RowBound.count(), size=1, contribution=contribution)

    def packed(batches):
        for batch in batches:
            cells = (np.asarray(batch.column("c0")) * 8.0).astype(np.int16)
            zeros = np.zeros((2, len(cells)), dtype=np.int64)
            coins = np.zeros((2, len(cells)), dtype=np.uint32)
            yield blocks_of(PackedRows(cells[:, None], zeros[0], coins[0], coins[1], zeros[1]))

    frame = spark.range(0, 2_000, 1, 3).mapInArrow(drawn, "c0 double, c1 string")
    with staging(spark, "once", "") as name:
        source = SparkSource(frame, name, keeps=True, counted=("c1",))
        values = dict(source.passing_values("c1", lambda value, count: count))
        first, second = source.sums([total("a", 1), total("b", 2)])
        assert spark.catalog.tableExists(kept_name(name))
        cells = source.staged(packed, 1).sample(1.0).packed[:, 0].astype(np.int64)
        assert not spark.catalog.tableExists(kept_name(name))
        assert (first[0], second[0]) == (8 * cells.sum(), (cells**2).sum())
        assert values == Counter(f"v{cell / 8.0 % 3:.0f}" for cell in cells.tolist())
    assert not spark.catalog.tableExists(name)


def test_what_was_kept_is_dropped_if_a_reading_fails(spark):
    def fails(batch):
        raise ZeroDivisionError

    query = SumQuery(stage=Stage.ENCODE, name="a", bound=RowBound.count(), size=1, contribution=fails)
    frame, names = spark.range(0, 10, 1, 1).selectExpr("cast(id as string) c0"), list[str]()

    def read():
        with staging(spark, "fails", "") as name:
            names.append(name)
            source = SparkSource(frame, name, keeps=True, counted=("c0",))
            assert len(source.frequent_values("c0", 20, above=0)) == 10
            source.sums([query])

    with pytest.raises(Exception, match="ZeroDivisionError"):
        read()
    assert not [table.name for table in spark.catalog.listTables() if table.name.startswith(names[0])]


def test_the_same_values_pass_a_selection_with_the_same_noise(sources):
    mechanism = NoisySum(
        context=("r", "encode", "values-of-w"), squared_sensitivity=4, mu=0.5, relation=make_plan(CONFIG).relation,
        moved=2,
    )  # fmt: skip
    passes = Selection(mechanism, 30.0, KeyedNoise(KEY)).passes
    on_spark, local = (sorted(source.passing_values("c4", passes)) for source in sources)
    assert on_spark == local
    assert 0 < len(local) < len(sources[1].frequent_values("c4", 100, above=0))
    frequent = [[source.frequent_values("c4", most, above=9) for most in (3, 100)] for source in sources]
    assert frequent[0] == frequent[1]


PRICES = encode_prices(CONFIG, make_plan(CONFIG).mu_of(Stage.ENCODE))


def meter_of():
    return PrivacyMeter(make_plan(CONFIG), KeyedNoise(KEY), "r1")


@pytest.fixture(scope="module")
def encoded(sources):
    """What Encode publishes on either."""
    found = [measure_encoding(source, CONFIG, meter_of(), PRICES) for source in sources]
    with np.printoptions(threshold=10**6, floatmode="unique"):
        assert repr(found[0]) == repr(found[1])
    return found[1]


@pytest.fixture(scope="module")
def both(sources, encoded):
    return [staged_rows(source, encoded.reader, encoded.encoding, mixes=True) for source in sources]


def test_the_same_histograms_to_the_last_bit(sources, encoded):
    assert isinstance(sources[0], SparkSource)
    assert isinstance(sources[1], LocalSource)
    asked = [encoded.reader.histogram_query(), encoded.reader.classes_query()]
    for on_spark, local in zip(*(source.sums(asked) for source in sources), strict=True):
        np.testing.assert_array_equal(on_spark, local)
        assert local.any()


def queries(encoding):
    """One of every kind that staged rows are asked."""
    rng, look, columns = np.random.default_rng(1), class_look(encoding), table_columns(encoding, 5)
    clusters = {
        covariance: starting_mixture({0: 2, 1: 2}, encoding.width, covariance, rng, 0.5)
        for covariance in ("isotropic", "diagonal", "full")
    }
    scores = rng.normal(size=encoding.n_cells)
    asked = [query for own, mixture in clusters.items() for query in statistics_queries(encoding, mixture, own)]
    assert asked.count(None) == 1  # isotropic clusters have no second statistics
    return [
        *[query for query in asked if query is not None],
        sizes_query(encoding, clusters["full"], "sizes"),
        marginals_query(encoding, clusters["isotropic"], Stage.APPROXIMATE, "marginals"),
        pairs_query(columns),
        tables_query(columns, columns.pairs[-3:]),
        label_query(encoding, rng),
        look.norms_query(norm_bins(3.0), counts_classes=True),
        look.sums_query(NormClip(encoding.norm_bound // 2, 1.0)),
        products_query(
            Stage.APPROXIMATE, np.ones(len(encoding.features)), lambda rows: scores[encoding.cells(rows.packed)]
        ),
    ]


def test_the_same_answer_to_every_query_to_the_last_bit(both, encoded):
    asked = queries(encoded.encoding)
    on_spark, local = (staged.sums(asked) for staged in both)
    assert len(local) == len(asked) == 13
    for query, own, its in zip(asked, on_spark, local, strict=True):
        assert own.dtype == its.dtype == np.int64
        np.testing.assert_array_equal(own, its, err_msg=query.name)
        assert own.shape == (query.size,)
        assert own.any(), query.name


def cached_tables(spark):
    return [table.name for table in spark.catalog.listTables() if table.name.endswith("_labels")]


@pytest.mark.parametrize("on_executors", [True, False])
def test_the_same_sums_of_rows_cached_in_another_form_which_are_gone_after_it(
    spark, both, encoded, monkeypatch, on_executors
):
    query, fit = label_step(encoded.encoding, np.random.default_rng(1))

    def refused(frame, *level):
        raise AnalysisException("[NOT_SUPPORTED_WITH_SERVERLESS] PERSIST TABLE is not supported on serverless compute.")

    if not on_executors:
        monkeypatch.setattr(type(both[0].frame), "persist", refused)
    (wanted,) = both[1].sums([query.over(lambda rows: fit.targets_of(rows.sampled(0.4)))])
    assert wanted.any()
    for staged in both:
        with staged.cached_as(fit.targets_of.form(0.4)) as cached:
            for _ in range(2):
                np.testing.assert_array_equal(cached.sums([query])[0], wanted)
            assert len(cached_tables(spark)) == (staged is both[0] and not on_executors)
            assert staged is both[1] or cached.frame.is_cached is on_executors
    assert not cached_tables(spark)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_the_same_units_are_sampled(both, rate):
    on_spark, local = (staged.sample(rate) for staged in both)
    rows = [
        Counter(zip(own.coins.tolist(), own.group_tokens.tolist(), map(tuple, own.packed.tolist()), strict=True))
        for own in (on_spark, local)
    ]
    assert rows[0] == rows[1]
    assert (len(local) > 0) == (rate > 0.0)


def test_the_same_mixed_rows(both, encoded):
    encoding = encoded.encoding
    mixture = starting_mixture({0: 2, 1: 2}, encoding.width, "isotropic", np.random.default_rng(0), 0.5)
    mixer = Mixer(mixture.keep(np.ones(4, dtype=bool)), np.eye(2)[mixture.class_of], 10, 0.7)
    object.__setattr__(mixer.mixture, "sizes", np.array([300.0, 40.0, 5.0, 90.0]))
    meter = PrivacyMeter(make_plan(CONFIG), KeyedNoise(KEY), "r1")
    granted = meter.grant_groups(mixer.query(), meter.remaining_mu(Stage.ANONYMIZE))
    exchange = mixing(mixer, granted, encoding, "y", released_types(DOMAIN), 7)
    on_spark, local = both[0].exchanged(exchange).toArrow(), both[1].exchanged(exchange)
    assert local.num_rows == mixer.n_groups
    assert counted(on_spark, local.schema) == counted(local, local.schema)
