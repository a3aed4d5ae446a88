"""Small real tables and configurations for whole releases."""

import datetime as dt

import numpy as np
import pandas as pd

QUICK = {"adapt": {"support_size": 8, "steps": 2}}


def clinic(n_rows=1500, seed=5):
    """A made-up clinic: mixed types, nulls, a heavy tail, a label that depends on the rest."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 95, n_rows)
    cost = np.where(rng.random(n_rows) < 0.4, 0.0, rng.lognormal(6.0, 1.5, n_rows))
    ward = rng.choice(["CCU", "MICU", "SICU"], n_rows, p=[0.5, 0.3, 0.2])
    risk = 0.05 * (age - 55) + (ward == "SICU") + 0.3 * rng.standard_normal(n_rows)
    start = dt.datetime(2020, 1, 1)
    return pd.DataFrame(
        {
            "patient": [f"p{i // 3}" for i in range(n_rows)],
            "age": age.astype("int32"),
            "cost.usd": np.where(rng.random(n_rows) < 0.1, np.nan, cost),
            "ward name": np.where(rng.random(n_rows) < 0.05, None, ward),
            "admitted": [start + dt.timedelta(hours=int(h)) for h in rng.integers(0, 24 * 700, n_rows)],
            "died": np.where(risk > 0.5, "yes", "no"),
        }
    )


COLUMNS = {
    "age": {"type": "integer", "lower": 18, "upper": 100},
    "cost.usd": {"type": "float", "lower": 0, "upper": 1e6, "nullable": True},
    "ward name": {"type": "categorical", "values": ["CCU", "MICU", "SICU"], "nullable": True},
    "admitted": {"type": "timestamp", "lower": "2020-01-01", "upper": "2022-01-01", "parts": ["hour"]},
    "died": {"type": "categorical", "values": ["no", "yes"]},
}


def config_of(source, target, *, columns=None, label="died", task="classification", privacy=None, **stages):
    """The plain values of a configuration; stages override the quick defaults."""
    domain = {"columns": columns or COLUMNS, "task": task}
    if label is not None:
        domain["label"] = label
    return {
        "source": {"path": str(source)},
        "target": {"path": str(target)},
        "privacy": {"epsilon": 3.0, "delta": 1e-5, "unit": "row", **(privacy or {})},
        "domain": domain,
        **QUICK,
        **stages,
    }


def write_delta(spark, frame, path, schema=None):
    """Writes a frame as a Delta table whose column names may hold anything."""
    rows = spark.createDataFrame(frame, schema) if schema else spark.createDataFrame(frame)
    rows.write.format("delta").option("delta.columnMapping.mode", "name").mode("overwrite").save(str(path))
    return path
