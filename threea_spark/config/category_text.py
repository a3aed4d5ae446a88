"""The text of a category, in which it is listed, compared and released."""

from __future__ import annotations

from collections.abc import Mapping, Set


def value_text(value: object) -> str:
    """Formats a category as Spark's cast to string does, so that YAML's true, 1 and "a" match the rows."""
    if value is None:
        raise ValueError("a category cannot be null; write `nullable: true` instead, or quote the word")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | Mapping | Set | list | tuple):
        raise ValueError("a category must be text, a number, a date, true or false; write one of them")
    try:
        text = str(value)
        text.encode()
    except ValueError:  # a number with thousands of digits, or half of a surrogate pair
        raise ValueError("a category cannot be written as text; drop it") from None
    return text
