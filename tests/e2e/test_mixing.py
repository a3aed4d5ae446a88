import numpy as np
import pandas as pd
import pytest
from tables import clinic, config_of, write_delta

from threea_spark import ReleaseConfig, release

pytestmark = pytest.mark.usefixtures("no_staging_left")


def mixed(spark, frame, folder, **overrides):
    source = write_delta(spark, frame, folder / "source")
    return release(spark, ReleaseConfig.from_dict(config_of(source, folder / "out", **overrides)))


def test_rows_of_dropped_clusters_are_mixed_into_those_that_stay(spark, tmp_path):
    receipt = mixed(
        spark,
        clinic(3000),
        tmp_path,
        privacy={"epsilon": 10.0},
        anonymize={"generator": "mix", "mix_size": 20},
        approximate={"components": 8, "min_cluster_size": 400},
    )
    assert receipt.resolved["components_per_class"] == 8  # of 16 clusters at most 7 can hold 400 rows
    assert receipt.n_released * 20 == pytest.approx(3000, rel=0.15)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_covariances_of_wide_tables_stay_within_the_claim(spark, tmp_path, covariance):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(600, 60)), columns=[f"x{i}" for i in range(60)])
    receipt = mixed(
        spark,
        frame,
        tmp_path,
        columns={name: {"type": "float", "lower": -5, "upper": 5} for name in frame},
        label=None,
        task="none",
        anonymize={"generator": "mix"},
        approximate={"covariance": covariance, "components": 4},
    )
    rows = spark.read.format("delta").load(str(tmp_path / "out")).toPandas()
    assert len(rows) == receipt.n_released > 10
    assert rows.stack().between(-5, 5).all()
