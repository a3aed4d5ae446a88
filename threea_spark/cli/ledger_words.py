"""A ledger's summary for people to read, and as JSON."""

from __future__ import annotations

import math
from typing import Any


def finite(found: dict[str, Any]) -> dict[str, Any]:
    """Replaces infinity, which JSON lacks, by null: no epsilon bounds what was spent, and the notes say why."""
    return {**_without_infinity(found), "entries": [_without_infinity(entry) for entry in found["entries"]]}


def _without_infinity(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


def budget_in_words(held: dict[str, Any] | None) -> str:
    """Returns a budget for people to read."""
    if held is None:
        return "none"
    beside = ", conditional releases beside it" if held.get("allow_conditional") else ""
    return f"epsilon {held['epsilon']:g}, delta {held['delta']:g}{beside}"


def summary_in_words(found: dict[str, Any]) -> str:
    """Returns what `summary` found, for people to read: totals first, then one line for each entry."""
    spent, left, delta = found["spent_epsilon"], found["left_epsilon"], found["at_delta"]
    apart = "" if found["grants"] is None else f"; grants and voids in {found['grants']}"
    lines = [
        f"source   {found['source']}",
        f"unit     {found['unit']}",
        f"ledger   {found['ledger']}{apart}",
        f"granted  {budget_in_words(found['granted'])}",
        f"limit    {budget_in_words(found['limit'])} (of this configuration)",
        f"spent    {_epsilon(spent)} at delta {delta:g}" if math.isfinite(spent) else "spent    no epsilon bounds it",
        f"left     {'none was granted' if left is None else f'{_epsilon(left)} at delta {delta:g}'}",
        *[f"note     {text}" for text in found["notes"]],
        f"head     {found['head']}",
    ]
    mark = "" if found["grants"] is None else "g"
    lines += [_line(f"{mark}{entry['entry']}", entry, _by_officer(entry)) for entry in found["officers"]]
    lines += [_line(str(entry["entry"]), entry, _release(entry)) for entry in found["entries"]]
    return "\n".join(lines)


def _line(number: str, entry: dict[str, Any], words: str) -> str:
    by = "" if entry["by"] is None else f"; by {entry['by']}"
    return f"  {number:>5}  {entry['at']}  {entry.get('status', entry.get('kind')):<9} {words}{by}"


def _release(entry: dict[str, Any]) -> str:
    """Says what a release claimed and left; entries written by 0.1.0 do not record epsilon and delta."""
    claim = "" if entry["epsilon"] is None else f"epsilon {entry['epsilon']:g}, delta {entry['delta']:g}, "
    left = "" if entry["left_epsilon"] is None else f"; {_epsilon(entry['left_epsilon'])} was left"
    return f"{entry['release_id']}  {claim}{entry['accounting']}{left}"


def _by_officer(entry: dict[str, Any]) -> str:
    if "voided" in entry:
        return f"entry {entry['voided']} (release {entry['release_id']}): {entry['reason']}"
    return budget_in_words(entry)


def _epsilon(value: float) -> str:
    return f"epsilon {value:.4g}"
