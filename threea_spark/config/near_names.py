"""Finds the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def near_name(name: str, others: Iterable[str]) -> str | None:
    """The name that differs in case or in blanks around it alone; None if there is none."""
    return next((other for other in others if other.strip().lower() == name.strip().lower()), None)
