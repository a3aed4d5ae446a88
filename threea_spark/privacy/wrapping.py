"""Wraps a statement or a receipt for a terminal: a word at the start of a line, its text in a column beside it."""

from __future__ import annotations

import textwrap

WIDTH = 100
INDENT = " " * 14


def wrapped(text: str) -> str:
    """Wraps each line at `WIDTH`, what follows beneath its text; words are never broken."""
    return "\n".join(
        textwrap.fill(
            line, WIDTH, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
        )
        for line in text.split("\n")
    )
