"""What a draft leaves to a person: fields that still say TODO, each with what is to be written there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

TODO = "TODO"
Field = tuple[str, ...]

_MENDS = {
    "epsilon": "write the epsilon you may spend",
    "delta": "write a number well below one in as many people as the table has, such as 1.0e-6",
    "unit": "write row, or {column: ..., max_rows: ...} where a person has many rows",
    "label": "name the column a model is to predict, or drop the line and write `task: none`",
}
_MEND_OF_A_COLUMN = "write what is publicly known, never what the rows hold, or drop the column"
_MEND = "write a value"


def unfilled_fields(content: object, field: Field = ()) -> Iterator[Field]:
    """Every field below `content` whose value is the word TODO."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from unfilled_fields(value, (*field, str(key)))
    elif content == TODO:
        yield field


def unfilled_lines(fields: list[Field]) -> dict[str, str]:
    """One sentence for each column, or other field: which rule it breaks and how to mend it."""
    by_column: dict[Field, list[str]] = {}
    for field in fields:
        in_a_column = "columns" in field[:-2]
        by_column.setdefault(field[:-1] if in_a_column else field, []).append(field[-1] if in_a_column else "")
    return {".".join(place): _sentence(place, names) for place, names in by_column.items()}


def _sentence(place: Field, names: list[str]) -> str:
    if names == [""]:
        return f"is still {TODO}; {_MENDS.get(place[-1], _MEND)}"
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} still {TODO}; {_MEND_OF_A_COLUMN}"
