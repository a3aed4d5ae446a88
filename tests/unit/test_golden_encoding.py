"""What is counted, packed and decoded of one fixed table with columns of every kind, as recorded with 0.3.0.

Whole numbers are compared exactly, decoded numbers to eleven digits. A digest that changes means that rows are counted
at another privacy cost, or that the same counts are read differently: 0.3.0 gave numbers trees of 16 children and
fitted tails. A saved model brings its own leaves and cells; test_model_store holds those of earlier versions.
"""

import datetime as dt
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from threea_spark.config.domain import Domain
from threea_spark.encode.fit import reader_of
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.model.sampler import decode_rows

RECORDED = json.loads(Path(__file__).with_name("golden_encoding.json").read_text())
N = 400
MOMENTS = {"type": "timestamp", "lower": "2019-03-01", "upper": "2021-11-30"}
COLUMNS = {
    "age": {"type": "integer", "lower": 0, "upper": 120},
    "pay": {"type": "float", "lower": 0.0, "upper": 1e6, "nullable": True},
    "id": {"type": "integer", "lower": -5000, "upper": 100_000},
    "seen": MOMENTS | {"parts": ["hour", "weekday", "month"], "nullable": True},
    "ward": {"type": "categorical", "values": ["a", "b", "c"]},
    "code": {"type": "categorical", "values": [f"v{i}" for i in range(90)], "nullable": True},
    "born": MOMENTS,
    "kind": {"type": "categorical", "values": "open"},
    "left": MOMENTS | {"parts": ["month"]},
}
LABELS = {
    "classification": {"type": "categorical", "values": ["no", "yes", "never"], "nullable": True},
    "regression": {"type": "float", "lower": -1.0, "upper": 1.0, "nullable": True},
}
SELECTED = {"kind": ("x", "y", "other")}


def domain_of(task):
    label = {} if task == "none" else {"y": LABELS[task]}
    return Domain.from_dict({"task": task, "label": "y" if label else None, "columns": COLUMNS | label})


def batch_of(task):
    rng = np.random.default_rng(20)

    def some(cells, share=0.1):
        return [None if missing else cell for cell, missing in zip(cells, rng.random(N) < share, strict=True)]

    def moments():
        return [dt.datetime(2019, 1, 1) + dt.timedelta(seconds=int(s)) for s in rng.integers(0, 95_000_000, N)]

    cells = {
        "age": pa.array(some(rng.integers(-5, 130, N).tolist()), pa.float64()),
        "pay": pa.array(some(np.where(rng.random(N) < 0.3, 0.0, np.exp(rng.normal(9.0, 3.0, N))).tolist())),
        "id": pa.array(rng.integers(-6000, 120_000, N), pa.float64()),
        "seen": pa.array(some(moments()), pa.timestamp("us", tz="UTC")),
        "ward": pa.array(some(rng.choice(["a", "b", "c", "?"], N).tolist())),
        "code": pa.array(some([f"v{min(int(i), 95)}" for i in rng.exponential(12.0, N)])),
        "born": pa.array([moment.date() for moment in moments()], pa.date32()),
        "kind": pa.array(some(rng.choice(["x", "y", "z"], N).tolist())),
        "left": pa.array(some(moments()), pa.timestamp("us")),
    }
    label = {
        "none": {},
        "classification": {"y": pa.array(some(rng.choice(["no", "yes", "never"], N).tolist()))},
        "regression": {"y": pa.array(some(rng.normal(0.0, 0.5, N).tolist()))},
    }[task]
    arrays = list((cells | label).values())
    return pa.RecordBatch.from_arrays(arrays, [f"c{place}" for place in range(len(arrays))])


def whole(array):
    return hashlib.sha256(np.ascontiguousarray(array).astype("<i8").tobytes()).hexdigest()[:16]


def rounded(array):
    return hashlib.sha256("\n".join(np.char.mod("%.10e", np.asarray(array) + 0.0)).encode()).hexdigest()[:16]


def described(task, affine):
    domain, batch = domain_of(task), batch_of(task)
    reader = reader_of(domain, SELECTED, affine=affine)
    layout = HistogramLayout(reader.fields)
    counts = layout.counts(reader.read(batch))
    noisy = counts + 2.0 * layout.unit * np.random.default_rng(21).standard_normal(layout.size)
    rows = layout.rows(noisy, 2.0 * layout.unit)
    codecs, n_rows = layout.fit(rows, n_cells=[12] * len(reader.fields)), rows.n_rows
    found = {
        "layout": [layout.size, layout.bound.squared_norm, layout.bound.moved, layout.unit, *layout.offsets.tolist()],
        "counts": whole(counts),
        "rows": f"{n_rows:.10e}",
    }
    for clip_norm in (2.0, 50.0):
        encoding = reader.encoding(codecs, clip_norm)
        columns = reader.read(batch)
        classes = encoding.class_of(columns.pop() if reader.has_label else np.zeros(N))
        packed = encoding.pack(columns, N)
        found[f"packed at {clip_norm:g}"] = [whole(packed), encoding.norm_bound, encoding.width, encoding.n_classes]
        found[f"cells at {clip_norm:g}"] = [whole(encoding.cells(packed)), encoding.n_cells]
    found["classes"] = whole(classes)
    decoded = decode_rows(encoding, domain.label, encoding.cells(packed), classes, np.random.default_rng(22))
    for name, column in decoded.items():
        found[f"decoded {name}"] = rounded(column.values) if not hasattr(column, "levels") else whole(column.levels)
    return found


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("task", ["classification", "regression", "none"])
def test_a_table_of_all_kinds_is_coded_as_in_0_3_0(task, affine):
    assert described(task, affine) == RECORDED[f"{task}, {'affine' if affine else 'quantiles'}"]
