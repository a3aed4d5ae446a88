"""spark-submit jobs/release.py --config release.yaml: releases a table, prints the receipt, writes a report.

Leaves the same outputs as `threea release`: the model too, unless --no-model, and a run with --mlflow.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from threea_spark import ReleaseConfig
from threea_spark.config.ledger import require_ledger
from threea_spark.errors import ThreeAError
from threea_spark.outputs import Outputs, release_with_outputs
from threea_spark.planned import make_plan
from threea_spark.session import build_session


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the arguments and runs the release; configuration errors surface before a cluster is used."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("py4j").setLevel(logging.WARNING)
    outputs = Outputs(
        arguments.receipt,
        arguments.report,
        model=arguments.save_model,
        with_model=not arguments.no_model,
        mlflow=arguments.mlflow,
        mlflow_experiment=arguments.mlflow_experiment,
        if_exists=arguments.if_exists,
    )
    try:
        config = ReleaseConfig.from_yaml(arguments.config)
        if arguments.ledger is not None:
            require_ledger(config.privacy.ledger, arguments.ledger, arguments.grants)
        outputs.check(config)
        make_plan(config)  # a claim that cannot be certified is refused before Spark starts
        spark = build_session("threea-release")
        receipt = release_with_outputs(spark, config, outputs)
    except ThreeAError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(receipt.in_words() + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="YAML of the release")
    parser.add_argument("--receipt", type=Path, help="where to write the receipt's JSON")
    parser.add_argument("--report", type=Path, help="where to write the report's HTML")
    parser.add_argument("--save-model", type=Path, help="where to save the model, to draw more rows from")
    parser.add_argument("--no-model", action="store_true", help="do not save the model")
    parser.add_argument("--mlflow", action="store_true", help="also log one run to MLFLOW_TRACKING_URI")
    parser.add_argument("--mlflow-experiment", help="MLflow experiment, by name; implies --mlflow")
    parser.add_argument(
        "--if-exists", choices=["error", "skip"], default="error", help="if this very release was written before"
    )
    parser.add_argument("--ledger", help="refuse a configuration that is not booked in this ledger")
    parser.add_argument("--grants", help="with --ledger: and one whose budgets are not granted in this table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
