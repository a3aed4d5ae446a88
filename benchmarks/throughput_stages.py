"""Rows per second of the other stages, each as the pipeline runs it: encode, sample, decode and write, mix; and KIP."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import warehouse  # beside this file
from throughput_pass import seconds_of  # beside this file

from threea_spark import ReleaseConfig
from threea_spark.adapt import inducing
from threea_spark.adapt.settings import KipSettings
from threea_spark.anonymize.mix import Mixer
from threea_spark.anonymize.mixed_rows import mixing
from threea_spark.approximate.mixture import starting_mixture
from threea_spark.encode.codec import Encoding
from threea_spark.encode.fit import measure_encoding
from threea_spark.encode.outline import encode_prices
from threea_spark.encode.packing import staged_rows
from threea_spark.engine.staging import staging
from threea_spark.model.draw import sampled_rows
from threea_spark.model.released import ReleaseModel
from threea_spark.pipeline import fit
from threea_spark.planned import make_plan
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.query import HeldRows
from threea_spark.privacy.terms import Stage
from threea_spark.source.rows import schema_of, spark_source

Record = dict[str, Any]
_MIX_SIZE = 100


def numbers_domain(width: int) -> dict[str, Any]:
    """A domain of so many columns: numbers and a label of two classes."""
    columns: dict[str, Any] = {f"x{i}": warehouse.number(-4, 4) for i in range(width - 1)}
    columns["y"] = {"type": "categorical", "values": ["no", "yes"]}
    return {"label": "y", "task": "classification", "columns": columns}


def write_numbers(spark: Any, place: Path, width: int, n_rows: int) -> None:
    """Writes a Delta table of normal columns that tell two classes apart."""
    from pyspark.sql import functions as F

    y = F.rand(1) < 0.4
    columns = [
        (F.randn(i + 2) + F.when(F.col("y") == "yes", 0.1).otherwise(0.0)).alias(f"x{i}") for i in range(width - 1)
    ]
    rows = spark.range(0, n_rows, 1, 4).select(F.when(y, "yes").otherwise("no").alias("y")).select(*columns, "y")
    rows.write.format("delta").save(str(place))


def config_of(domain: dict[str, Any], generator: str) -> ReleaseConfig:
    """A release of this domain at epsilon 1; `fit` reads no source, `release` is not called."""
    size: dict[str, Any] = {} if generator == "sample" else {"mix_size": _MIX_SIZE}
    return ReleaseConfig.from_dict(
        {
            "source": {"path": "unused"},
            "target": {"path": "unused too"},
            "privacy": {"epsilon": 1.0, "delta": 1e-6, "allow_large_delta": True, "unit": "row"},
            "domain": domain,
            "anonymize": {"generator": generator, **size},
        }
    )


def measure_stages(spark: Any, folder: Path, width: int, n_rows: int, repeat: int) -> list[Record]:
    """Rows per second of each stage at one width, the best of `repeat` rounds after one that warms up."""
    place = folder / f"source_{width}_{n_rows}"
    domain = warehouse.DOMAIN if width == len(warehouse.DOMAIN["columns"]) else numbers_domain(width)
    if not (place / "_delta_log").exists():
        if domain is warehouse.DOMAIN:
            warehouse.write_table(spark, place, n_rows)
        else:
            write_numbers(spark, place, width, n_rows)
    rows = spark.read.format("delta").load(str(place))
    model = fit(rows, config_of(domain, "sample"))
    best: dict[str, float] = {}
    for _ in range(repeat + 1):
        for stage, seconds in _one_round(spark, rows, domain, model, folder, n_rows).items():
            best[stage] = min(best.get(stage, np.inf), seconds)
    return [{"stage": stage, "width": width, "rows_per_s": n_rows / seconds} for stage, seconds in best.items()]


def _one_round(
    spark: Any, rows: Any, domain: dict[str, Any], model: ReleaseModel, folder: Path, n_rows: int
) -> dict[str, float]:
    config = config_of(domain, "mix")
    plan, key, seconds = make_plan(config), new_key(), dict[str, float]()
    meter = PrivacyMeter(plan, KeyedNoise(key), "throughput")
    prices = encode_prices(config, plan.mu_of(Stage.ENCODE))
    written_at, copy_at = folder / "written", folder / "copy"
    for place in (written_at, copy_at):
        shutil.rmtree(place, ignore_errors=True)
    with staging(spark, "throughput", "") as name:
        source = spark_source(rows, config.domain, plan.unit, key, name)
        start = time.monotonic()
        encoded = measure_encoding(source, config, meter, prices)
        seconds["encode: histograms"] = time.monotonic() - start
        start = time.monotonic()
        staged = staged_rows(source, encoded.reader, encoded.encoding, mixes=True)
        seconds["encode: stage"] = time.monotonic() - start
        drawn = sampled_rows(spark, model.rows_drawn(n_rows, seed=1))
        seconds["sample"] = seconds_of(lambda: drawn.write.format("noop").mode("overwrite").save())
        seconds["sample, decode and write"] = seconds_of(lambda: drawn.write.format("delta").save(str(written_at)))
        written = spark.read.format("delta").load(str(written_at))
        seconds["Spark's copy of it"] = seconds_of(lambda: written.write.format("delta").save(str(copy_at)))
        mixer, encoding = _mixer(encoded.encoding, n_rows), encoded.encoding
        granted = meter.grant_groups(mixer.query(), plan.mu_of(Stage.ANONYMIZE))
        types = {name: simple for name, simple in schema_of(rows).items() if name in config.domain.columns}
        mixed = staged.exchanged(mixing(mixer, granted, encoding, config.domain.label, types, 1))
        seconds["mix"] = seconds_of(lambda: mixed.write.format("noop").mode("overwrite").save())
    return seconds


def _mixer(encoding: Encoding, n_rows: int) -> Mixer:
    """Four clusters of each class, of equal sizes."""
    mixture = starting_mixture({0: 4, 1: 4}, encoding.width, "isotropic", np.random.default_rng(0), 0.5)
    sizes = np.full(mixture.n_components, n_rows / mixture.n_components)
    shares = np.eye(encoding.n_classes)[mixture.class_of]
    return Mixer(replace(mixture, sizes=sizes), shares, _MIX_SIZE, 0.5 * encoding.clip_norm)


def measure_adapt(support: int, n_rows: int, steps: int, width: int = 50) -> Record:
    """Seconds of private KIP on rows of two classes, after a run of one step that compiles."""
    import jax

    rng = np.random.default_rng(0)
    x, x_support = rng.standard_normal((n_rows, width)), rng.standard_normal((support, width))
    weight = rng.standard_normal(width) / np.sqrt(width)

    def labels_of(points: Any) -> Any:
        positive = (points @ weight > 0.3).astype(np.int64)
        return np.eye(2)[positive] - 0.5

    def run(n_steps: int) -> None:
        inducing.private(
            x_support,
            labels_of(x_support),
            HeldRows((x, labels_of(x))),
            KipSettings(steps=n_steps),
            n_rows_public=float(n_rows),
            ask=lambda query, held: held.sums([query])[0].astype(np.float64),
        )

    run(1)
    seconds = seconds_of(lambda: run(steps))
    device = jax.devices()[0].device_kind
    return {"support": support, "rows": n_rows, "steps": steps, "device": device, "seconds": seconds}
