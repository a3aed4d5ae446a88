"""What all commands share: the two consoles, and the options that mean the same everywhere."""

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
    typer.Option("--master", help="Spark master, or connect:local[2], or sc://host:port. Also THREEA_MASTER."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def say(words: str, plain: str | None = None) -> None:
    """Prints on standard output, never as markup: words for a person, or JSON for machines where there is some."""
    out.print(words if plain is None else plain, markup=False)


def escaped(text: str) -> str:
    """Keeps rich from reading brackets as markup."""
    return text.replace("[", r"\[")
