"""One reader: what `evaluate`, the reports and `as_xy` take a cell for is what the release read."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from threea_spark.config.domain import Domain
from threea_spark.evaluation.evaluate import score
from threea_spark.evaluation.features import LinearFeatures, tree_features
from threea_spark.model.xy import to_xy
from threea_spark.report.summary import values_of
from threea_spark.source.pandas import read_cells
from threea_spark.source.reading import column_as_read, numbers_as_read

NEW_YORK = "America/New_York"
DOMAIN = Domain.from_dict(
    {
        "label": "y",
        "columns": {
            "stars": {"type": "categorical", "values": [1, "2.0", 3]},
            "flag": {"type": "categorical", "values": [True, False]},
            "dose": {"type": "float", "lower": 0, "upper": 9},
            "seen": {
                "type": "timestamp",
                "lower": "2020-01-01",
                "upper": "2022-01-01",
                "time_zone": "America/New_York",
            },
            "y": {"type": "categorical", "values": ["0", "1"]},
        },
    }
)
SAME = [  # one row in several dtypes: as a release read it, as Spark or pandas hand it over, as text
    {"stars": "2.0", "flag": "true", "dose": 1.5, "seen": pd.Timestamp("2021-01-01 01:00", tz="UTC"), "y": "1"},
    {"stars": 2.0, "flag": True, "dose": Decimal("1.50"), "seen": dt.datetime(2021, 1, 1, 1), "y": 1.0},
    {"stars": 2, "flag": np.True_, "dose": np.float32(1.5), "seen": "2020-12-31T20:00-05:00", "y": True + 0},
    {"stars": Decimal("2.0"), "flag": True, "dose": "1.5", "seen": np.datetime64("2021-01-01T01:00"), "y": 1},
]
ODD = {"stars": "two", "flag": None, "dose": "?", "seen": 5, "y": None}


def frame(*rows):
    return pd.DataFrame(rows)


@pytest.mark.parametrize("row", SAME[1:])
def test_every_reader_takes_a_row_for_the_same_whatever_its_types(row):
    plain, other = frame(SAME[0], SAME[0]), frame(row, row)
    for one, two in zip(values_of(plain, DOMAIN), values_of(other, DOMAIN), strict=True):
        assert one.cells.tolist() == two.cells.tolist(), one.name
    pd.testing.assert_frame_equal(tree_features(plain, DOMAIN, plain), tree_features(other, DOMAIN, plain))
    linear = LinearFeatures.fit(plain, DOMAIN)
    assert np.array_equal(linear.matrix(plain), linear.matrix(other))
    levels = {"stars": ("1", "2.0", "3"), "flag": ("true", "false"), "y": ("0", "1")}
    pd.testing.assert_frame_equal(to_xy(plain, DOMAIN, levels)[0], to_xy(other, DOMAIN, levels)[0])
    assert to_xy(other, DOMAIN, levels)[1].tolist() == [1, 1]


def test_it_is_the_reader_of_the_release_and_reading_twice_changes_nothing():
    rows = frame(*SAME, ODD)
    for name, column in DOMAIN.columns.items():
        found = column_as_read(rows[name], column)
        again = column_as_read(found, column)
        pd.testing.assert_series_equal(found, again)
        cells = read_cells(rows[name], column).to_pylist()
        read = [pd.Timestamp(cell) if isinstance(cell, dt.datetime) else cell for cell in cells]
        assert [None if pd.isna(cell) else cell for cell in found] == read
    assert numbers_as_read(rows["seen"], DOMAIN.columns["seen"]).tolist()[0] == 1_609_462_800.0


def test_parts_of_a_timestamp_are_those_of_its_zone():
    features = tree_features(frame(SAME[0]), DOMAIN, frame(SAME[0]))
    assert features["f3_hour"].tolist() == [20.0]  # in New York


def test_a_model_is_tested_on_real_rows_of_other_types():
    """Codes as floats and labels as booleans would all be unknown to a reader with rules of its own."""
    rng = np.random.default_rng(1)
    stars = rng.integers(1, 4, 300)
    label = stars > 1
    seen = SAME[0]["seen"]
    released = pd.DataFrame({"stars": np.where(stars == 2, "2.0", stars.astype(str)), "flag": "true", "dose": 1.0})
    released = released.assign(seen=seen, y=label.astype(int).astype(str))
    real = released.assign(stars=stars.astype(float), flag=True, y=label.astype(float))
    found = score(released, real, DOMAIN)
    assert found.accuracy > 0.95
    assert found.auc > 0.95
