"""Finds values that pydantic cannot put into an error message: Python would print a traceback, though it is caught."""

from __future__ import annotations

_MAX_BITS = 1_024  # no float64 and no field holds more
_MAX_DEPTH = 50


def unprintable(content: object) -> tuple[str, str] | None:
    """Looks for huge integers, and for values that are nested too deeply or contain themselves.

    A value with many aliases is walked again only if it lies deeper than before, so at most _MAX_DEPTH times.

    Args:
      content: Plain values in mappings, lists and sets.

    Returns:
      The dotted name of the field that breaks a rule, and the rule with its fix; None if no field does.
    """
    walked: dict[int, int] = {}
    waiting: list[tuple[str, object, int]] = [("", content, 0)]
    while waiting:
        field, value, depth = waiting.pop()
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            return field or "a key", "is a number too long for any field; write a shorter one"
        if depth > _MAX_DEPTH:
            return field, "is nested too deeply; write it flatter"
        if not isinstance(value, dict | list | tuple | set | frozenset) or walked.get(id(value), -1) >= depth:
            continue
        walked[id(value)] = depth
        waiting += [(field, held, depth + 1) for held in value]  # the keys, if it is a mapping
        if isinstance(value, dict):
            waiting += [(_below(field, key), held, depth + 1) for key, held in value.items()]
    return None


def _below(field: str, key: object) -> str:
    if not isinstance(key, str):  # it is refused elsewhere, and may be too long to print
        return field
    return f"{field}.{key}" if field else key
