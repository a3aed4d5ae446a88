"""Nothing that a row holds may stop a release on Spark; tests/unit/test_hard_rows.py has more."""

import pytest
from hard_tables import CASES, LABEL, TIGHT
from tables import config_of, write_delta

from threea_spark import ReleaseConfig, release

pytestmark = pytest.mark.usefixtures("no_staging_left")


@pytest.mark.parametrize("case", ["hard values", "no row", "strange names"])
def test_passes_through_to_a_valid_release(spark, tmp_path, case):
    frame, columns, schema = CASES[case]
    source = write_delta(spark, frame, tmp_path / "source", schema)
    config = config_of(source, tmp_path / "out", columns=columns, label="y", anonymize={"rows": 50})
    release(spark, ReleaseConfig.from_dict(config))
    rows = spark.read.format("delta").load(str(tmp_path / "out")).toPandas()
    assert len(rows) == 50
    assert list(rows.columns) == [name for name in frame.columns if name in columns]
    assert set(rows["y"]) <= {"no", "yes"}


def test_every_plain_type_comes_back_as_it_was(spark, tmp_path):
    values = spark.sql(
        "select cast(id % 100 as tinyint) t, cast(id as smallint) s, cast(id as int) i, id l, cast(id / 7 as float) f, "
        "cast(id / 7 as decimal(10,2)) d, id % 2 = 0 b, date'2020-01-01' + cast(id as int) day, "
        "timestamp'2020-01-01 00:00:00' + make_interval(0,0,0,0,cast(id as int)) ts, "
        "cast(id % 3 as int) code, if(id % 2 = 0, 'yes', 'no') y from range(300)"
    )
    values.write.format("delta").save(str(tmp_path / "source"))
    time = {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"}
    whole = {"type": "integer", "lower": 0, "upper": 300}
    columns = {
        "t": {**whole, "upper": 100}, "s": whole, "i": whole, "l": whole, "f": {**TIGHT, "lower": 0, "upper": 50},
        "d": {**TIGHT, "lower": 0, "upper": 50}, "b": {"type": "categorical", "values": [True, False]}, "day": time,
        "ts": {**time, "parts": ["hour", "weekday", "month"]},
        "code": {"type": "categorical", "values": [0, 1, 2]}, "y": LABEL,
    }  # fmt: skip
    release(
        spark, ReleaseConfig.from_dict(config_of(tmp_path / "source", tmp_path / "out", columns=columns, label="y"))
    )
    released = spark.read.format("delta").load(str(tmp_path / "out"))
    assert released.dtypes == values.dtypes
    table = released.toPandas()
    assert table["t"].between(0, 100).all()
    assert set(table["code"]) <= {0, 1, 2}
    assert not table.isna().any().any()
