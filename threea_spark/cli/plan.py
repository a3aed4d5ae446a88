"""The `threea plan` command: what a budget buys, from public numbers alone."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from threea_spark.cli.commands import whole_number
from threea_spark.cli.console import CONFIG, ConfigOption, JsonOption, say

ASSUMED_ROWS = 100_000


def plan(
    config: ConfigOption = CONFIG,
    rows: Annotated[
        int | None,
        typer.Option(
            parser=whole_number,
            metavar="N",
            help="Public row count to assume; else source.rows, or 100,000.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Shows what the budget buys, without reading a row.

    How far counts are right, what is left of each column, what models will keep, and what other budgets would buy.
    """
    from threea_spark.config.release import ReleaseConfig

    parsed = ReleaseConfig.from_yaml(config)  # what is wrong with it is said before the rest is loaded
    from threea_spark.forecast.outlook import outlook

    found = outlook(parsed, n_rows=rows or parsed.source.rows or ASSUMED_ROWS)
    say(found.in_words(), json.dumps(found.as_dict(), indent=1) if as_json else None)
