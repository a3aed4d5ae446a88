"""The `threea release` command: checks, one release, its receipt and report, and optionally model and MLflow run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from threea_spark.cli.console import CONFIG, ConfigOption, JsonOption, MasterOption, say, tell
from threea_spark.cli.progress import shown_progress
from threea_spark.publish.if_exists import IfExists

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from threea_spark.config.release import ReleaseConfig
    from threea_spark.outputs import Outputs


def release(
    config: ConfigOption = CONFIG,
    master: MasterOption = None,
    receipt: Annotated[Path | None, typer.Option(help="Where to write the receipt's JSON.")] = None,
    report: Annotated[Path | None, typer.Option(help="Where to write the report's HTML.")] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
    save_model: Annotated[Path | None, typer.Option(help="Where to save the model, to draw more rows from.")] = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="Do not save the model.")] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Also log one run to MLFLOW_TRACKING_URI.")] = False,
    mlflow_experiment: Annotated[str | None, typer.Option(help="MLflow experiment, by name; implies --mlflow.")] = None,
    if_exists: Annotated[
        IfExists, typer.Option(help="If this very release was written before: error, or skip (exit 0, old receipt).")
    ] = "error",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Run all checks that need no row, then stop.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Releases a table: checks, fits, writes Delta once, prints the receipt, saves the model, writes a report."""
    from threea_spark.config.release import ReleaseConfig

    parsed = ReleaseConfig.from_yaml(config)
    tell("checking the plan ...")  # before what takes a second to load
    from threea_spark.outputs import Outputs, release_with_outputs
    from threea_spark.planned import make_plan
    from threea_spark.session import build_session

    outputs = Outputs(
        receipt, report, not no_report, save_model, not no_model, mlflow, mlflow_experiment, if_exists=if_exists
    )
    outputs.check(parsed)
    make_plan(parsed)  # a claim that cannot be certified is refused before Spark starts
    spark = build_session("threea-release", master=master)
    if dry_run:
        _say_dry_run(spark, parsed, outputs, as_json=as_json)
        return
    with shown_progress() as listener:
        done = release_with_outputs(spark, parsed, outputs, listener=listener)
    say(done.in_words(), done.to_json() if as_json else None)


def _say_dry_run(spark: SparkSession, config: ReleaseConfig, outputs: Outputs, *, as_json: bool) -> None:
    from threea_spark.preflight import prepare
    from threea_spark.publish.written import receipt_before

    before = receipt_before(spark, config, outputs.if_exists)
    if before is not None:
        text = f"release {before.release_id} was written before: a run would skip it"
        say(text, before.to_json() if as_json else None)
        return
    ready = prepare(spark, config)
    outputs.check_model(config, ready.release_id)
    is_booked = ready.ledger.check()
    plain = json.dumps(ready.as_dict(config, is_booked=is_booked), indent=1) if as_json else None
    say(ready.in_words(config, is_booked=is_booked), plain)
