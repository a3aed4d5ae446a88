"""Finds the fields that a draft leaves to a person: those that still say TODO, each with what to write there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

TODO = "TODO"
Field = tuple[str, ...]

_FIXES = {
    "epsilon": "write the epsilon that you may spend",
    "delta": "write a number well below 1 / the number of people in the table, such as 1.0e-6",
    "unit": "write row, or {column: ..., max_rows: ...} if a person has many rows",
    "label": "name the column that models predict, or drop the line and write `task: none`",
}
_COLUMN_FIX = "write what is publicly known, never what the rows hold, or drop the column"
_FIX = "write a value"


def unfilled_fields(content: object, field: Field = ()) -> Iterator[Field]:
    """Yields every field below `content` whose value is the word TODO."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from unfilled_fields(value, (*field, str(key)))
    elif content == TODO:
        yield field


def unfilled_lines(fields: list[Field]) -> dict[str, str]:
    """Returns one sentence for each column or other field: which rule it breaks and how to fix it."""
    by_column: dict[Field, list[str]] = {}
    for field in fields:
        in_a_column = "columns" in field[:-2]
        by_column.setdefault(field[:-1] if in_a_column else field, []).append(field[-1] if in_a_column else "")
    return {".".join(place): _sentence(place, names) for place, names in by_column.items()}


def _sentence(place: Field, names: list[str]) -> str:
    if names == [""]:
        return f"is still {TODO}; {_FIXES.get(place[-1], _FIX)}"
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} still {TODO}; {_COLUMN_FIX}"
