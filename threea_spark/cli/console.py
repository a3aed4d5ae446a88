"""The two consoles, and the options that all commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="YAML of the release.", show_default=False)]
MasterOption = Annotated[
    str | None,
    typer.Option("--master", help="Spark master, connect:local[2], or sc://host:port; also set by THREEA_MASTER."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def say(words: str, plain: str | None = None) -> None:
    """Prints on standard output without interpreting markup: `words` for a person, or `plain` JSON if it is given."""
    out.print(words if plain is None else plain, markup=False)


def escaped(text: str) -> str:
    """Prevents rich from interpreting brackets as markup."""
    return text.replace("[", r"\[")
