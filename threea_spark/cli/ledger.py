"""The commands `threea ledger show | grant | void`, with which a privacy officer manages budgets. They read no row."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import typer

from threea_spark.cli.commands import Command
from threea_spark.cli.console import ConfigOption, JsonOption, MasterOption, escaped, out, say

ledger_app = typer.Typer(
    help="Budgets of sources: granted and spent. A hash chains each entry to the previous one.",
    no_args_is_help=True,
)


@ledger_app.command("show", cls=Command)
def show(config: ConfigOption, master: MasterOption = None, as_json: JsonOption = False) -> None:
    """Shows the budget granted and spent for a release's source, composed by privacy loss distributions.

    It verifies the whole chain first.
    """
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.publish.ledger import summary
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    found = summary(build_session("threea-ledger", master=master), parsed)
    say(_in_words(found), json.dumps(_finite(found), indent=1) if as_json else None)


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

    A conditional release reads rows without noise, so no epsilon bounds it: it is refused unless the grant explicitly
    allows it, and is then listed beside what was spent, not included in it.
    """
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.privacy.account import Budget
    from threea_spark.publish.ledger import grant as give
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    budget = Budget(epsilon, delta, allow_conditional)
    entry = give(build_session("threea-ledger", master=master), parsed, budget)
    granted = _budget_in_words(vars(budget))
    out.print(escaped(f"entry {entry.number}: {entry.source}, unit {entry.unit}: {granted}"))


@ledger_app.command("void", cls=Command)
def void(
    config: ConfigOption,
    entry: Annotated[int, typer.Option(min=0, help="Number of the release's start entry.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why none of it can have left; stays on record.", show_default=False)],
    master: MasterOption = None,
) -> None:
    """Stops counting a started release. Only if nothing that it drew has left: no rows, no model, no log."""
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.publish.ledger import void as take_out
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    done = take_out(build_session("threea-ledger", master=master), parsed, entry, reason)
    out.print(escaped(f"entry {done.number}: entry {entry} (release {done.release_id}) no longer counts"))


def _finite(found: dict[str, Any]) -> dict[str, Any]:
    """Replaces infinity, which JSON lacks, by null: no epsilon bounds what was spent, and the notes say why."""
    return {**found, "spent_epsilon": found["spent_epsilon"] if math.isfinite(found["spent_epsilon"]) else None}


def _budget_in_words(held: dict[str, Any] | None) -> str:
    if held is None:
        return "none"
    beside = ", conditional releases beside it" if held.get("allow_conditional") else ""
    return f"epsilon {held['epsilon']:g}, delta {held['delta']:g}{beside}"


def _in_words(found: dict[str, Any]) -> str:
    spent = found["spent_epsilon"]
    total = f"epsilon {spent:.4g} at delta {found['at_delta']:g}" if math.isfinite(spent) else "no epsilon bounds it"
    lines = [
        f"source   {found['source']}",
        f"unit     {found['unit']}",
        f"granted  {_budget_in_words(found['granted'])}",
        f"limit    {_budget_in_words(found['limit'])} (of this configuration)",
        f"spent    {total}",
        *[f"note     {text}" for text in found["notes"]],
        f"head     {found['head']}",
    ]
    for entry in found["entries"]:
        release = f"{entry['release_id']}  {_claim_in_words(entry)}"
        lines.append(f"  {entry['entry']:>5}  {entry['at']}  {entry['status']:<9} {release}")
    return "\n".join(lines)


def _claim_in_words(entry: dict[str, Any]) -> str:
    """Returns what a release claimed; entries written by 0.1.0 do not record epsilon and delta."""
    known = entry["epsilon"] is not None
    claim = f"epsilon {entry['epsilon']:g}, delta {entry['delta']:g}, " if known else ""
    return f"{claim}{entry['accounting']}"
