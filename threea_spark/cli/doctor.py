"""The `threea doctor` command: checks in a minute or two whether a cluster can run a release. Reads no table."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from threea_spark.cli.console import JsonOption, MasterOption, out
from threea_spark.cli.progress import shown_step
from threea_spark.doctor.checks import Finding, Level, as_json, brief, wrong
from threea_spark.engine.quiet import unprinted_query_errors
from threea_spark.errors import ClusterNotReadyError

log = logging.getLogger("threea_spark")

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.WRONG: "bold red"}
_LOG_WIDTH = 120
"""Width of a line, in characters, if there is no terminal, such as in a job's log."""

WriteToOption = Annotated[
    str | None,
    typer.Option(help="Schema or folder for a temporary table; defaults to the current schema."),
]


def doctor(write_to: WriteToOption = None, master: MasterOption = None, as_json: JsonOption = False) -> None:
    """Checks a cluster: Python, packages and Arrow on driver and workers, Delta, GPU. Exit code 13 if a check fails.

    It writes a Delta table of 1,000 numbers and drops it again; it reads none of your tables.
    """
    check_up(write_to=write_to, master=master, json_wanted=as_json)


def check_up(*, write_to: str | None, master: str | None, json_wanted: bool) -> None:
    """Runs every check and prints the findings.

    Raises:
      ClusterNotReadyError: if a finding would stop a release.
      EnvironmentNotReadyError: if Spark does not start, or its server does not answer.
    """
    from threea_spark.doctor.probe import diagnose, require_answer
    from threea_spark.session import build_session

    require_answer(master)
    spark = build_session("threea-doctor", master=master)
    try:
        with unprinted_query_errors(), shown_step("checking driver, workers, Delta and GPU, for a minute or two ..."):
            findings = diagnose(spark, write_to)
    except Exception as error:  # such as a server that dies during the check
        log.debug("the check itself failed", exc_info=True)
        raise ClusterNotReadyError(f"the check itself failed: {brief(error)}") from None
    if json_wanted:
        sys.stdout.write(as_json(findings) + "\n")
    else:
        console = out if out.is_terminal or "COLUMNS" in os.environ else Console(width=_LOG_WIDTH)
        console.print(table_of(findings))
    bad = wrong(findings)
    if bad:
        raise ClusterNotReadyError(f"not ready for a release: {', '.join(bad)}")


def table_of(findings: Sequence[Finding]) -> Table:
    """Lays out findings, one per row; those that are wrong or doubtful say how to fix them."""
    table = Table("check", "found", "", "fix", box=box.SIMPLE_HEAD, pad_edge=False)
    for finding in findings:
        level = Text(finding.level.value, style=_STYLES[finding.level])
        table.add_row(Text(finding.check), Text(finding.found), level, Text(finding.fix))
    return table
