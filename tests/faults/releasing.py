"""A release in a process of its own, for tests that kill it: says each step on standard output as it starts."""

import argparse
import json
import sys
from pathlib import Path

from threea_spark import ReleaseConfig, release
from threea_spark.errors import ThreeAError
from threea_spark.session import build_session


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--settings", default="{}")
    given = parser.parse_args()
    settings = {"spark.sql.shuffle.partitions": "2", "spark.driver.memory": "1g", **json.loads(given.settings)}
    spark = build_session("faults", master=given.master, scratch=given.scratch, extra=settings)
    config = ReleaseConfig.from_dict(json.loads(given.config.read_text()))
    try:
        receipt = release(spark, config, listener=lambda name, number, of: print(f"step {number} {name}", flush=True))
    except ThreeAError as error:
        print(f"failed {error}", flush=True)
        sys.exit(error.exit_code)
    print(f"done {receipt.n_released}", flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
