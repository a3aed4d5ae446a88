"""The commands `threea ledger show | grant | void | view`, with which a privacy officer manages budgets.

They read no row of a source.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from threea_spark.cli.commands import Command
from threea_spark.cli.console import ConfigOption, JsonOption, MasterOption, escaped, out, say
from threea_spark.cli.ledger_words import budget_in_words, finite, summary_in_words

ledger_app = typer.Typer(
    help="Budgets of sources: granted, spent and left, and by whom. A hash chains each entry to the previous one.",
    no_args_is_help=True,
)


@ledger_app.command("show", cls=Command)
def show(
    config: ConfigOption,
    receipt: Annotated[
        Path | None,
        typer.Option(help="A receipt's JSON: fails if the ledger no longer has its entry.", show_default=False),
    ] = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows the budget granted, spent and left for a release's source, composed by privacy loss distributions.

    It verifies the whole chain first.
    """
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.publish.ledger_summary import check_receipt, summary
    from threea_spark.publish.receipt import Receipt
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    kept = None if receipt is None else Receipt.read(receipt)
    spark = build_session("threea-ledger", master=master)
    if kept is not None:
        check_receipt(spark, parsed, kept)
    found = summary(spark, parsed)
    say(summary_in_words(found), json.dumps(finite(found), indent=1) if as_json else None)


@ledger_app.command("grant", cls=Command)
def grant(
    config: ConfigOption,
    epsilon: Annotated[float, typer.Option(min=0.0, help="Total over all releases.", show_default=False)],
    delta: Annotated[float, typer.Option(min=0.0, max=1.0, help="Total over all releases.", show_default=False)],
    allow_conditional: Annotated[
        bool, typer.Option("--allow-conditional", help="Also allow releases that read rows without noise.")
    ] = False,
    master: MasterOption = None,
) -> None:
    """Sets the total budget of a source and a unit of privacy; the newest grant applies, earlier ones stay on record.

    It is written to `privacy.ledger.grants` where that is configured, else to the ledger. A conditional release reads
    rows without noise, so no epsilon bounds it: it is refused unless the grant explicitly allows it, and is then listed
    beside what was spent, not included in it.
    """
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.privacy.account import Budget
    from threea_spark.publish.officer import grant as give
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    budget = Budget(epsilon, delta, allow_conditional)
    entry = give(build_session("threea-ledger", master=master), parsed, budget)
    granted = budget_in_words(vars(budget))
    out.print(escaped(f"entry {entry.number}: {entry.source}, unit {entry.unit}: {granted}; by {entry.by}"))


@ledger_app.command("void", cls=Command)
def void(
    config: ConfigOption,
    entry: Annotated[int, typer.Option(min=0, help="Number of the release's start entry.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why none of it can have left; stays on record.", show_default=False)],
    master: MasterOption = None,
) -> None:
    """Stops counting a started release. Only if nothing that it drew has left: no rows, no model, no log."""
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.publish.officer import void as take_out
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    done = take_out(build_session("threea-ledger", master=master), parsed, entry, reason)
    out.print(escaped(f"entry {done.number}: entry {entry} (release {done.release_id}) no longer counts; by {done.by}"))


@ledger_app.command("view", cls=Command)
def view(
    config: ConfigOption,
    name: Annotated[str, typer.Option(help="The view of budgets: a row for each source and unit.", show_default=False)],
    releases: Annotated[
        str | None, typer.Option(help="Also a view of releases: a row for each.", show_default=False)
    ] = None,
    master: MasterOption = None,
) -> None:
    """Creates SQL views of the ledger: what was granted, claimed and is left at least, for dashboards and officers.

    SQL cannot compose privacy loss distributions, so these add epsilons up, which is more than was spent: `threea
    ledger show` has the exact figures. A view does not verify the chain of hashes.
    """
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.publish.ledger_view import create_views
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    for made in create_views(build_session("threea-ledger", master=master), parsed, budgets=name, releases=releases):
        out.print(escaped(f"view {made} created"))
