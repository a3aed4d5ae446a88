"""Which rows are new is decided unit by unit: against a twin in Python, on tables with nulls and doubled rows."""

from collections import Counter

import numpy as np
import pytest

from threea_spark.config.domain import Domain
from threea_spark.engine.packed import UNIT_ID
from threea_spark.privacy.unit import PrivacyUnit
from threea_spark.source.rows import only_new

DOMAIN = Domain.from_dict(
    {
        "task": "none",
        "columns": {
            "a `b`.c": {"type": "float", "lower": 0, "upper": 9, "nullable": True},
            "w": {"type": "categorical", "values": ["x", "y"], "nullable": True},
        },
    }
)
SCHEMA = f"who string, `a ``b``.c` double, w string, {UNIT_ID} string"  # the last is left out; its name is one of ours


def drawn(rng, n_rows, whose):
    return [
        (
            None if rng.random() < 0.1 else f"{whose}{rng.integers(30)}",
            [0.0, -0.0, 1.5, float("nan"), None][rng.integers(5)],
            [None, "x", "y"][rng.integers(3)],
            str(rng.random()),
        )
        for _ in range(n_rows)
    ]


def cells(frame, columns):
    return Counter(repr(tuple(row)).replace("-0.0", "0.0") for row in frame.select(*columns).collect())


@pytest.fixture
def versions(spark):
    rng = np.random.default_rng(4)
    earlier = drawn(rng, 200, "p")
    added = drawn(rng, 120, "p") + drawn(rng, 150, "q")
    return earlier, added


def frames(spark, earlier, added):
    return spark.createDataFrame(earlier + added, SCHEMA).repartition(3), spark.createDataFrame(earlier, SCHEMA)


def test_units_of_many_rows_are_new_or_not_as_a_whole(spark, versions):
    earlier, added = versions
    found = only_new(*frames(spark, earlier, added), DOMAIN, PrivacyUnit("who", 3))
    known = {row[0] for row in earlier}
    assert None in known
    wanted = spark.createDataFrame([row for row in added if row[0] not in known], SCHEMA)
    assert wanted.count() > 100
    assert found.columns == wanted.columns
    assert cells(found, ["*"]) == cells(wanted, ["*"])


def test_one_unit_more_changes_no_other_row(spark, versions):
    earlier, added = versions
    extra = [("one more", 1.5, "x", "n")] * 2
    unit = PrivacyUnit("who", 3)
    base = cells(only_new(*frames(spark, earlier, added), DOMAIN, unit), ["*"])
    assert cells(only_new(*frames(spark, earlier, added + extra), DOMAIN, unit), ["*"]) - base == cells(
        spark.createDataFrame(extra, SCHEMA), ["*"]
    )
    assert cells(only_new(*frames(spark, earlier + extra[:1], added + extra[1:]), DOMAIN, unit), ["*"]) == base


def test_rows_that_came_are_cached_as_often_as_they_came(spark, versions):
    earlier, added = versions
    found = only_new(*frames(spark, earlier, added), DOMAIN, PrivacyUnit())
    assert cells(found, ["`a ``b``.c`", "w"]) == cells(spark.createDataFrame(added, SCHEMA), ["`a ``b``.c`", "w"])


def test_a_column_that_came_later_is_null_before(spark, versions):
    earlier, added = versions
    rows, before = frames(spark, [(*row[:2], None, row[3]) for row in earlier], added)
    found = only_new(rows, before.drop("w"), DOMAIN, PrivacyUnit())
    assert cells(found, ["w"]) == cells(spark.createDataFrame(added, SCHEMA), ["w"])
