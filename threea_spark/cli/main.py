"""The command line `threea`, also `python -m threea_spark`; the commands are listed in commands.py.

Every error is a single message with its own exit code (see errors.py); `--debug` also shows the traceback. Nothing
heavy is imported before a command runs, so that help is there at once.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from threea_spark import __version__
from threea_spark.cli.check import check
from threea_spark.cli.commands import Command, Group
from threea_spark.cli.console import CONFIG, ConfigOption, JsonOption, MasterOption, err, escaped, out, say
from threea_spark.cli.doctor import doctor
from threea_spark.cli.export import export
from threea_spark.cli.fit import fit
from threea_spark.cli.init import init
from threea_spark.cli.ledger import ledger_app
from threea_spark.cli.plan import plan
from threea_spark.cli.progress import announce_spark, shown_step
from threea_spark.cli.release import release
from threea_spark.cli.report import report
from threea_spark.cli.sample import sample
from threea_spark.errors import ConfigError, ThreeAError

HELP = """Releases training tables from Delta under a differential privacy guarantee for everything that read a row.

Start with `threea init`, then `threea release`. Where bounds are publicly known, `threea domain draft` asks for them, \
and `threea plan` shows what the budget buys.

Every error is a single message with its own exit code: 2 configuration, 3 source, 4 schema, 5 target exists, \
6 this release exists, 7 budget, 8 privacy plan, 9 a stage failed, 10 model, 11 environment, 12 ledger changed, \
13 `threea doctor` found a problem.
"""

app = typer.Typer(cls=Group, help=HELP, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)
domain_app = typer.Typer(cls=Group, help="Describe a table's public domain.", no_args_is_help=True)
app.add_typer(domain_app, name="domain")
app.add_typer(ledger_app, name="ledger", cls=Group)
for _command in (init, plan, release, report, fit, sample, export, doctor):
    app.command(cls=Command)(_command)
domain_app.command("check", cls=Command)(check)


def main() -> None:
    """Runs the command line; turns every ThreeAError into one message and its exit code."""
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")  # docs/compatibility.md
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
        logging.basicConfig(level=logging.DEBUG)
        logging.getLogger("py4j").setLevel(logging.INFO)
    announce_spark()
    try:
        app(standalone_mode=True, prog_name="threea")
    except ThreeAError as error:
        if debug:
            err.print_exception()
        err.print(f"[bold red]error:[/bold red] {escaped(str(error))}")
        raise SystemExit(error.exit_code) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"threea_spark {__version__}")
        raise typer.Exit


@app.callback()
def options_before_any_command(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks, which may hold private values; may stand anywhere.")
    ] = False,
) -> None:
    """Declares, for the help, the options that `main` and a callback handle."""


@app.command(cls=Command)
def evaluate(
    held_out: Annotated[str, typer.Option(help="Real rows that the release never read: a table or a Delta path.")],
    config: ConfigOption = CONFIG,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trains models on released and on real rows and tests them on held-out real rows. INTERNAL figures."""
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    spark = build_session("threea-evaluate", master=master)
    from threea_spark.evaluation.evaluate import evaluate as judge

    with shown_step("training models on released and on real rows, which takes a minute or more ..."):
        found = judge(spark, parsed, held_out)
    say(found.in_words(), found.to_json() if as_json else None)


@app.command(cls=Command)
def cleanup(
    config: ConfigOption,
    hours: Annotated[float, typer.Option(min=0.0, help="Minimum age; spares releases that are still running.")] = 24,
    yes: Annotated[bool, typer.Option("--yes", help="Drop them; by default they are only listed.")] = False,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists, and with --yes drops, private staging that a killed driver left behind."""
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.publish.cleanup import drop, leftovers
    from threea_spark.session import build_session

    schema = ReleaseConfig.from_yaml(config).source.schema_of_staging
    found = leftovers(spark := build_session("threea-cleanup", master=master), schema, hours=hours)
    for item in found:
        if yes:
            drop(spark, item)
    lines = [f"{'dropped' if yes else 'found'}  {item.hours:8.1f} hours old  {item.name}" for item in found]
    lines.append(f"{len(found)} {'dropped' if yes else 'left behind'}")
    plain = json.dumps([{**asdict(item), "dropped": yes} for item in found], indent=1)
    say("\n".join(lines), plain if as_json else None)


@domain_app.command("draft", cls=Command)
def domain_draft(
    table: Annotated[str, typer.Option(help="A Delta table's name or path.", show_default=False)],
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Write a complete release YAML there instead of printing the domain."),
    ] = None,
    master: MasterOption = None,
) -> None:
    """Drafts a domain from a table's schema alone; it reads no row, so you fill in the bounds."""
    from threea_spark.session import build_session
    from threea_spark.source.draft import domain_text, drafted, release_text

    if config is not None and config.exists():  # before Spark starts
        raise ConfigError(f"--config: {config} exists; drop it or choose another")
    spark = build_session("threea-domain", master=master)
    if config is None:
        sys.stdout.write(drafted(spark, table, domain_text))
        return
    config.write_text(drafted(spark, table, release_text), encoding="utf-8")
    err.print(escaped(f"{config} written: replace every TODO in it, then run `threea release -c {config}`"))
