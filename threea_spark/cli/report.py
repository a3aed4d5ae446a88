"""The `threea report` command."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from threea_spark.cli.console import CONFIG, ConfigOption, MasterOption, err, escaped, tell
from threea_spark.cli.progress import shown_step

log = logging.getLogger("threea_spark")


def report(
    config: ConfigOption = CONFIG,
    receipt: Annotated[Path | None, typer.Option(help="The receipt; by default from the target's history.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the HTML; beside the target by default.")] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="The release's saved model, for its tables of pairs; beside the target by default."),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(help="Real rows that the release never read; adds an INTERNAL report, which must not leave."),
    ] = None,
    master: MasterOption = None,
) -> None:
    """Writes the report of a release as one HTML file, from its receipt, model and released rows; no real row is read.

    With --held-out it also writes a second, INTERNAL file that compares released with real rows.
    """
    from threea_spark.config.release import ReleaseConfig

    parsed = ReleaseConfig.from_yaml(config)
    tell("looking for the receipt ...")  # before what takes a second to load
    from threea_spark.model.released import ReleaseModel
    from threea_spark.outputs import report_path
    from threea_spark.publish.receipt import Receipt
    from threea_spark.report.pages import internal_path, internal_report_html, receipt_of, report_html, write_html
    from threea_spark.session import build_session

    given = None if receipt is None else Receipt.read(receipt)
    own = None if model is None else ReleaseModel.load(model)
    spark = build_session("threea-report", master=master)
    found = given or receipt_of(spark, parsed)
    path = out or report_path(parsed, found.release_id)
    with shown_step("reading the released table ..."):
        write_html(report_html(spark, parsed, found, own), path)
    err.print(escaped(f"report written to {path}"))
    if held_out is not None:
        with shown_step("comparing with held-out rows, which takes a minute or more ..."):
            write_html(internal_report_html(spark, parsed, held_out), internal_path(path))
        err.print(escaped(f"INTERNAL report, not for publication, written to {internal_path(path)}"))
