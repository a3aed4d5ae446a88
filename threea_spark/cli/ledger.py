"""threea ledger show | grant | void: what a privacy officer does with budgets. No command here reads a row."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import typer

from threea_spark.cli.console import ConfigOption, JsonOption, MasterOption, escaped, out, say
from threea_spark.config.release import ReleaseConfig

ledger_app = typer.Typer(
    help="Budgets of sources: what was granted, what was spent. Every entry is chained to the one before by a hash.",
    no_args_is_help=True,
)


@ledger_app.command("show")
def show(config: ConfigOption, master: MasterOption = None, as_json: JsonOption = False) -> None:
    """Shows what was granted and spent for the source of a release, composed by privacy loss distributions.

    The whole chain is verified first.
    """
    from threea_spark.publish.ledger import summary
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    found = summary(build_session("threea-ledger", master=master), parsed)
    say(_in_words(found), json.dumps(_finite(found), indent=1) if as_json else None)


@ledger_app.command("grant")
def grant(
    config: ConfigOption,
    epsilon: Annotated[float, typer.Option(min=0.0, help="Of all releases together.", show_default=False)],
    delta: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of all releases together.", show_default=False)],
    allow_conditional: Annotated[
        bool, typer.Option("--allow-conditional", help="Also let releases run that read rows without noise.")
    ] = False,
    master: MasterOption = None,
) -> None:
    """Sets the total budget of a source and a unit of privacy; the newest grant holds, earlier ones stay on record.

    A conditional release reads rows without noise, and no epsilon bounds it: it is refused unless the grant allows it
    by name, and is then listed beside what was spent, not in it.
    """
    from threea_spark.privacy.account import Budget
    from threea_spark.publish.ledger import grant as give
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    budget = Budget(epsilon, delta, allow_conditional)
    entry = give(build_session("threea-ledger", master=master), parsed, budget)
    granted = _budget_in_words(vars(budget))
    out.print(escaped(f"entry {entry.number}: {entry.source}, unit {entry.unit}: {granted}"))


@ledger_app.command("void")
def void(
    config: ConfigOption,
    entry: Annotated[int, typer.Option(min=0, help="Number of the started release.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why nothing of it can have left; stays on record.", show_default=False)],
    master: MasterOption = None,
) -> None:
    """Takes a started release out of what counts. Only if nothing that it drew has left: no rows, no model, no log."""
    from threea_spark.publish.ledger import void as take_out
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    done = take_out(build_session("threea-ledger", master=master), parsed, entry, reason)
    out.print(escaped(f"entry {done.number}: entry {entry} (release {done.release_id}) no longer counts"))


def _finite(found: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no infinity: null says that no epsilon bounds what was spent, and the notes say why."""
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
    """What a release claimed; entries of 0.1.0 do not say it."""
    known = entry["epsilon"] is not None
    claim = f"epsilon {entry['epsilon']:g}, delta {entry['delta']:g}, " if known else ""
    return f"{claim}{entry['accounting']}"
