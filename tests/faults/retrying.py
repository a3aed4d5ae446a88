"""Writes released rows twice, once with tasks that fail and run again, and says a digest of each file's bytes."""

import argparse
import hashlib
import json
from pathlib import Path

from pyspark import TaskContext

from threea_spark import ReleaseConfig
from threea_spark.anonymize.mixed_rows import mixing
from threea_spark.engine.delta import Place, latest_version, read_version
from threea_spark.engine.progress import Progress
from threea_spark.engine.staging import staging
from threea_spark.engine.types import ddl_of
from threea_spark.model.blocks import BlockDraw
from threea_spark.model.draw import sampled_rows
from threea_spark.model.sampler import Drawn
from threea_spark.planned import make_plan
from threea_spark.session import build_session
from threea_spark.source.rows import spark_source
from threea_spark.stages import run_stages

SEED, N_ROWS = 7, 100_000


def failing_first(mark):
    """Lets a task take all its rows and fail, when it runs for the first time."""

    def task(batches):
        held = list(batches)
        if TaskContext.get().attemptNumber() == 0:
            Path(mark).touch()
            raise RuntimeError("this attempt is lost")
        yield from held

    return task


def digests(folder):
    """SHA-256 of each data file, in the order of partitions."""
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("part-*.parquet"))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--master", required=True)
    parser.add_argument("--settings", default="{}")
    given = parser.parse_args()
    settings = {"spark.sql.shuffle.partitions": "2", "spark.driver.memory": "1g", **json.loads(given.settings)}
    spark = build_session("retrying", master=given.master, scratch=given.scratch, extra=settings)
    config = ReleaseConfig.from_dict(json.loads(given.config.read_text()))
    source = Place.of(config.source.table, config.source.path)
    table = read_version(spark, source, latest_version(spark, source, None))
    types = {f.name: f.dataType.simpleString() for f in table.schema.fields if f.name in config.domain.columns}
    plan, label = make_plan(config), config.domain.label
    with staging(spark, "retrying", "") as name:

        def source(key):
            return spark_source(table, config.domain, plan.unit, key, name, keeps=True)

        fitted = run_stages(source, config, plan, "retrying", Progress(6))
        outcome, mark = fitted.outcome, given.scratch / "again"
        if isinstance(outcome, Drawn):
            rows = sampled_rows(spark, BlockDraw(outcome.sampler, outcome.encoding, label, types, N_ROWS, SEED))
        else:
            exchange = mixing(outcome.mixer, outcome.granted, outcome.encoding, label, types, SEED)
            rows = fitted.staged.exchanged(exchange)
        names = [f"c{place}" for place in range(len(types))]
        rows = rows.toDF(*names)  # mapInArrow asks for columns by names without dots
        ddl = ddl_of(dict(zip(names, types.values(), strict=True)))
        again = rows.mapInArrow(failing_first(str(mark)), ddl)
        for place, written in (("once", rows), ("twice", again)):
            written.write.parquet(str(given.scratch / place))
            print(f"{place} {' '.join(digests(given.scratch / place))}", flush=True)
        print(f"tasks ran again: {mark.exists()}", flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
