"""How commands are listed, and the kinds of values that options take."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

IN_ORDER_OF_USE = (
    "init", "domain", "plan", "release", "report", "evaluate", "sample", "fit", "export", "ledger", "cleanup", "doctor",
)  # fmt: skip


class Command(TyperCommand):
    """A command whose help has paragraphs without line breaks, and no type beside a flag."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - those of a click command
        super().__init__(*arguments, **{**options, "help": _one_line_a_paragraph(options.get("help"))})

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - of click, or of what typer holds of it
        """Lists the options."""
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """Commands in the order in which a newcomer uses them; help shows no type beside a flag."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - of click, or of what typer holds of it
        """Lists the commands; those that are not in the order come last."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: (*IN_ORDER_OF_USE, name).index(name))

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - of click, or of what typer holds of it
        """Lists the options."""
        return _without_types(super().get_params(ctx))


def whole_number(text: str | int) -> int:
    """Reads a whole number of at least 1, written as YAML takes it: 1000000 or 1e6; an option's default is a number."""
    try:
        number = float(text)
        if not (number >= 1.0 and number == int(number)):
            raise ValueError
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"write a whole number of at least 1, such as 1000000 or 1e6; got {str(text)[:40]!r}"
        ) from None
    return int(number)


def _one_line_a_paragraph(text: str | None) -> str | None:
    return None if text is None else re.sub(r"(?<!\n)\n(?!\n)", " ", text.strip())


def _without_types(options: list[Any]) -> list[Any]:
    for option in options:
        if getattr(option, "is_flag", False):
            option.metavar = ""
    return options
