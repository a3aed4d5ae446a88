"""A whole release, without Spark, of columns that are named like parts of a timestamp, or with characters of SQL."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from pairs import sums

from threea_spark import ReleaseConfig
from threea_spark.model.blocks import BlockDraw
from threea_spark.privacy.mechanism import NoisySum

N = 4_000
TEXT = {"type": "categorical", "values": ["p", "q"]}
COLUMNS = {
    "a": {"type": "timestamp", "lower": "2020-01-01", "upper": "2022-01-01", "parts": ["hour", "weekday"]},
    "a#hour": TEXT,
    "hour": TEXT,
    "cost": {"type": "float", "lower": 0, "upper": 1e6},
    "cost#weekday": TEXT,
    "per/cent": {"type": "integer", "lower": 0, "upper": 100},
    "x.y": TEXT,
    " b `t` ": TEXT,
    "y": {"type": "categorical", "values": ["no", "yes"]},
}
TYPES = {"a": "timestamp", "cost": "double", "per/cent": "int"}


def cells_of(name, rng):
    """Hours before six, costs below ten, and text that is `q` in a share of a quarter."""
    if name == "a":
        days = rng.integers(0, 700, N)
        seconds = days * 86_400 + rng.integers(0, 6 * 3_600, N)
        return pa.array([dt.datetime(2020, 1, 5) + dt.timedelta(seconds=int(s)) for s in seconds], pa.timestamp("us"))
    if name == "cost":
        return pa.array(rng.uniform(2.0, 3.0, N))
    if name == "per/cent":
        return pa.array(rng.integers(40, 50, N), pa.float64())
    return pa.array(rng.choice(["no", "yes"] if name == "y" else ["p", "q"], N, p=[0.75, 0.25]).tolist())


@pytest.mark.parametrize("order", [1, -1])
def test_columns_of_any_name_come_back_as_they_are(order):
    columns = dict(list(COLUMNS.items())[::order])
    config = ReleaseConfig.from_dict(
        {
            "source": {"table": "s"},
            "target": {"table": "t"},
            "privacy": {"epsilon": 100.0, "delta": 1e-6, "unit": "row"},
            "domain": {"label": "y", "columns": columns},
            "adapt": {"method": "none"},
        }
    )
    rng = np.random.default_rng(5)
    cells = [cells_of(name, rng) for name in columns]
    batch = pa.RecordBatch.from_arrays(cells, [f"c{place}" for place in range(len(cells))])
    fitted = sums.run_release(batch, config, NoisySum.noised)
    types = {name: TYPES.get(name, "string") for name in columns}
    drawn = BlockDraw(fitted.outcome.sampler, fitted.outcome.encoding, "y", types, N, 1)
    released = pa.Table.from_batches(list(drawn.blocks()))
    assert released.column_names == list(columns)
    for name in columns:
        found = released.column(name).to_pylist()
        if name == "a":
            assert np.mean([moment.hour < 6 for moment in found]) > 0.95
        elif name == "cost":
            assert 1.9 < np.quantile(found, 0.05) < np.quantile(found, 0.95) < 4_000.0
        elif name == "per/cent":
            assert np.mean([40 <= number < 50 for number in found]) > 0.95
        else:
            assert np.mean([text in ("q", "yes") for text in found]) == pytest.approx(0.25, abs=0.05), name
