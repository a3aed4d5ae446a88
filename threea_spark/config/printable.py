"""Finds in a configuration what pydantic cannot put into an error: Python would print a trace, though it is caught."""

from __future__ import annotations

_MOST_BITS = 1_024  # no float64 holds more, and no field
_DEEPEST = 50


def unprintable(content: object) -> tuple[str, str] | None:
    """Looks for integers of endless length, and for values that are nested too deep or hold themselves.

    A value that many aliases name is walked again only where it lies deeper than before, so at most _DEEPEST times.

    Args:
      content: Plain values in mappings, lists and sets.

    Returns:
      The field that breaks a rule, its parts with dots between them, and the rule with its mend; None where none does.
    """
    walked: dict[int, int] = {}
    waiting: list[tuple[str, object, int]] = [("", content, 0)]
    while waiting:
        field, value, depth = waiting.pop()
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            return field or "a key", "is a number too long for any field; write a shorter one"
        if depth > _DEEPEST:
            return field, "is nested too deep; write it flatter"
        if not isinstance(value, dict | list | tuple | set | frozenset) or walked.get(id(value), -1) >= depth:
            continue
        walked[id(value)] = depth
        waiting += [(field, held, depth + 1) for held in value]  # of a mapping its keys
        if isinstance(value, dict):
            waiting += [(_below(field, key), held, depth + 1) for key, held in value.items()]
    return None


def _below(field: str, key: object) -> str:
    if not isinstance(key, str):  # its value is refused elsewhere, and may be too long to write out
        return field
    return f"{field}.{key}" if field else key
