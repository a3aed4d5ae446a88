"""threea ledger show | grant | void: what a privacy officer does with budgets. No command here reads a row."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from threea_spark.config import ReleaseConfig
from threea_spark.console import ConfigOption, JsonOption, MasterOption, escaped, out, say

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
    say(_in_words(found), json.dumps(found, indent=1) if as_json else None)


@ledger_app.command("grant")
def grant(
    config: ConfigOption,
    epsilon: Annotated[float, typer.Option(min=0.0, help="Of all releases together.", show_default=False)],
    delta: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of all releases together.", show_default=False)],
    master: MasterOption = None,
) -> None:
    """Sets the total budget of a source and a unit of privacy; the newest grant holds, earlier ones stay on record."""
    from threea_spark.privacy.ledger import Budget
    from threea_spark.publish.ledger import grant as give
    from threea_spark.session import build_session

    parsed = ReleaseConfig.from_yaml(config)
    entry = give(build_session("threea-ledger", master=master), parsed, Budget(epsilon, delta))
    out.print(escaped(f"entry {entry.number}: {entry.source}, unit {entry.unit}: epsilon {epsilon:g}, delta {delta:g}"))


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


def _in_words(found: dict[str, Any]) -> str:
    def budget(name: str) -> str:
        held = found[name]
        return "none" if held is None else f"epsilon {held['epsilon']:g}, delta {held['delta']:g}"

    lines = [
        f"source   {found['source']}",
        f"unit     {found['unit']}",
        f"granted  {budget('granted')}",
        f"limit    {budget('limit')} (of this configuration)",
        f"spent    epsilon {found['spent_epsilon']:.4g} at delta {found['at_delta']:g}",
        f"head     {found['head']}",
    ]
    for entry in found["entries"]:
        lines.append(f"  {entry['entry']:>5}  {entry['at']}  {entry['status']:<9} {entry['release_id']}")
    return "\n".join(lines)
