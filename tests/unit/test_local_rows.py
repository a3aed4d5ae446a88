"""Rows in this process: as many of a unit as the claim says, and values without nulls."""

import numpy as np
import pyarrow as pa
import pytest

from threea_spark.config.domain import Domain
from threea_spark.engine.local import LocalSource
from threea_spark.engine.packed import UNIT
from threea_spark.privacy.unit import Missing, PrivacyUnit
from threea_spark.source.local import local_source

KEY = bytes(range(32))
DOMAIN = Domain.from_dict({"task": "none", "columns": {"x": {"type": "float", "lower": 0, "upper": 9}}})
ROWS_OF = {"a": 1, "b": 2, "c": 3, "d": 7, None: 4}


def kept(unit):
    """Rows of each unit that a release reads, fewest first."""
    who = np.random.default_rng(1).permutation([name for name, n_rows in ROWS_OF.items() for _ in range(n_rows)])
    table = pa.table({"x": pa.array(np.arange(len(who), dtype=np.float64)), "who": pa.array(list(who), pa.string())})
    rows = pa.Table.from_batches(local_source(table, DOMAIN, unit, KEY).batches)
    assert len(set(rows.column("c0").to_pylist())) == len(rows)  # no row is read twice
    return sorted(np.unique(rows.column(UNIT).to_numpy(), return_counts=True)[1].tolist())


@pytest.mark.parametrize("max_rows", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("missing", [Missing.DROP, Missing.TOGETHER])
def test_of_each_unit_as_many_rows_are_read_as_the_claim_says_and_no_fewer(max_rows, missing):
    units = [n_rows for name, n_rows in ROWS_OF.items() if name is not None or missing is Missing.TOGETHER]
    assert kept(PrivacyUnit("who", max_rows, missing)) == sorted(min(max_rows, n_rows) for n_rows in units)


def source(*batches):
    return LocalSource(tuple(pa.RecordBatch.from_arrays([pa.array(own, pa.string())], ["c0"]) for own in batches))


def test_null_is_no_value_that_may_be_selected():
    rows = source(["p", None, "q", None], [None, "p", None, ""])
    assert sorted(rows.passing_values("c0", lambda value, count: count)) == [("", 1), ("p", 2), ("q", 1)]
    assert rows.frequent_values("c0", 9, above=0) == ["p", "", "q"]
    assert source([None, None]).passing_values("c0", lambda value, count: count) == []


def test_exact_values_are_those_of_more_rows_than_few_units_may_hold():
    rows = source(["p"] * 5 + ["q"] * 4, ["r"] * 3 + ["q"])
    assert rows.frequent_values("c0", 9, above=3) == ["p", "q"]
    assert rows.frequent_values("c0", 1, above=3) == ["p"]
    assert rows.frequent_values("c0", 9, above=5) == []
