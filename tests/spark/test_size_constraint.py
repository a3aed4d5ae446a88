"""Prices from a sample, verified on the whole table: every cluster holds the minimum after few passes."""

import numpy as np
import pytest
from noise_sources import SeededNoise
from small_tables import category, number

from threea_spark.approximate import constrain
from threea_spark.approximate.clusters import sizes_query
from threea_spark.approximate.constrain import exactly_constrained
from threea_spark.approximate.mixture import Mixture
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.engine.packed import SCHEMA, PackedRows, blocks_of
from threea_spark.engine.spark import SparkStaged
from threea_spark.privacy.budget import calibrate
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit

WIDTH, K = 3, 6


def skewed_rows(n, n_classes=1, seed=0):
    rng = np.random.default_rng(seed)
    centre = np.where(rng.random((n, 1)) < 0.9, 0.0, 1.5)  # nine rows in ten in one place
    packed = np.rint(np.clip(centre + 0.4 * rng.standard_normal((n, WIDTH)), -3, 3) * SCORE_GRID).astype(np.int16)
    coins, tokens = rng.integers(0, 2**32, (2, n), dtype=np.uint32)
    return PackedRows(packed, rng.integers(0, n_classes, n), coins, tokens, np.zeros(n, dtype=np.int64))


def mixture_of(class_of):
    rng = np.random.default_rng(1)
    k = len(class_of)
    means = rng.normal(0.5, 1.0, (k, WIDTH))
    return Mixture(means, np.ones(k), np.ones(k), np.zeros(k), np.array(class_of), "isotropic")


def conditional_meter():
    plan = calibrate(
        epsilon=1.0, delta=1e-5, shares={Stage.ANONYMIZE: 1.0}, relation=Relation.ADD_OR_REMOVE_ONE,
        unit=PrivacyUnit(), accounting=Accounting.CONDITIONAL,
    )  # fmt: skip
    return PrivacyMeter(plan, SeededNoise(1), "r1")


@pytest.mark.parametrize(
    ("sample_rows", "class_of", "n_classes"), [(40_000, [-1] * K, 1), (4_000, [-1] * K, 1), (4_000, [0, 0, 0, 1, 1], 2)]
)
def test_every_cluster_holds_the_minimum_after_few_passes(spark, monkeypatch, sample_rows, class_of, n_classes):
    monkeypatch.setattr(constrain, "SAMPLE_ROWS", sample_rows)
    rows = skewed_rows(30_000, n_classes)
    label = category("y", "no", "yes") if n_classes == 2 else None
    encoding = Encoding(tuple(number(f"x{i}") for i in range(WIDTH)), label, 9.0)
    staged = SparkStaged(spark.createDataFrame(blocks_of(rows).to_pandas(), SCHEMA), WIDTH)
    meter = conditional_meter()
    least = 30_000 * 8 // (10 * len(class_of))
    passes = []

    def count(mixture):
        (sums,) = staged.sums([sizes_query(encoding, mixture, "sizes")])
        sizes = sums.reshape(mixture.n_components, -1).sum(axis=1)
        passes.append(sizes)
        return sizes.astype(float)

    free = mixture_of(class_of)
    found = exactly_constrained(staged, encoding, free, least, 30_000.0, count, meter)
    assert len(meter.asked(Stage.APPROXIMATE)) == 1  # the sample that prices are found on is booked
    assert passes[0].min() < least <= passes[-1].min()
    assert found.n_components == len(class_of)
    assert len(passes) <= 3
    assert passes[-1].sum() == 30_000
