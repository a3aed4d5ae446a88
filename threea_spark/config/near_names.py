"""Finds the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SIMILARITY = 0.75


def near_name(name: str, others: Iterable[str]) -> str | None:
    """The name that differs in case or in blanks around it alone, else the most similar one; None if none is near."""
    plain = {other.strip().lower(): other for other in reversed(list(others))}
    wanted = name.strip().lower()
    if wanted in plain:
        return plain[wanted]
    found = get_close_matches(wanted, plain, n=1, cutoff=_SIMILARITY)
    return plain[found[0]] if found else None


def meant_or(name: str, others: Iterable[str], fix: str) -> str:
    """Asks whether the nearest name was meant; the other fix where none is near."""
    near = near_name(name, others)
    return fix if near is None else f"did you mean {near!r}?"
