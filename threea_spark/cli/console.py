"""The two consoles, what is printed on them, and the options that all commands share."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

QUIET_VARIABLE = "THREEA_QUIET"
_LABEL = re.compile(r"\s*\S+\s{2,}")
_MIN_WIDTH = 40

CONFIG = Path("release.yaml")
"""The file that `threea init` writes, and that a release and what follows it read, unless another is named."""

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="YAML of the release.")]
MasterOption = Annotated[
    str | None,
    typer.Option("--master", help="Spark master, connect:local[2], or sc://host:port; also set by THREEA_MASTER."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def say(words: str, plain: str | None = None) -> None:
    """Prints on standard output without interpreting markup: `words` for a person, or `plain` JSON if it is given.

    On a terminal, lines that are too long for it break between words.
    """
    if plain is None and out.is_terminal:
        words = wrapped(words, out.width)
    out.print(words if plain is None else plain, markup=False)


def tell(words: str) -> None:
    """Prints a line about progress on standard error, unless THREEA_QUIET is set."""
    if not is_quiet():
        err.print(words, markup=False)


def is_quiet() -> bool:
    """Whether progress is not to be shown."""
    return bool(os.environ.get(QUIET_VARIABLE))


def wrapped(words: str, width: int) -> str:
    """Breaks lines between words; what goes on is indented as far as the text behind the line's first word."""
    return "\n".join(_wrapped_line(line, max(width, _MIN_WIDTH)) for line in words.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    label = _LABEL.match(line)
    indent = len(line) - len(line.lstrip()) + 2 if label is None else label.end()
    wrapper = textwrap.TextWrapper(
        width,
        subsequent_indent=" " * (indent if indent <= width // 2 else 2),
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        expand_tabs=False,
    )
    return wrapper.fill(line) if len(line) > width else line


def escaped(text: str) -> str:
    """Prevents rich from interpreting brackets as markup."""
    return text.replace("[", r"\[")
