"""Proposes rules between columns from their names and types alone, for a person to check: as comments of a draft."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from threea_spark.config.yaml_files import quoted
from threea_spark.source.identifying import what_it_looks_like
from threea_spark.source.schema import NUMERIC_TYPES, TEXT_TYPES, TIME_TYPES, base_type

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_IN_ORDER = (
    ("start", "end"), ("begin", "end"), ("from", "to"), ("arrival", "departure"), ("admitted", "discharged"),
    ("admission", "discharge"), ("admit", "discharge"), ("pickup", "dropoff"), ("opened", "closed"), ("open", "close"),
    ("created", "updated"), ("ordered", "shipped"), ("birth", "death"), ("min", "max"), ("minimum", "maximum"),
    ("low", "high"), ("first", "last"), ("valid_from", "valid_to"), ("checkin", "checkout"), ("signup", "cancelled"),
)  # fmt: skip
_DECIDES = (
    ("city", "state"), ("city", "province"), ("city", "region"), ("city", "country"), ("state", "country"),
    ("region", "country"), ("zip", "city"), ("zip", "state"), ("zipcode", "city"), ("zipcode", "state"),
    ("postcode", "city"), ("airport", "city"), ("model", "make"), ("model", "brand"), ("product", "category"),
    ("subcategory", "category"), ("code", "name"), ("code", "description"),
)  # fmt: skip
_TOTALS = ("total", "sum")
_HEAD = """# Rules between columns that names and types suggest; released rows keep those that you declare.
# Declare only what is publicly known to hold in every row: remove the `#` of it and of `rules:`.
# rules:
"""


def proposed_rules(found: Mapping[str, str]) -> str:
    """Formats proposals as comments, one rule a line; empty if names suggest none.

    Args:
      found: Spark's simple type string by column.
    """
    lines = [f"#   - {line}\n" for line in _proposals(found)]
    return _HEAD + "".join(lines) if lines else ""


def _proposals(found: Mapping[str, str]) -> Iterator[str]:
    names = list(found)
    for name in names:
        if what_it_looks_like(name, found[name]) == "an identifier" and _words(name)[-1:] == ["id"]:
            yield f"unique: {quoted(name)}"
    for low, high in _pairs(names, _IN_ORDER):
        kinds = {_kind(found[name]) for name in (low, high)}
        if kinds in ({"number"}, {"time"}):
            yield f"order: {{low: {quoted(low)}, high: {quoted(high)}}}"
    for given, held in _pairs(names, _DECIDES):
        if _kind(found[given]) == _kind(found[held]) == "text":
            yield f"functional: {{from: {quoted(given)}, to: {quoted(held)}}}"
    for name in names:
        parts = [other for other in names if other != name and _is_part(other, name, found)]
        if len(parts) > 1:
            yield f"sum: {{parts: [{', '.join(map(quoted, parts))}], total: {quoted(name)}}}"


def _pairs(names: Sequence[str], known: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Columns whose names are alike but for a word and its counterpart: trip_start and trip_end."""
    by_words = {tuple(_words(name)): name for name in names}
    for words, name in by_words.items():
        for one, other in known:
            if one in words:
                wanted = tuple(other if word == one else word for word in words)
                if wanted in by_words:
                    yield name, by_words[wanted]


def _is_part(name: str, total: str, found: Mapping[str, str]) -> bool:
    """Whether a number's name is a total's with another word in place of `total`: cost_drugs of cost_total."""
    if _kind(found[name]) != "number" or _kind(found[total]) != "number":
        return False
    own, whole = _words(name), _words(total)
    stem = [word for word in whole if word not in _TOTALS]
    return bool(stem) and stem != whole and len(own) == len(stem) + 1 and all(word in own for word in stem)


def _kind(simple: str) -> str:
    base = base_type(simple)
    if base in NUMERIC_TYPES:
        return "number"
    return "time" if base in TIME_TYPES else "text" if base in TEXT_TYPES and base != "boolean" else ""


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]
