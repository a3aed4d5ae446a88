"""spark-submit jobs/release.py --config release.yaml: releases a table, prints the receipt, writes a report."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from threea_spark import ReleaseConfig, release
from threea_spark.cli_report import receipt_path, report_path, try_report
from threea_spark.errors import ThreeAError
from threea_spark.session import build_session


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, loads, runs, reports; configuration errors surface before a cluster is used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="YAML of the release")
    parser.add_argument("--receipt", help="where to write the receipt's JSON")
    parser.add_argument("--report", type=Path, help="where to write the report's HTML")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("py4j").setLevel(logging.WARNING)
    try:
        config = ReleaseConfig.from_yaml(arguments.config)
        spark = build_session("threea-release")
        receipt = release(spark, config)
        receipt.write(arguments.receipt or receipt_path(config, receipt.release_id))
        try_report(spark, config, receipt, arguments.report or report_path(config, receipt.release_id))
    except ThreeAError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(receipt.in_words() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
