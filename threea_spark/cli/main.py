"""The command line: threea plan | domain | release | sample | evaluate | report | cleanup | doctor | ledger.

Every error is a single message with its own exit code (see errors.py); `--debug` also shows the traceback.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from threea_spark.cli.check import check
from threea_spark.cli.console import ConfigOption, JsonOption, MasterOption, err, escaped, say
from threea_spark.cli.doctor import doctor
from threea_spark.cli.fit import fit
from threea_spark.cli.ledger import ledger_app
from threea_spark.cli.plan import plan
from threea_spark.cli.release import release
from threea_spark.cli.report import report
from threea_spark.cli.sample import sample
from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import ConfigError, ThreeAError

HELP = """Releases training tables from Delta under a differential privacy guarantee for everything that read a row.

Start with `threea domain draft`, then `threea plan` and `threea domain check`, then `threea release`. Every error is a
single message with its own exit code: 2 configuration, 3 source, 4 schema, 5 target exists, 6 this release exists,
7 budget, 8 privacy plan, 9 a stage failed, 10 model, 11 environment, 12 ledger changed, 13 `threea doctor` found a
problem.
`--debug` shows tracebacks, which may contain private values.
"""

app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)
domain_app = typer.Typer(help="Describe a table's public domain.", no_args_is_help=True)
app.add_typer(domain_app, name="domain")
app.add_typer(ledger_app, name="ledger")
app.command()(plan)
app.command()(release)
app.command()(report)
app.command()(fit)
app.command()(sample)
app.command("doctor")(doctor)
domain_app.command("check")(check)


def main() -> None:
    """Runs the command line; turns every ThreeAError into one message and its exit code."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
        logging.basicConfig(level=logging.DEBUG)
        logging.getLogger("py4j").setLevel(logging.INFO)
    try:
        app(standalone_mode=True, prog_name="threea")
    except ThreeAError as error:
        if debug:
            err.print_exception()
        err.print(f"[bold red]error:[/bold red] {escaped(str(error))}")
        raise SystemExit(error.exit_code) from None


@app.command()
def evaluate(
    config: ConfigOption,
    held_out: Annotated[str, typer.Option(help="Real rows that the release never read: a table or a Delta path.")],
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trains models on released and on real rows and tests them on held-out real rows. INTERNAL figures."""
    from threea_spark.evaluation.evaluate import evaluate as judge
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    found = judge(build_session("threea-evaluate", master=master), parsed, held_out)
    say(found.in_words(), found.to_json() if as_json else None)


@app.command()
def cleanup(
    config: ConfigOption,
    hours: Annotated[float, typer.Option(min=0.0, help="Minimum age; spares releases that are still running.")] = 24,
    yes: Annotated[bool, typer.Option("--yes", help="Drop them; by default they are only listed.")] = False,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists, and with --yes drops, private staging that a killed driver left behind."""
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


@domain_app.command("draft")
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
