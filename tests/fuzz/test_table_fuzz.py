"""Tables of every kind: whatever rows hold, a release ends in valid rows, no row is lost and no message tells a value.

By default some dozens of small tables, always the same ones. `make audit` (pytest -m slow) runs a million new rows.
"""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from benchmark_files import load
from drawn_tables import ARROW, UNITS, DrawnTable, check_released, drawn_tables
from profiles import few_or_many, for_all
from pyspark.sql import functions as F

from threea_spark import release
from threea_spark.anonymize.mix import Mixed
from threea_spark.config.columns import CategoricalColumn, TimestampColumn
from threea_spark.config.table_names import quoted_name
from threea_spark.engine.packed import UNIT, column_name
from threea_spark.model.blocks import arrow_rows
from threea_spark.model.sampler import Drawn, decode_rows
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.terms import Stage
from threea_spark.source.schema import check_schema

load("local_rows")
load("sensitivity_rows")
sums = load("sensitivity_sums")

WIDE = {"type": "float", "lower": 0, "upper": 1, "nullable": False}
LISTED = {"type": "categorical", "values": ["p"], "nullable": False}


def canonical(rows, config):
    """What `table.canonical` hands over: text, float64 or times, and a token for each unit."""
    arrays, names = [], []
    for place, (name, column) in enumerate(config.domain.columns.items()):
        cells = rows[name].combine_chunks()
        if isinstance(column, CategoricalColumn):
            cells = cells.cast(pa.string())
        elif not isinstance(column, TimestampColumn):
            cells = pa.array([None if cell is None else float(cell) for cell in cells.to_pylist()], pa.float64())
        arrays.append(cells)
        names.append(column_name(place))
    tokens = np.random.default_rng(1).integers(0, 2**63, rows.num_rows)
    return pa.RecordBatch.from_arrays([*arrays, pa.array(tokens)], [*names, UNIT])


def released_rows(fitted, table, config):
    """Draws or decodes rows in the source's types, as executors do."""
    outcome, label, rng = fitted.outcome, config.domain.label, np.random.default_rng(0)
    encoding = outcome.encoding
    if isinstance(outcome, Drawn):
        cells, classes = outcome.sampler.draw_cells(encoding, 200, rng)
        return arrow_rows(decode_rows(encoding, label, cells, classes, rng), table.types)
    groups = np.arange(min(outcome.mixer.n_groups, 200))
    noisy = rng.integers(-(10**7), 10**7, (len(groups), outcome.mixer.length))
    return arrow_rows(outcome.mixer.decode(encoding, label, groups, noisy, 0), table.types)


def check_conserved(fitted, n_rows):
    """Every row is staged once, in one class, and in one group where rows are mixed."""
    staged, encoding = fitted.staged.sample(1.0), fitted.outcome.encoding
    assert len(staged.packed) == len(staged.classes) == len(staged.coins) == n_rows
    assert not n_rows or 0 <= staged.classes.min() <= staged.classes.max() < encoding.n_classes
    assert (np.square(staged.packed.astype(np.int64)).sum(axis=1) <= encoding.norm_bound**2).all()
    if isinstance(fitted.outcome, Mixed):
        mixer = fitted.outcome.mixer
        groups = mixer.groups(staged)
        assert len(groups) == n_rows
        assert not n_rows or 0 <= groups.min() <= groups.max() < mixer.n_groups


@few_or_many(40, 1_000)
def test_any_table_passes_all_stages_and_no_row_is_lost(n_inputs):
    """A thousand tables of up to 4,000 rows are two million rows; without a JVM."""
    seen = []

    def check(table):
        config = table.config()
        check_schema(table.types | {UNITS: "string"}, config.domain, config.privacy.privacy_unit.column)
        rows = table.rows()
        fitted = sums.run_release(canonical(rows, config), config, NoisySum.noised)
        check_conserved(fitted, rows.num_rows)
        check_released(table, pa.Table.from_batches([released_rows(fitted, table, config)]))
        for stage in Stage:
            assert fitted.meter.spent_mu(stage) <= fitted.meter.plan.mu_of(stage) * (1.0 + 1e-9)
        seen.append(rows.num_rows)

    for_all(drawn_tables(most_rows=300 if n_inputs < 500 else 4_000), check, n_inputs)
    assert sum(seen) > (1_000_000 if n_inputs >= 500 else 3_000)
    print(f"{len(seen)} tables, {sum(seen):,} rows")  # noqa: T201


@few_or_many(2, 40)
def test_any_delta_table_is_released_whole(spark, tmp_path, n_inputs):
    """The same tables through real Spark and Delta; names and types of the source come back."""
    numbers = itertools.count()

    def check(table):
        folder = tmp_path / str(next(numbers))
        rows = spark.createDataFrame(table.rows())
        typed = rows.select(
            *[F.col(quoted_name(n)).cast(t).alias(n) for n, t in (table.types | {UNITS: "string"}).items()]
        )
        assert [kind for _, kind in typed.dtypes] == [*table.types.values(), "string"]
        named = typed.write.format("delta").option("delta.columnMapping.mode", "name")
        named.save(str(folder / "source"))
        receipt = release(spark, table.config(folder / "source", folder / "out"))
        released = spark.read.format("delta").load(str(folder / "out")).toArrow()
        assert released.num_rows == receipt.n_released
        check_released(table, released)

    for_all(drawn_tables(most_rows=300), check, n_inputs, many=40)


def test_rows_that_break_the_promise_are_noticed():
    table = DrawnTable({"a": "double", "b": "string"}, {"a": WIDE, "b": LISTED}, {}, 0, 0)
    check_released(table, pa.table({"a": [0.5], "b": ["p"]}))
    for broken in ({"a": [1.5], "b": ["p"]}, {"a": [0.5], "b": ["q"]}, {"a": [None], "b": ["p"]}, {"b": ["p"]}):
        with pytest.raises(AssertionError):
            check_released(table, pa.table({n: pa.array(v, ARROW[table.types[n]]) for n, v in broken.items()}))


@pytest.mark.parametrize("n_rows", [0, 50])
def test_a_label_of_one_class_needs_no_label_function(n_rows):
    columns = {"a": WIDE, "y": {"type": "categorical", "values": ["p"], "nullable": False}}
    sections = {
        "privacy": {"epsilon": 10.0, "delta": 1e-5, "unit": "row"},
        "domain": {"columns": columns, "label": "y"},
        "encode": {"numeric": "affine"},
        "adapt": {"support_size": 4, "steps": 2},
    }
    table = DrawnTable({"a": "double", "y": "string"}, columns, sections, n_rows, 0)
    config = table.config()
    fitted = sums.run_release(canonical(table.rows(), config), config, NoisySum.noised)
    check_released(table, pa.Table.from_batches([released_rows(fitted, table, config)]))
