"""Finds the name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LIKENESS = 0.75


def near_name(name: str, others: Iterable[str]) -> str | None:
    """The name that differs in case or in blanks around it alone; None if there is none."""
    return next((other for other in others if other.strip().lower() == name.strip().lower()), None)


def mistyped_name(name: str, others: Iterable[str]) -> str | None:
    """The name that differs least, by `difflib`'s ratio, if it is at least .75 alike; None if there is none."""
    known = sorted(others)
    by_lower = {other.lower(): other for other in reversed(known)}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=_LIKENESS)
    return near_name(name, known) or (by_lower[found[0]] if found else None)
