"""The command line: threea plan | domain draft | release | sample | evaluate | report | cleanup | doctor | ledger.

Every error is one message and its own exit code (see errors.py); `--debug` shows the trace as well.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from threea_spark.cli_doctor import doctor
from threea_spark.cli_ledger import ledger_app
from threea_spark.cli_report import receipt_path, report, report_path, try_report
from threea_spark.cli_tracking import try_tracking
from threea_spark.cli_values import parsed_shares, parsed_where
from threea_spark.config import ReleaseConfig
from threea_spark.console import ConfigOption, JsonOption, MasterOption, err, escaped, out
from threea_spark.errors import ConfigError, ThreeAError
from threea_spark.progress import Listener

HELP = """Releases training tables from Delta under a differential privacy guarantee that covers all that read a row.

Start with `threea domain draft`, then `threea plan`, then `threea release`. An error is one message with an exit code
of its own: 2 configuration, 3 source, 4 schema, 5 target exists, 6 this release exists, 7 budget, 9 a stage failed,
12 ledger changed, 13 `threea doctor` found something wrong.
`--debug` shows traces, which may hold private values.
"""

app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)
domain_app = typer.Typer(help="Describe a table's public domain.", no_args_is_help=True)
app.add_typer(domain_app, name="domain")
app.add_typer(ledger_app, name="ledger")
app.command()(report)
app.command("doctor")(doctor)


def main() -> None:
    """Runs the command line; every ThreeAError becomes one message and its exit code."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
        logging.basicConfig(level=logging.DEBUG)
        logging.getLogger("py4j").setLevel(logging.INFO)
    try:
        app(standalone_mode=True)
    except ThreeAError as error:
        if debug:
            err.print_exception()
        err.print(f"[bold red]error:[/bold red] {escaped(str(error))}")
        raise SystemExit(error.exit_code) from None


@app.command()
def plan(
    config: ConfigOption,
    rows: Annotated[int, typer.Option(min=1, help="Row count to assume; public, no row is read.")] = 100_000,
    as_json: JsonOption = False,
) -> None:
    """Shows what the budget buys, without reading a row: noise by stage, cluster sizes, expected signal to noise."""
    from threea_spark.outlook import outlook

    found = outlook(ReleaseConfig.from_yaml(config), n_rows=rows)
    out.print(json.dumps(found.as_dict(), indent=1) if as_json else escaped(found.in_words()))


