"""The `threea domain check` command: what share of each column the domain does not fit, for a small, booked budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from threea_spark.cli.console import ConfigOption, JsonOption, MasterOption, say, tell


def check(
    config: ConfigOption,
    epsilon: Annotated[float, typer.Option(help="What the check may spend, beside any release.")] = 0.1,
    receipt: Annotated[Path | None, typer.Option(help="Where to write the check's JSON, with its guarantee.")] = None,
    unbooked: Annotated[
        bool, typer.Option("--unbooked", help="Check without a ledger; add up what it spends by hand.")
    ] = False,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Counts, under DP, the rows of each column that are not in the domain or lie beyond a bound; books it.

    Run it before a release whose domain you are not sure of. It reads the source under the release's unit and delta,
    and writes no table.
    """
    from threea_spark.config.release import ReleaseConfig

    parsed = ReleaseConfig.from_yaml(config)
    tell("checking the plan ...")  # before what takes a second to load
    from threea_spark.doctor.domain_check import check_domain, check_plan
    from threea_spark.outputs import require_writable
    from threea_spark.session import build_session

    if receipt is not None:
        require_writable("--receipt", receipt)
    check_plan(parsed, epsilon)  # a claim that cannot be certified is refused before Spark starts
    spark = build_session("threea-domain", master=master)
    found = check_domain(spark, parsed, epsilon=epsilon, unbooked=unbooked)
    if receipt is not None:
        found.write(receipt)
    say(found.in_words(), found.to_json() if as_json else None)
