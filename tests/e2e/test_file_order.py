"""Two tables that differ by one unit whose rows make the one file larger than the other: no release tells them apart.

In 0.1.0 they were told apart with certainty: a hash that skips nulls let rows tie, and the larger file came first.
"""

import numpy as np
import pyarrow as pa
import pytest

from threea_spark import ReleaseConfig, release

N_PATIENTS = 2000
NUMBER = {"type": "float", "lower": 0, "upper": 200, "nullable": True}


def readings(ids, systolic, diastolic):
    cells = {"systolic": systolic, "diastolic": diastolic}
    numbers = {name: pa.array(own, pa.float64(), from_pandas=True) for name, own in cells.items()}
    return pa.table({"patient": pa.array(ids, pa.string()), **numbers})


@pytest.fixture(scope="module")
def tables(spark, tmp_path_factory):
    """Each patient has one reading of each kind, a file a kind; one unit more doubles the first file's rows."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("files")
    ids, value = [f"p{number:05d}" for number in range(N_PATIENTS)], np.round(rng.uniform(60, 140, N_PATIENTS))
    absent, half = np.full(N_PATIENTS, np.nan), np.full(2 * N_PATIENTS, np.nan)
    first, odd = readings(ids, value, absent), readings(["A"] * 2 * N_PATIENTS, rng.uniform(0, 200, len(half)), half)
    second = [readings(ids, absent, value), readings(["B"] * N_PATIENTS, absent, rng.uniform(0, 200, N_PATIENTS))]
    files = {"with": [pa.concat_tables([first, odd]), pa.concat_tables(second)]}
    files["without"] = [first, files["with"][1]]
    for name, parts in files.items():
        for part in parts:
            spark.createDataFrame(part).coalesce(1).write.format("delta").mode("append").save(str(folder / name))
    return folder


def null_share(spark, tables, name):
    """Of systolic, among released rows: how many patients were read by their diastolic reading."""
    target = str(tables / f"out-{name}")
    config = {
        "source": {"path": str(tables / name)},
        "target": {"path": target},
        "privacy": {"epsilon": 8.0, "delta": 1e-6, "unit": {"column": "patient", "max_rows": 1}},  # little noise
        "domain": {"task": "none", "columns": {"systolic": NUMBER, "diastolic": NUMBER}},
    }
    release(spark, ReleaseConfig.from_dict(config))
    return float(spark.read.format("delta").load(target).toPandas().systolic.isna().mean())


def test_one_unit_s_rows_do_not_decide_which_rows_of_others_are_read(spark, tables):
    """About half of the patients by each reading, with the unit and without; it was 0.006 and 1.000."""
    shares = [null_share(spark, tables, name) for name in ("with", "without")]
    assert all(0.35 < share < 0.65 for share in shares), shares
    assert abs(shares[0] - shares[1]) < 0.2, shares
