"""threea report, and the report that each release writes beside its receipt."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from threea_spark.config import ReleaseConfig
from threea_spark.console import ConfigOption, MasterOption, err, escaped
from threea_spark.publish.receipt import Receipt

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("threea_spark")


def report(
    config: ConfigOption,
    receipt: Annotated[Path | None, typer.Option(help="The receipt; else the target's own commits are asked.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the HTML; beside the target, if not given.")] = None,
    held_out: Annotated[
        str | None,
        typer.Option(help="Real rows the release never read: also writes an INTERNAL report that must not leave."),
    ] = None,
    master: MasterOption = None,
) -> None:
    """Writes the report of a release as one HTML file, from its receipt and released rows; reads no real row.

    With --held-out a second, INTERNAL file compares released with real rows.
    """
    from threea_spark.report.pages import internal_path, internal_report_html, receipt_of, report_html, write_html
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    given = None if receipt is None else Receipt.read(receipt)
    spark = build_session("threea-report", master=master)
    found = given or receipt_of(spark, parsed)
    path = out or report_path(parsed, found.release_id)
    write_html(report_html(spark, parsed, found), path)
    err.print(escaped(f"report written to {path}"))
    if held_out is not None:
        write_html(internal_report_html(spark, parsed, held_out), internal_path(path))
        err.print(escaped(f"INTERNAL report, not for publication, written to {internal_path(path)}"))


def try_report(spark: SparkSession, config: ReleaseConfig, receipt: Receipt, path: Path) -> bool:
    """Writes the report of a release that was just made; if that fails, the release stands, and it is said.

    Returns:
      Whether it was written.
    """
    from threea_spark.report.pages import report_html, write_html

    try:
        write_html(report_html(spark, config, receipt), path)
    except Exception as error:  # whatever it was, the release is done and must not look as if it were not
        log.debug("the report could not be written", exc_info=True)
        err.print(
            escaped(
                f"the release stands, but its report could not be written ({type(error).__name__}); "
                "`threea report` makes it again"
            )
        )
        return False
    err.print(escaped(f"report written to {path}"))
    return True


def receipt_path(config: ReleaseConfig, release_id: str) -> Path:
    """Where a receipt goes by default: beside a local target, else into the working directory."""
    return _beside(config, ".receipt.json", f"receipt-{release_id}.json")


def report_path(config: ReleaseConfig, release_id: str) -> Path:
    """Where a report goes by default: beside the receipt."""
    return _beside(config, ".report.html", f"report-{release_id}.html")


def _beside(config: ReleaseConfig, suffix: str, elsewhere: str) -> Path:
    path = config.target.path
    if path is not None and "://" not in path:
        return Path(path.rstrip("/") + suffix)
    return Path(elsewhere)