@app.command()
def release(
    config: ConfigOption,
    master: MasterOption = None,
    receipt: Annotated[Path | None, typer.Option(help="Where to write the receipt's JSON.")] = None,
    report: Annotated[Path | None, typer.Option(help="Where to write the report's HTML.")] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
    save_model: Annotated[Path | None, typer.Option(help="Also save the model, to sample from later.")] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Also log one run to MLFLOW_TRACKING_URI.")] = False,
    mlflow_experiment: Annotated[str | None, typer.Option(help="Its experiment, by name; implies --mlflow.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Releases a table: checks, fits, writes Delta once, prints the receipt, writes a report."""
    from threea_spark.auto import is_mixing
    from threea_spark.model_store import require_empty
    from threea_spark.pipeline import release_with_model
    from threea_spark.session import build_session
    from threea_spark.tracking import require_mlflow

    parsed = ReleaseConfig.from_yaml(config)
    if save_model is not None:  # before anything is spent
        if is_mixing(parsed):
            raise ConfigError("--save-model: a mixed table is no model; use anonymize.generator: sample")
        require_empty(save_model)
    if tracked := mlflow or mlflow_experiment is not None:
        require_mlflow()
    spark = build_session("threea-release", master=master)
    done, model = release_with_model(spark, parsed, listener=progress_listener())
    path = receipt or receipt_path(parsed, done.release_id)
    done.write(path)
    if save_model is not None and model is not None:
        model.save(save_model)
    out.print(done.to_json() if as_json else escaped(done.in_words()))
    err.print(f"receipt written to {path}")
    page = None if no_report else report or report_path(parsed, done.release_id)
    page = page if page is not None and try_report(spark, parsed, done, page) else None
    if tracked:
        try_tracking(done, parsed, model, page, mlflow_experiment)


@app.command()
def sample(
    model: Annotated[Path, typer.Option(help="Folder of a saved model.", show_default=False)],
    target: Annotated[str, typer.Option(help="Path of the Delta table to create.", show_default=False)],
    rows: Annotated[int | None, typer.Option(min=1, help="Rows to draw; as many as the source, if not given.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which of the tables that could be drawn.")] = 0,
    where: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE or COLUMN=LOWEST..HIGHEST; repeat.")] = None,
    class_share: Annotated[list[str] | None, typer.Option(help="CLASS=SHARE; repeat until they sum to 1.")] = None,
    master: MasterOption = None,
) -> None:
    """Draws another table from a saved model; it costs no privacy."""
    from threea_spark.anonymize.conditions import conditions_of
    from threea_spark.errors import TargetExistsError
    from threea_spark.model import ReleaseModel
    from threea_spark.places import Place, exists
    from threea_spark.publish.receipt import PROPERTY_DELTA, PROPERTY_EPSILON
    from threea_spark.publish.spark import write_new
    from threea_spark.session import build_session

    loaded = ReleaseModel.load(model)
    wanted, shares = parsed_where(where or []), parsed_shares(class_share or [])
    conditions_of(loaded.domain, wanted, shares)  # before Spark starts
    spark = build_session("threea-sample", master=master)
    place = Place.named(target)
    if exists(spark, place):
        raise TargetExistsError(f"--target: {target} exists; drop it or choose another")
    statement = loaded.privacy
    drawn = loaded.sample(spark, rows, seed=seed, where=wanted, class_shares=shares)
    properties = {PROPERTY_EPSILON: f"{statement.epsilon:g}", PROPERTY_DELTA: f"{statement.delta:g}"}
    write_new(drawn, place, json.dumps(statement.as_dict()), release_id=f"sample-{seed}", properties=properties)
    out.print(f"{rows or loaded.matching_rows:,} rows written to {target}; no privacy was spent")


@app.command()
def evaluate(
    config: ConfigOption,
    held_out: Annotated[str, typer.Option(help="Real rows the release never read: a table or a Delta path.")],
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trains on released and on real rows, tests on held-out real rows. INTERNAL figures."""
    from threea_spark.judge.evaluation import evaluate as judge
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    found = judge(build_session("threea-evaluate", master=master), parsed, held_out)
    out.print(found.to_json() if as_json else found.in_words())


@app.command()
def cleanup(
    config: ConfigOption,
    hours: Annotated[float, typer.Option(min=0.0, help="Older than so many hours; a running release stages too.")] = 24,
    yes: Annotated[bool, typer.Option("--yes", help="Drop them; without it they are only listed.")] = False,
    master: MasterOption = None,
) -> None:
    """Lists, and with --yes drops, private staging that a killed driver left behind."""
    from threea_spark.places import Place
    from threea_spark.publish.leftovers import drop, leftovers
    from threea_spark.session import build_session

    target = ReleaseConfig.from_yaml(config).target
    spark = build_session("threea-cleanup", master=master)
    found = leftovers(spark, Place.of(target.table, target.path), hours=hours)
    for item in found:
        if yes:
            drop(spark, item)
        out.print(escaped(f"{'dropped' if yes else 'found'}  {item.hours:8.1f} hours old  {item.name}"))
    out.print(f"{len(found)} left behind" if not yes else f"{len(found)} dropped")


@domain_app.command("draft")
def domain_draft(
    table: Annotated[str, typer.Option(help="A Delta table's name or path.", show_default=False)],
    master: MasterOption = None,
) -> None:
    """Writes a domain skeleton from a table's schema alone; no row is read, so bounds are yours to fill in."""
    from threea_spark.drafting import draft_domain
    from threea_spark.session import build_session

    spark = build_session("threea-domain", master=master)
    sys.stdout.write(draft_domain(spark, table))


def progress_listener() -> Listener | None:
    """Shows each step as it starts: on a terminal, and as plain lines elsewhere."""

    def show(name: str, number: int, n_steps: int) -> None:
        err.print(f"[{number}/{n_steps}] {name}", markup=False)

    return None if os.environ.get("THREEA_QUIET") else show
