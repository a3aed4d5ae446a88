"""Writes released rows twice, once with tasks that fail and run again, and says a digest of each file's bytes."""

import argparse
import hashlib
import json
from pathlib import Path

from pyspark import TaskContext

from threea_spark import ReleaseConfig
from threea_spark.anonymize import spark as generators
from threea_spark.engine.delta import Place, latest_version, read_version
from threea_spark.engine.progress import Progress
from threea_spark.model.blocks import BlockDraw
from threea_spark.planned import make_plan
from threea_spark.publish import write as delta
from threea_spark.session import build_session
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
    with delta.staging(spark, "retrying", "") as name:
        fitted = run_stages(table, config, plan, "retrying", name, Progress(6))
        encoding, mark = fitted.encoded.encoding, given.scratch / "again"
        if fitted.mixer is None:
            rows = generators.sampled_rows(spark, BlockDraw(fitted.sampler, encoding, label, types, N_ROWS, SEED))
        else:
            noise = fitted.meter.noise
            rows = generators.mixed_rows(
                fitted.staged, fitted.mixer, encoding, label, types, fitted.mechanism, noise, SEED
            )
        names = [f"c{place}" for place in range(len(types))]
        rows = rows.toDF(*names)  # mapInArrow asks for columns by names without dots
        ddl = generators.ddl_of(dict(zip(names, types.values(), strict=True)))
        again = rows.mapInArrow(failing_first(str(mark)), ddl)
        for place, written in (("once", rows), ("twice", again)):
            written.write.parquet(str(given.scratch / place))
            print(f"{place} {' '.join(digests(given.scratch / place))}", flush=True)
        print(f"tasks ran again: {mark.exists()}", flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
