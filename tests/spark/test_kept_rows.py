"""The rows kept of a unit are a function of its own rows and the key: not of files, order, settings or other units."""

import datetime as dt
from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from threea_spark.config.domain import Domain
from threea_spark.engine.packed import UNIT
from threea_spark.privacy.unit import PrivacyUnit, unit_token
from threea_spark.source.row_order import row_digests
from threea_spark.source.rows import bound_rows, canonical

KEY = bytes(range(32))
NUMBER = {"type": "float", "lower": 0, "upper": 9, "nullable": True}
WORD = {"type": "categorical", "values": ["x", "y"], "nullable": True}
TIME = {"type": "timestamp", "lower": "2010-01-01", "upper": "2030-01-01", "nullable": True}
DOMAIN = Domain.from_dict(
    {"task": "none", "columns": {"a": NUMBER, "b": NUMBER, "v": WORD, "w": WORD, "t": TIME, "s": WORD}}
)
KINDS = {
    "a": pa.float64(), "b": pa.float64(), "v": pa.string(), "w": pa.string(),
    "t": pa.timestamp("us", tz="UTC"), "s": pa.timestamp("us", tz="UTC"),
}  # fmt: skip
MAX_ROWS = 2

moments = st.none() | st.sampled_from([dt.datetime(2020, 10, 25, hour, 30, tzinfo=dt.timezone.utc) for hour in (0, 1)])
numbers = st.none() | st.sampled_from([0.0, -0.0, 1.0])  # few values: ties, and rows that swap a value for a null
words = st.none() | st.sampled_from(["x", "X", "x ", ""])
row = st.tuples(numbers, numbers, words, words, moments, moments)
identifiers = st.none() | st.sampled_from(["bob", "BOB", "bob ", "", "caf\u00e9", "cafe\u0301"])
tables = st.lists(st.tuples(identifiers, row), min_size=1, max_size=30)

SETTINGS = [
    {},
    {"spark.sql.shuffle.partitions": "5", "spark.sql.adaptive.enabled": "false"},
    {"spark.sql.session.timeZone": "Europe/Berlin", "spark.sql.ansi.enabled": "false"},
    {"spark.sql.execution.arrow.maxRecordsPerBatch": "3", "spark.sql.optimizer.windowGroupLimitThreshold": "-1"},
    {"spark.sql.files.maxPartitionBytes": "600", "spark.sql.files.openCostInBytes": "1"},
    {"spark.sql.caseSensitive": "true", "spark.sql.autoBroadcastJoinThreshold": "-1"},
]


def twin(table):
    """What should be kept, in Python: of each unit the rows with the least digests."""
    units = {}
    for who, own in table:
        units.setdefault(who, []).append(own)
    kept = Counter()
    for who, rows in units.items():
        token = unit_token(KEY, None if who is None else who.encode())
        columns = [[token] * len(rows), *([own[at] for own in rows] for at in range(6))]
        kinds = [pa.int64(), *KINDS.values()]
        digests = row_digests([pa.array(c, kind) for c, kind in zip(columns, kinds, strict=True)], KEY).to_pylist()
        kept.update(
            (token, repr(own)) for _, own in sorted(zip(digests, rows, strict=True), key=lambda p: p[0])[:MAX_ROWS]
        )
    return kept


def written(folder, table, cuts):
    """Writes the table as files of these sizes, the largest of which Spark reads first."""
    folder.mkdir()
    edges = [0, *sorted(cuts), len(table)]
    for number, (start, end) in enumerate(pairwise(edges)):
        part = table[start:end]
        columns = {name: pa.array([own[at] for _, own in part], kind) for at, (name, kind) in enumerate(KINDS.items())}
        pq.write_table(
            pa.table({"id": pa.array([who for who, _ in part], pa.string()), **columns}), folder / f"{number}.parquet"
        )
    return str(folder)


def kept(spark, path):
    unit = PrivacyUnit("id", MAX_ROWS)
    found = bound_rows(canonical(spark.read.parquet(path), DOMAIN, unit), unit, KEY).toArrow().to_pylist()
    return Counter((own[UNIT], repr(_cells(own))) for own in found)


def _cells(own):
    moments = [own[name] and own[name].astimezone(dt.timezone.utc) for name in ("c4", "c5")]
    return (own["c0"], own["c1"], own["c2"], own["c3"], *moments)


@pytest.fixture
def with_settings(spark):
    """Sets Spark's settings for one reading and puts them back."""

    def read(changes, path):
        before = {name: spark.conf.get(name, None) for name in changes}
        try:
            for name, value in changes.items():
                spark.conf.set(name, value)
            return kept(spark, path)
        finally:
            for name, value in before.items():
                spark.conf.set(name, value) if value is not None else spark.conf.unset(name)

    return read


@settings(deadline=None, max_examples=12, derandomize=True, suppress_health_check=list(HealthCheck))
@given(tables, tables, st.randoms(use_true_random=False), st.data())
def test_files_order_settings_and_other_units_change_no_unit_s_rows(
    with_settings, tmp_path_factory, base, others, random, data
):
    """Other units are added under names of their own: their rows lie among the others and change every file's size."""
    wanted = twin(base)
    added = [(None if who is None else f"other {who}", own) for who, own in others if who is not None]
    shuffled = [*base, *added]
    random.shuffle(shuffled)
    folder = tmp_path_factory.mktemp("kept")
    cuts = data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4))
    changes = data.draw(st.sampled_from(SETTINGS))
    found = with_settings(changes, written(folder / "one", shuffled, cuts))
    assert found == wanted + twin(added)
    assert with_settings({}, written(folder / "base", base, [])) == wanted


@pytest.mark.connect
def test_units_that_own_equal_rows_choose_among_them_apart(spark, tmp_path):
    """All would read the same rows if the order knew the rows alone; the key is fixed, so that this is no draw."""
    rows = [(value, None, None, None, None, None) for value in (0.0, 1.0, 2.0, 3.0)]
    path = written(tmp_path / "equal", [(f"unit {number}", own) for number in range(400) for own in rows], [])
    found = kept(spark, path)
    assert sum(found.values()) == 400 * MAX_ROWS
    for own in rows:
        times = sum(count for (_, cells), count in found.items() if cells == repr(own))
        assert binomtest(times, 400, MAX_ROWS / len(rows)).pvalue > 1e-4
